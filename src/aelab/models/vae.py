"""The variational autoencoder."""

from typing import Annotated, final

import torch
from pydantic import Field
from torch import Tensor

from aelab.config.ranges import Range
from aelab.losses import Loss, gaussian_kl
from aelab.models.base import GaussianAutoencoder, Objective, model, reparameterise


@final
@model("vae", title="VAE")
class VAE(GaussianAutoencoder):
    """Minimises −ELBO; Kingma and Welling (2014). With β ≠ 1, Higgins et al. (2017)."""

    class Config(Objective):
        """The weight of the KL term and how it is reached."""

        beta: Annotated[float, Range(0.25, 4, log=True)] = Field(
            1.0, ge=0, description="Weight β of the KL term (1 is the ELBO)."
        )
        kl_warmup: Annotated[float, Range(0, 5)] = Field(
            0.0, ge=0, description="Epochs over which β rises linearly from 0 to its value."
        )

    config: Config
    plain_loss = True

    def weights(self, epoch: float) -> dict[str, float]:
        """β, reached linearly over the warm-up."""
        warmup = self.config.kl_warmup
        return {"kl": self.config.beta * (min(1.0, epoch / warmup) if warmup else 1.0)}

    def loss(self, x_BD: Tensor, generator: torch.Generator, epoch: float) -> Loss:
        """Two terms: the reconstruction from one posterior draw an image, and the KL."""
        mean_BZ, log_variance_BZ = self.posterior(x_BD)
        z_BZ = reparameterise(mean_BZ, log_variance_BZ, generator)
        kl_BZ = gaussian_kl(mean_BZ, log_variance_BZ)
        reconstruction_B = self.reconstruction(self.decode(z_BZ), x_BD)
        return Loss(
            terms={"reconstruction": reconstruction_B, "kl": kl_BZ.sum(-1)},
            weights=self.weights(epoch),
            per_dimension={"kl": kl_BZ},
        )
