"""What is wrong with a trained model, from which number, and what to try.

Each check is a function of what is known about the model; it gives a finding, or None where the
question does not arise. A check that passes says so, with its number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from aelab.metrics.base import Array, Estimate
from aelab.metrics.context import Context
from aelab.metrics.latent import ACTIVE_VARIANCE, active, aggregate, code_variance
from aelab.metrics.regularity import movement

NEARLY_NO_NATS = 1.0  # KL below it: the code says less than two yes-or-no answers about an image
FAR_NATS = 1.0  # from the aggregate posterior to the prior
OVERFIT = 0.05  # of the training loss
DEAD = 0.01  # of what the strongest dimension does: an input of the decoder without effect
CONSTANT = 1e-4  # of the largest variance: a dimension of a code without a scale of its own


@dataclass(frozen=True)
class Finding:
    """One line of the table: ``state`` tells whether to worry, ``remedy`` what to try then."""

    check: str
    state: Literal["fine", "note", "bad"]
    text: str
    number: float
    threshold: float
    remedy: str = ""


@dataclass(frozen=True, eq=False)
class Known:
    """All that a check may look at."""

    context: Context
    metrics: Mapping[str, Estimate | None]
    history: Sequence[Mapping[str, Any]]


def health(
    context: Context,
    metrics: Mapping[str, Estimate | None],
    history: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The findings of every check that applies, as plain JSON."""
    known = Known(context, metrics, history)
    findings = (check(known) for check in CHECKS)
    return [asdict(finding) for finding in findings if finding is not None]


def information(known: Known) -> Finding | None:
    """KL near zero: posterior collapse."""
    kl = known.metrics.get("kl")
    if kl is None:
        return None
    told = f"The KL is {kl.value:.2f} nats an image"
    if kl.value >= NEARLY_NO_NATS:
        text = f"{told}: the code tells images apart."
        return Finding("posterior collapse", "fine", text, kl.value, NEARLY_NO_NATS)
    return Finding(
        "posterior collapse",
        "bad",
        f"{told}: the posterior has fallen onto the prior, and the decoder ignores the code.",
        kl.value,
        NEARLY_NO_NATS,
        "Lower β, let it rise over the first epochs (kl_warmup), or raise the learning rate.",
    )


def unused_dimensions(known: Known) -> Finding:
    """Dimensions that carry nothing."""
    context = known.context
    if context.level == "posterior":
        used = active(context)
        rule = f"a mean that varies by {ACTIVE_VARIANCE} or less over the test images"
        threshold = ACTIVE_VARIANCE
    else:  # without a prior there is no scale: compare with the strongest dimension
        variance_Z = code_variance(context)
        used = variance_Z > CONSTANT * variance_Z.max()
        rule = f"a variance below {CONSTANT:g} of the largest"
        threshold = CONSTANT
    idle, count = int((~used).sum()), len(used)
    if not idle:
        text = f"All {count} dimensions vary with the image."
        return Finding("unused dimensions", "fine", text, 0.0, threshold)
    return Finding(
        "unused dimensions",
        "bad" if idle == count else "note",
        f"{_many(idle, count)} nothing ({rule}).",
        float(idle),
        threshold,
        "It costs nothing; a smaller latent_dim does the same. To have them used, lower β or let it"
        " rise slowly (kl_warmup)."
        if context.level == "posterior"
        else "Try a smaller latent_dim, or a lower learning rate if units died early in training.",
    )


def _many(idle: int, count: int) -> str:
    return f"{idle} of {count} dimensions {'carries' if idle == 1 else 'carry'}"


def aggregate_posterior(known: Known) -> Finding | None:
    """Whether the codes fill the prior that samples are drawn from."""
    gap = known.metrics.get("prior_gap")
    if gap is None:
        return None
    told = f"All posteriors together are {gap.value:.2f} nats from N(0, I)"
    if gap.value <= FAR_NATS:
        text = f"{told}: the prior draws codes that the decoder knows."
        return Finding("aggregate posterior", "fine", text, gap.value, FAR_NATS)
    return Finding(
        "aggregate posterior",
        "note",
        f"{told}, by mean and covariance alone: the prior draws codes that no image has.",
        gap.value,
        FAR_NATS,
        "Draw from the fitted Gaussian or mixture; train longer, or raise β.",
    )


def overfitting(known: Known) -> Finding | None:
    """The loss on validation images beside that on training images, after the last epoch."""
    if not known.history:
        return None
    last = known.history[-1]
    train, validation = (float(last[split]["total"]) for split in ("train", "validation"))
    gap = (validation - train) / abs(train) if train else 0.0
    told = f"The loss is {validation:.1f} nats on validation images, {train:.1f} in training"
    if gap <= OVERFIT:
        return Finding("overfitting", "fine", f"{told} ({gap:+.1%}).", gap, OVERFIT)
    return Finding(
        "overfitting",
        "bad",
        f"{told} ({gap:+.1%}): the model learns its training images by heart.",
        gap,
        OVERFIT,
        "Use more training images, early_stopping, dynamic pixels or a smaller network.",
    )


def dead_inputs(known: Known) -> Finding:
    """Dimensions that the decoder does not react to, one standard deviation along each."""
    effect_Z = input_effect(known.context)
    strongest = float(effect_Z.max())
    dead, count = int((effect_Z <= DEAD * strongest).sum()), len(effect_Z)
    if not dead:
        text = f"The image moves with each of the {count} dimensions."
        return Finding("dead decoder inputs", "fine", text, 0.0, DEAD)
    return Finding(
        "dead decoder inputs",
        "bad" if dead == count else "note",
        f"The decoder ignores {dead} of {count} dimensions (a move by one standard deviation"
        f" changes the image by less than {DEAD:.0%} of what the strongest does).",
        float(dead),
        DEAD,
        "Expected where a dimension is unused, and harmless; otherwise train longer or lower the"
        " learning rate.",
    )


def input_effect(context: Context) -> Array:
    """How far the image moves, in pixels' Euclidean norm, for one σ along each dimension, ``(Z,)``.

    The mean over test codes; σ is that of what the decoder is given: all posteriors, or the codes.
    """
    if context.level == "posterior":
        spread_Z = np.sqrt(aggregate(context)[1].diagonal())
    else:
        spread_Z = np.sqrt(code_variance(context))
    return movement(context, np.diag(spread_Z)).mean(0).numpy()


CHECKS: tuple[Callable[[Known], Finding | None], ...] = (
    information,
    unused_dimensions,
    dead_inputs,
    aggregate_posterior,
    overfitting,
)
