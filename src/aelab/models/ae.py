"""The deterministic autoencoder."""

from typing import final

import torch
from torch import Tensor

from aelab.losses import Loss
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

    def loss(self, x_BD: Tensor, generator: torch.Generator, epoch: float) -> Loss:  # noqa: ARG002
        """One term: the reconstruction."""
        return Loss({"reconstruction": self.reconstruction(self.decode(self.encode(x_BD)), x_BD)})
