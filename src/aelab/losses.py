"""Loss terms in nats per image, and the records of a batch and of its loss.

Shape legend: B images, D pixels, Z latent dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

T = TypeVar("T", float, Tensor)


@dataclass(frozen=True)
class Batch:
    """Images ``x`` of shape ``(B, D)`` in [0, 1], and labels ``(B,)`` where there are some."""

    x: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class Loss:
    """Named terms of a batch, each of shape ``(B,)`` in nats per image, and their weights.

    A term without a weight counts once. ``total`` is their weighted sum.
    ``per_dimension`` may split a term over the latent dimensions, shape ``(B, Z)``.
    """

    terms: Mapping[str, Tensor]
    weights: Mapping[str, float] = field(default_factory=dict)
    per_dimension: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        """The scalar that trains: the weighted sum of the terms, mean over images."""
        return weighted_total(means(self.terms), self.weights)


def means(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean of every term over the images of a batch."""
    return {name: term.mean() for name, term in terms.items()}


def weighted_total(terms: Mapping[str, T], weights: Mapping[str, float]) -> T:
    """The weighted sum of terms; the one place where a total is made."""
    first, *rest = (term * weights.get(name, 1.0) for name, term in terms.items())
    for term in rest:
        first = first + term
    return first


def bernoulli_nll(logits_BD: Tensor, x_BD: Tensor) -> Tensor:
    """−log p(x|z) of independent Bernoulli pixels from logits; shape ``(B,)``, nats per image.

    With x in [0, 1] this is the cross-entropy, whose minimum is the entropy of the grey levels,
    not zero (45.53 nats an image on MNIST's test set).
    """
    return functional.binary_cross_entropy_with_logits(logits_BD, x_BD, reduction="none").sum(-1)


def continuous_bernoulli_nll(logits_BD: Tensor, x_BD: Tensor) -> Tensor:
    """−log density of the continuous Bernoulli; shape ``(B,)``, nats (of density) per image.

    Loaiza-Ganem and Cunningham (2019), eq. 7: the Bernoulli term less the log-normaliser
    log C(λ) = log(2 artanh(1 − 2λ) / (1 − 2λ)), which in logits l is log(l / tanh(l / 2)).
    """
    half = logits_BD.abs() / 2
    # l / tanh(l/2) is 0/0 at l = 0; its series there is 2 + l²/6, exact to float32 below 0.05.
    small = half < 0.025
    safe = torch.where(small, torch.ones_like(half), half)
    normaliser = torch.where(
        small, torch.log(2 + 4 * half.square() / 6), torch.log(2 * safe / torch.tanh(safe))
    )
    return bernoulli_nll(logits_BD, x_BD) - normaliser.sum(-1)


def continuous_bernoulli_mean(logits_BD: Tensor) -> Tensor:
    """The mean of the continuous Bernoulli of given logits, ``(B, D)`` in [0, 1].

    Loaiza-Ganem and Cunningham (2019), eq. 8, which in logits l is 1 / (1 − exp(−l)) − 1 / l.
    ``torch.distributions`` computes it from λ, which in float32 near l = 0 leaves three digits.
    """
    small = logits_BD.abs() < 0.25
    # Both parts are infinite at l = 0; the series there is 1/2 + l/12 − l³/720.
    safe = torch.where(small, torch.ones_like(logits_BD), logits_BD)
    series = 0.5 + logits_BD / 12 - logits_BD.pow(3) / 720
    return torch.where(small, series, -1 / torch.expm1(-safe) - 1 / safe)


def gaussian_kl(mean_BZ: Tensor, log_variance_BZ: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) of every dimension; shape ``(B, Z)``, nats.

    Kingma and Welling (2014), appendix B: ½ (μ² + σ² − log σ² − 1).
    """
    return 0.5 * (mean_BZ.square() + log_variance_BZ.exp() - log_variance_BZ - 1)
