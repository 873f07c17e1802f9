"""Distributions of codes: the posteriors q(z|x) and priors p(z) of the models.

``torch.distributions`` draws from the global generator only, which is why these classes exist; it
is their reference in the tests.

Shape legend: B images, Z latent dimensions, P parts of a divergence, C components. A batch has
shape ``*B``, which is ``()`` for a prior.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeVar, final

import torch
from torch import Tensor

from aelab.losses import gaussian_kl

LOG_2PI = math.log(2 * math.pi)


class Components(NamedTuple):
    """A mixture of Gaussians with diagonal covariances: weights ``(C,)``, the rest ``(C, Z)``."""

    weights: Tensor
    means: Tensor
    variances: Tensor


class Latent(ABC):
    """A distribution over codes, one for each entry of its batch shape."""

    continuous: ClassVar[bool] = True  # whether ``log_prob`` is a density that has a gradient

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The deterministic code, shape ``(*B, Z)``."""

    @property
    def variance(self) -> Tensor | None:
        """The variance of each dimension ``(*B, Z)``, or None where no closed form is known."""
        return None

    @abstractmethod
    def rsample(self, generator: torch.Generator, shape: tuple[int, ...] = ()) -> Tensor:
        """Draw codes with a gradient; returns shape ``(*shape, *B, Z)``."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """The log density (or log probability) of codes ``(..., *B, Z)``, in nats; ``(..., *B)``.

        A distribution that can compute this for its own draws only keeps what it needs from
        :meth:`rsample` and raises ValueError for other codes.
        """

    def kl(self, other: "Latent", z: Tensor) -> Tensor:
        """KL(self ‖ other) in nats, split into parts that add up; ``(*B, P)``.

        The parts are the latent dimensions where a closed form is registered for the two types.
        Otherwise there is one part, and it is the estimate log q(z) − log p(z) from the draws ``z``
        of ``self``, ``(*S, *B, Z)``, averaged over S.
        """
        if form := CLOSED_FORMS.get((type(self), type(other))):
            return form(self, other)
        difference = self.log_prob(z) - other.log_prob(z)
        while difference.dim() >= self.mean.dim():
            difference = difference.mean(0)
        return difference.unsqueeze(-1)

    def components(self) -> Components | None:
        """The same distribution as a mixture of Gaussians, or None if it is none.

        Only meaningful for a batch shape of ``()``.
        """
        return None


ClosedForm = Callable[[Any, Any], Tensor]
CLOSED_FORMS: dict[tuple[type[Latent], type[Latent]], ClosedForm] = {}
F = TypeVar("F", bound=ClosedForm)


def closed_form(left: type[Latent], right: type[Latent]) -> Callable[[F], F]:
    """Register a closed form of KL(left ‖ right).

    Args:
        left: The type of the first distribution.
        right: The type of the second one.

    Returns:
        A decorator for a function of the two, which returns nats split into parts that add up,
        ``(*B, P)``.
    """

    def register(function: F) -> F:
        CLOSED_FORMS[left, right] = function
        return function

    return register


@final
class StandardNormal(Latent):
    """N(0, I) of ``latent_dim`` dimensions."""

    def __init__(self, latent_dim: int, device: torch.device | str = "cpu") -> None:
        self._mean = torch.zeros(latent_dim, device=device)

    @property
    def mean(self) -> Tensor:
        """Zero, ``(Z,)``."""
        return self._mean

    @property
    def variance(self) -> Tensor:
        """One, ``(Z,)``."""
        return torch.ones_like(self._mean)

    def rsample(self, generator: torch.Generator, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws ``(*shape, Z)``."""
        return torch.randn(*shape, len(self._mean), generator=generator, device=generator.device)

    def log_prob(self, z: Tensor) -> Tensor:
        """−½ (z'z + d log 2π)."""
        return -0.5 * (z.square().sum(-1) + z.shape[-1] * LOG_2PI)

    def components(self) -> Components:
        """One component."""
        return Components(torch.ones(1), self.mean.cpu()[None], self.variance.cpu()[None])


@final
class DiagonalNormal(Latent):
    """A Gaussian with independent dimensions: mean and log-variance, each ``(*B, Z)``."""

    def __init__(self, mean: Tensor, log_variance: Tensor) -> None:
        self._mean, self.log_variance = mean, log_variance

    @property
    def mean(self) -> Tensor:
        """μ, ``(*B, Z)``."""
        return self._mean

    @property
    def variance(self) -> Tensor:
        """σ², ``(*B, Z)``."""
        return self.log_variance.exp()

    def rsample(self, generator: torch.Generator, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws z = μ + σ ε, ``(*shape, *B, Z)``; Kingma and Welling (2014), section 2.4."""
        noise = self._mean.new_empty(*shape, *self._mean.shape).normal_(generator=generator)
        return torch.addcmul(self._mean, torch.exp(0.5 * self.log_variance), noise)

    def log_prob(self, z: Tensor) -> Tensor:
        """−½ Σ ((z − μ)² / σ² + log σ² + log 2π)."""
        scaled = (z - self._mean).square() * torch.exp(-self.log_variance)
        return -0.5 * (scaled + self.log_variance + LOG_2PI).sum(-1)


@closed_form(DiagonalNormal, StandardNormal)
def _normal_to_standard(q: DiagonalNormal, _: StandardNormal) -> Tensor:
    return gaussian_kl(q.mean, q.log_variance)
