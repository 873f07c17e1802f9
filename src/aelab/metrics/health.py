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
from aelab.metrics.latent import ACTIVE_VARIANCE, active, code_variance
from aelab.metrics.regularity import movement

NEARLY_NO_NATS = 1.0  # KL below it: the code says less than two yes-or-no answers about an image
FAR_NATS = 1.0  # from the aggregate posterior to the prior
OVERFIT = 0.05  # of the training loss
VISIBLE = 0.5  # grey levels of 255, root mean square over the pixels: less is lost in rounding
CONSTANT = 1e-4  # of the largest variance: a dimension of a code without a scale of its own
ROUNDING = 1e-6  # of the mean: float32 has codes that vary by less where they are constant


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


def unused_dimensions(known: Known) -> Finding | None:
    """Dimensions that carry nothing; one image does not tell."""
    context = known.context
    if len(context.data.test) < 2:
        return None
    if "likelihood" in context.capabilities:
        used = active(context)
        rule = f"a mean that varies by {ACTIVE_VARIANCE} or less over the test images"
        threshold = ACTIVE_VARIANCE
    else:  # without a prior there is no scale: compare with the strongest dimension
        variance_Z = code_variance(context)
        mean_Z = context.codes("test").mean(axis=0, dtype=np.float64)
        used = variance_Z > np.maximum(CONSTANT * variance_Z.max(), (ROUNDING * mean_Z) ** 2)
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
        ("It costs nothing; a smaller latent_dim does the same. " if idle < count else "")
        + (
            "To have them used, lower β or let it rise slowly (kl_warmup)."
            if "likelihood" in context.capabilities
            else "Try a lower learning rate if units died early in training."
        ),
    )


def _many(idle: int, count: int) -> str:
    return f"{idle} of {count} dimensions {'carries' if idle == 1 else 'carry'}"


def aggregate_posterior(known: Known) -> Finding | None:
    """Whether the codes fill the prior that samples are drawn from."""
    gap = known.metrics.get("prior_gap")
    if gap is None:
        return None
    told = f"All posteriors together are {gap.value:.2f} nats from the prior"
    if gap.value <= FAR_NATS:
        kl = known.metrics.get("kl")
        if kl is not None and kl.value < NEARLY_NO_NATS:
            return None  # posteriors that all are the prior fill it, which is no merit
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


def dead_inputs(known: Known) -> Finding | None:
    """Dimensions along which the image does not move, one standard deviation of the codes."""
    if not code_variance(known.context).any():  # codes that are all the same
        return None
    effect_Z = input_effect(known.context)
    dead, count = int((effect_Z < VISIBLE).sum()), len(effect_Z)
    if not dead:
        text = f"The image moves with each of the {count} dimensions."
        return Finding("dead decoder inputs", "fine", text, 0.0, VISIBLE)
    return Finding(
        "dead decoder inputs",
        "bad" if dead == count else "note",
        f"The image does not move with {dead} of {count} dimensions (one standard deviation of the"
        f" codes changes it by less than {VISIBLE:g} grey levels of 255).",
        float(dead),
        VISIBLE,
        ("Expected where a dimension is unused, and harmless; otherwise t" if dead < count else "T")
        + "rain longer or lower the learning rate.",
    )


def input_effect(context: Context) -> Array:
    """How far the image moves for one σ along each dimension, ``(Z,)``, in grey levels of 255.

    Root mean square over the pixels, mean over test codes. σ is that of the deterministic codes of
    the test images: a collapsed VAE's decoder may react to the noise of the posterior, but that
    says nothing about the image.
    """
    norm_Z = movement(context, np.diag(np.sqrt(code_variance(context)))).mean(0).numpy()
    return np.asarray(255 * norm_Z / np.sqrt(context.data.test.images.shape[1]))


CHECKS: tuple[Callable[[Known], Finding | None], ...] = (
    information,
    unused_dimensions,
    dead_inputs,
    aggregate_posterior,
    overfitting,
)
