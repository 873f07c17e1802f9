"""Annealed importance sampling, both ways: how far is the importance-sampling estimate off?

On data that the model itself made the true posterior can be sampled: it is where the code came
from. A chain from the prior to the posterior then gives a lower bound on log p(x) and one back from
that code an upper bound, each in expectation; what lies between them is the error. Neal (2001);
Grosse et al. (2015); Wu et al. (2017), section 4.

Shape legend: C chains an image, N images, T intermediate distributions, Z latent dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Path:
    """Powers β of the likelihood from 0 to 1, ``(T + 1,)``, and a step size for each."""

    powers: Tensor
    steps: Tensor


def powers(count: int, steepness: float = 4.0) -> Tensor:
    """``count`` + 1 powers from 0 to 1, close together at both ends: a sigmoid's middle part."""
    line = torch.sigmoid(torch.linspace(-steepness, steepness, count + 1, dtype=torch.float64))
    return (line - line[0]) / (line[-1] - line[0])


def tune(
    log_likelihood: LogLikelihood,
    prior: Latent,
    shape: tuple[int, int],
    count: int,
    generator: torch.Generator,
) -> Path:
    """A path whose step sizes were found by a pilot chain.

    ``shape`` is that of the chains, ``(C, N)``. The bounds hold for kernels that are fixed
    beforehand, so the chains that count do not adapt.
    """
    z_CNZ = prior.rsample(generator, shape)
    path = powers(count)
    steps = torch.full((count + 1,), FIRST_STEP, dtype=torch.float64)
    for t in range(1, count + 1):
        power, step = float(path[t]), float(steps[t - 1])
        z_CNZ, accepted = hmc(log_likelihood, prior, z_CNZ, power, step, generator)
        steps[t] = steps[t - 1] * (1.02 if accepted > ACCEPTANCE else 0.98)
    return Path(path, steps)


def forward(
    log_likelihood: LogLikelihood,
    prior: Latent,
    path: Path,
    shape: tuple[int, int],
    generator: torch.Generator,
) -> Tensor:
    """Log w of chains from the prior to the posterior, float64 ``(C, N)``: E[w] = p(x)."""
    z_CNZ = prior.rsample(generator, shape)
    total = torch.zeros(shape, dtype=torch.float64)
    for t in range(1, len(path.powers)):
        total += (path.powers[t] - path.powers[t - 1]) * _detached(log_likelihood, z_CNZ)
        power, step = float(path.powers[t]), float(path.steps[t])
        z_CNZ, _ = hmc(log_likelihood, prior, z_CNZ, power, step, generator)
    return total


def backward(
    log_likelihood: LogLikelihood,
    prior: Latent,
    path: Path,
    z_CNZ: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Log w of chains from draws of the posterior back to the prior: E[1 / w] = 1 / p(x)."""
    total = torch.zeros(z_CNZ.shape[:-1], dtype=torch.float64)
    for t in reversed(range(1, len(path.powers))):
        power, step = float(path.powers[t]), float(path.steps[t])
        z_CNZ, _ = hmc(log_likelihood, prior, z_CNZ, power, step, generator)
        total += (path.powers[t] - path.powers[t - 1]) * _detached(log_likelihood, z_CNZ)
    return total


def hmc(
    log_likelihood: LogLikelihood,
    prior: Latent,
    z_CNZ: Tensor,
    power: float,
    step: float,
    generator: torch.Generator,
) -> tuple[Tensor, float]:
    """One Hamiltonian transition that leaves p(z) p(x|z)^power as it is, and its acceptance."""

    def density(z: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = power * log_likelihood(z) + prior.log_prob(z)
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


def _detached(log_likelihood: LogLikelihood, z_CNZ: Tensor) -> Tensor:
    with torch.no_grad():
        return log_likelihood(z_CNZ).double()


def ais_check(
    context: Context, images: int = 50, chains: int = 8, distributions: int = 500
) -> dict[str, Any]:
    """The NLL of images that the model made, bracketed by annealing, and by importance sampling.

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

    context.report("annealing: finding step sizes")
    pilot = (PILOT_CHAINS, images)
    path = tune(log_likelihood, prior, pilot, distributions, stream(seed, "AIS pilot"))
    context.report("annealing from the prior")
    up = forward(log_likelihood, prior, path, (chains, images), stream(seed, "AIS forward"))
    context.report("annealing from the posterior")
    start = z_NZ.expand(chains, -1, -1)
    down = backward(log_likelihood, prior, path, start, stream(seed, "AIS backward"))
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
