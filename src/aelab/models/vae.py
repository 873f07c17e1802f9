"""The variational autoencoder."""

from typing import Annotated, final

from pydantic import Field
from torch import Tensor

from aelab.config.ranges import Range
from aelab.models.base import Objective, Variational, model
from aelab.models.latents import DiagonalNormal


@final
@model("vae", title="VAE")
class VAE(Variational):
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
    outputs_per_dimension = 2  # mean and log-variance
    plain_loss = True

    def weights(self, epoch: float) -> dict[str, float]:
        """β, reached linearly over the warm-up."""
        warmup = self.config.kl_warmup
        return {"kl": self.config.beta * (min(1.0, epoch / warmup) if warmup else 1.0)}

    def posterior(self, x_BD: Tensor) -> DiagonalNormal:
        """q(z|x), a diagonal Gaussian."""
        return DiagonalNormal(*self.encoder(x_BD).chunk(2, dim=-1))
