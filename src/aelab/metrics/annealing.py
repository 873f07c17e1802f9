"""Annealed importance sampling in both directions: the error of the importance-sampling estimate.

For images that the model itself generated, a draw of the true posterior is known: the code that an
image was decoded from. A chain from the prior to the posterior then gives a lower bound on log p(x)
and one back from that code an upper bound, each in expectation; their difference bounds the error.
Neal (2001); Grosse et al. (2015); Wu et al. (2017), section 4.

Shape legend: C chains an image, N images, T intermediate distributions, Z latent dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from aelab.errors import AelabError
from aelab.losses import Batch
from aelab.metrics.context import Context
from aelab.metrics.importance import bound, log_weights
from aelab.models import Latent
from aelab.randomness import stream

LEAPFROGS = 10
ACCEPTANCE = 0.65  # of Hamiltonian proposals; Neal (2011)
FIRST_STEP = 0.1
PILOT_CHAINS = 2

LogLikelihood = Callable[[Tensor], Tensor]  # codes (C, N, Z) -> log p(x|z) (C, N)


def powers(count: int, steepness: float = 4.0) -> Tensor:
    """``count`` + 1 powers β from 0 to 1, close together at both ends: part of a sigmoid."""
    line = torch.sigmoid(torch.linspace(-steepness, steepness, count + 1, dtype=torch.float64))
    return (line - line[0]) / (line[-1] - line[0])


@dataclass(frozen=True, eq=False)
class Annealing:
    """Chains through the distributions p(z) p(x|z)^β, for ``distributions`` values of β."""

    log_likelihood: LogLikelihood
    prior: Latent
    distributions: int

    @cached_property
    def powers(self) -> Tensor:
        """β, float64 ``(T + 1,)``."""
        return powers(self.distributions)

    def tune(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """The step size for each β, ``(T + 1,)``, from pilot chains of shape ``(C, N)``.

        The bounds hold for kernels that are fixed beforehand, so the chains of :meth:`forward` and
        :meth:`backward` do not adapt.
        """
        z_CNZ = self.prior.rsample(generator, shape)
        steps = torch.full((self.distributions + 1,), FIRST_STEP, dtype=torch.float64)
        for t in range(1, len(steps)):
            z_CNZ, accepted = self.hmc(z_CNZ, self.powers[t], steps[t - 1], generator)
            steps[t] = steps[t - 1] * (1.02 if accepted > ACCEPTANCE else 0.98)
        return steps

    def forward(self, steps: Tensor, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Log w of chains from the prior to the posterior, float64 ``(C, N)``: E[w] = p(x)."""
        z_CNZ = self.prior.rsample(generator, shape)
        total_CN = torch.zeros(shape, dtype=torch.float64)
        for t in range(1, len(steps)):
            total_CN += self._increment(t, z_CNZ)
            z_CNZ, _ = self.hmc(z_CNZ, self.powers[t], steps[t], generator)
        return total_CN

    def backward(self, steps: Tensor, z_CNZ: Tensor, generator: torch.Generator) -> Tensor:
        """Log w of chains from draws of the posterior back to the prior: E[1 / w] = 1 / p(x)."""
        total_CN = torch.zeros(z_CNZ.shape[:-1], dtype=torch.float64)
        for t in reversed(range(1, len(steps))):
            z_CNZ, _ = self.hmc(z_CNZ, self.powers[t], steps[t], generator)
            total_CN += self._increment(t, z_CNZ)
        return total_CN

    @torch.no_grad()
    def _increment(self, t: int, z_CNZ: Tensor) -> Tensor:
        return (self.powers[t] - self.powers[t - 1]) * self.log_likelihood(z_CNZ).double()

    def hmc(
        self, z_CNZ: Tensor, beta: Tensor | float, step: Tensor | float, generator: torch.Generator
    ) -> tuple[Tensor, float]:
        """One Hamiltonian transition that keeps p(z) p(x|z)^β invariant, and its acceptance."""
        beta, step = float(beta), float(step)

        def density(z: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                z = z.detach().requires_grad_()
                value = beta * self.log_likelihood(z) + self.prior.log_prob(z)
                (gradient,) = torch.autograd.grad(value.sum(), z)
            return value.detach().double(), gradient

        momentum = torch.randn(z_CNZ.shape, generator=generator)
        before, slope = density(z_CNZ)
        energy = before - 0.5 * momentum.double().square().sum(-1)
        proposal = z_CNZ
        for _ in range(LEAPFROGS):
            momentum = momentum + 0.5 * step * slope
            proposal = proposal + step * momentum
            after, slope = density(proposal)
            momentum = momentum + 0.5 * step * slope
        change = after - 0.5 * momentum.double().square().sum(-1) - energy
        accept = torch.rand(change.shape, generator=generator, dtype=torch.float64).log() < change
        return torch.where(accept[..., None], proposal, z_CNZ), float(accept.double().mean())


def ais_check(
    context: Context, images: int = 50, chains: int = 8, distributions: int = 500
) -> dict[str, Any]:
    """The NLL of images that the model generated, bounded by annealing, and by importance sampling.

    In nats an image, means over images: ``lower`` and ``upper`` bound −log p(x) in expectation,
    ``importance`` is −L_K with the K of the settings, on the same images. Takes minutes.
    """
    model = context.model
    if not {"likelihood", "prior"} <= context.capabilities:
        raise AelabError(f"The {model.title} has no likelihood to check: name a variational model.")
    prior = context.prior()
    if model.architecture.likelihood != "bernoulli" or not prior.continuous:
        raise AelabError("Annealing needs the Bernoulli likelihood and a continuous code.")
    seed = context.seed
    with torch.no_grad():
        z_NZ = prior.rsample(stream(seed, "AIS codes"), (images,))
        x_ND = torch.bernoulli(model.pixels(model.decode(z_NZ)), generator=stream(seed, "AIS x"))
        posterior = context.posterior(Batch(x_ND, torch.zeros(images, dtype=torch.int64)))

    def log_likelihood(z_CNZ: Tensor) -> Tensor:
        logits = model.decode(z_CNZ.flatten(0, -2))
        repeated = x_ND.expand(len(z_CNZ), -1, -1).reshape(logits.shape)
        return -model.reconstruction(logits, repeated).view(z_CNZ.shape[:-1])

    annealing = Annealing(log_likelihood, prior, distributions)
    context.report("annealing: tuning step sizes")
    steps = annealing.tune((PILOT_CHAINS, images), stream(seed, "AIS pilot"))
    context.report("annealing from the prior")
    up = annealing.forward(steps, (chains, images), stream(seed, "AIS forward"))
    context.report("annealing from the posterior")
    start = z_NZ.expand(chains, -1, -1)
    down = annealing.backward(steps, start, stream(seed, "AIS backward"))
    samples = context.settings.samples
    with torch.inference_mode():
        log_w_NK = log_weights(
            lambda z: log_likelihood(z[None])[0], posterior, prior, samples, stream(seed, "AIS q")
        )
    return {
        "images": images,
        "chains": chains,
        "distributions": distributions,
        "samples": samples,
        "upper": -float(bound(up.T, chains).mean()),
        "lower": float(bound(-down.T, chains).mean()),
        "importance": -float(bound(log_w_NK, samples).mean()),
    }
