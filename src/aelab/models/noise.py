"""The noisy autoencoder: a VAE's noise without its KL."""

from typing import final

import torch
from pydantic import Field
from torch import Tensor

from aelab.losses import Batch, Loss
from aelab.models.base import Autoencoder, Objective, model


@final
@model("noise", title="Noisy AE")
class NoisyAE(Autoencoder):
    """An AE whose code gets Gaussian noise of fixed σ in training: the ablation of the KL.

    Nothing holds the codes near the noise; how far they grow away from it is what the KL prevents.
    """

    class Config(Objective):
        """How strong the noise is."""

        sigma: float = Field(1.0, ge=0, description="Standard deviation σ of the noise.")

    config: Config

    def encode(self, x_BD: Tensor) -> Tensor:
        """The code ``(B, Z)`` before the noise."""
        z_BZ: Tensor = self.encoder(x_BD)
        return z_BZ

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:  # noqa: ARG002
        """One term: the reconstruction from z + σ ε."""
        z_BZ = self.encode(batch.x)
        noise_BZ = torch.empty_like(z_BZ).normal_(generator=generator)
        logits_BD = self.decode(torch.add(z_BZ, noise_BZ, alpha=self.config.sigma))
        return Loss({"reconstruction": self.reconstruction(logits_BD, batch.x)})
