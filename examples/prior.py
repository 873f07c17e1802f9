"""A prior of your own, a mixture of Gaussians with learned means: python examples/prior.py"""

import math
from typing import Any

import torch
from torch import Tensor, nn

import aelab
from aelab.models import DiagonalNormal, Latent, Variational, model


class Mixture(Latent):
    """Gaussians of unit variance and equal weight around means ``(C, Z)``."""

    def __init__(self, means: Tensor) -> None:
        self.parts = DiagonalNormal(means, torch.zeros_like(means))

    @property
    def mean(self) -> Tensor:
        """The mean of all components, ``(Z,)``."""
        return self.parts.mean.mean(0)

    def rsample(self, generator: torch.Generator, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws ``(*shape, Z)``, each from a random component."""
        chosen = torch.randint(len(self.parts.mean), shape, generator=generator)
        return self.parts.mean[chosen] + torch.randn(*shape, *self.mean.shape, generator=generator)

    def log_prob(self, z: Tensor) -> Tensor:
        """The log density in nats."""
        return self.parts.log_prob(z.unsqueeze(-2)).logsumexp(-1) - math.log(len(self.parts.mean))


@model("mog", title="Mixture VAE")
class MixtureVAE(Variational):
    """A VAE with ten components as its prior; all metrics and samples ask the model for it."""

    outputs_per_dimension = 2  # mean and log-variance of the posterior

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.means = nn.Parameter(torch.randn(10, self.architecture.latent_dim))

    def posterior(self, x_BD: Tensor) -> DiagonalNormal:
        """q(z|x); the loss of a variational model is −ELBO unless it defines another."""
        return DiagonalNormal(*self.encoder(x_BD).chunk(2, dim=-1))

    def prior(self) -> Mixture:
        """p(z)."""
        return Mixture(self.means)


if __name__ == "__main__":
    experiment = aelab.preset("quick", models=("mog",), mog={"epochs": 5})
    data, mog = aelab.load_data("bundled"), experiment.build("mog-16")
    for epoch in aelab.fit(mog, data, experiment.training("mog"), seed=0):
        print(f"epoch {epoch.index}: −ELBO {epoch.validation.total:.1f} nats on validation images")
