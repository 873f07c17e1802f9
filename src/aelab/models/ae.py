"""The deterministic autoencoder."""

from typing import final

import torch
from torch import Tensor

from aelab.losses import Batch, Loss
from aelab.models.base import Autoencoder, model


@final
@model("ae", title="AE")
class AE(Autoencoder):
    """Minimises the reconstruction term alone; Hinton and Salakhutdinov (2006)."""

    plain_loss = True

    def encode(self, x_BD: Tensor) -> Tensor:
        """The code ``(B, Z)``."""
        z_BZ: Tensor = self.encoder(x_BD)
        return z_BZ

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:  # noqa: ARG002
        """One term: the reconstruction."""
        logits_BD = self.decode(self.encode(batch.x))
        return Loss({"reconstruction": self.reconstruction(logits_BD, batch.x)})
