"""Checks of a trained model: what is wrong, by which number, and what to try.

Each check gives a finding, or None where it does not apply. A check that passes gives one too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from aelab.metrics.base import Array, Estimate
from aelab.metrics.context import Context
from aelab.metrics.latent import ACTIVE_VARIANCE, active, code_variance
from aelab.metrics.regularity import directional_derivatives

NEARLY_NO_NATS = 1.0  # KL: with less, the code carries less than two bits about an image
FAR_NATS = 1.0  # from the aggregate posterior to the prior
OVERFIT = 0.05  # of the training loss
VISIBLE = 0.5  # grey levels of 255, root mean square over the pixels: less is lost in rounding
CONSTANT = 1e-4  # of the largest variance: a dimension of a code without a scale of its own
ROUNDING = 1e-6  # of the mean: float32 has codes that vary by less where they are constant


@dataclass(frozen=True)
class CheckResult:
    """The result of a check; ``remedy`` is what to try unless the state is "fine"."""

    state: Literal["fine", "note", "bad"]
    text: str
    number: float
    threshold: float
    remedy: str = ""


@dataclass(frozen=True, eq=False)
class CheckInput:
    """What the checks read: the model, its estimates and its history."""

    context: Context
    metrics: Mapping[str, Estimate | None]
    history: Sequence[Mapping[str, Any]]


def health(
    context: Context,
    metrics: Mapping[str, Estimate | None],
    history: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The findings of every check that applies, as plain JSON."""
    results = CheckInput(context, metrics, history)
    findings = {name: check(results) for name, check in CHECKS.items()}
    return [{"check": name} | asdict(found) for name, found in findings.items() if found]


def posterior_collapse(results: CheckInput) -> CheckResult | None:
    """Whether the KL is near zero."""
    kl = results.metrics.get("kl")
    if kl is None:
        return None
    text = f"The KL is {kl.value:.2f} nats an image"
    if kl.value >= NEARLY_NO_NATS:
        return CheckResult(
            "fine", f"{text}: the code depends on the image.", kl.value, NEARLY_NO_NATS
        )
    return CheckResult(
        "bad",
        f"{text}: the posterior equals the prior (posterior collapse), and the decoder ignores the "
        "code.",
        kl.value,
        NEARLY_NO_NATS,
        "Lower β, let it rise over the first epochs (kl_warmup), or raise the learning rate.",
    )


def unused_dimensions(results: CheckInput) -> CheckResult | None:
    """Dimensions that carry no information; not defined for one image."""
    context = results.context
    if len(context.data.test) < 2:
        return None
    if "likelihood" in context.capabilities:
        used = active(context)
        rule = f"a mean that varies by {ACTIVE_VARIANCE} or less over the test images"
        threshold = ACTIVE_VARIANCE
        advice = "To have them used, lower β or let it rise slowly (kl_warmup)."
    else:  # without a prior there is no scale: compare with the strongest dimension
        variance_Z = code_variance(context)
        mean_Z = context.codes("test").mean(axis=0, dtype=np.float64)
        used = variance_Z > np.maximum(CONSTANT * variance_Z.max(), (ROUNDING * mean_Z) ** 2)
        rule = f"a variance below {CONSTANT:g} of the largest"
        threshold = CONSTANT
        advice = "Try a lower learning rate if units died early in training."
    unused, count = int((~used).sum()), len(used)
    if not unused:
        text = f"All {count} dimensions vary with the image."
        return CheckResult("fine", text, 0.0, threshold)
    verb = "carries" if unused == 1 else "carry"
    return CheckResult(
        "bad" if unused == count else "note",
        f"{unused} of {count} dimensions {verb} no information ({rule}).",
        float(unused),
        threshold,
        ("It does no harm; a smaller latent_dim does the same. " if unused < count else "")
        + advice,
    )


def aggregate_posterior(results: CheckInput) -> CheckResult | None:
    """Whether the aggregate posterior matches the prior that samples are drawn from."""
    gap = results.metrics.get("prior_gap")
    if gap is None:
        return None
    text = f"The aggregate posterior is {gap.value:.2f} nats from the prior"
    if gap.value <= FAR_NATS:
        kl = results.metrics.get("kl")
        if kl is not None and kl.value < NEARLY_NO_NATS:
            return None  # collapsed posteriors match the prior, which is no merit
        text += ": codes drawn from the prior are like codes of images."
        return CheckResult("fine", text, gap.value, FAR_NATS)
    return CheckResult(
        "note",
        f"{text}, by mean and covariance alone: the prior draws codes unlike those of images.",
        gap.value,
        FAR_NATS,
        "Draw from the fitted Gaussian or mixture; train longer, or raise β.",
    )


def overfitting(results: CheckInput) -> CheckResult | None:
    """The loss on validation images against that on training images, after the last epoch."""
    if not results.history:
        return None
    last = results.history[-1]
    train, validation = (float(last[split]["total"]) for split in ("train", "validation"))
    gap = (validation - train) / abs(train) if train else 0.0
    text = f"The loss is {validation:.1f} nats on validation images, {train:.1f} in training"
    if gap <= OVERFIT:
        return CheckResult("fine", f"{text} ({gap:+.1%}).", gap, OVERFIT)
    return CheckResult(
        "bad",
        f"{text} ({gap:+.1%}): the model overfits.",
        gap,
        OVERFIT,
        "Use more training images, early_stopping, dynamic pixels or a smaller network.",
    )


def dead_inputs(results: CheckInput) -> CheckResult | None:
    """Dimensions along which one standard deviation of the codes does not change the image."""
    context = results.context
    if "decoder" not in context.capabilities or not code_variance(context).any():
        return None
    effect_Z = input_effect(context)
    dead, count = int((effect_Z < VISIBLE).sum()), len(effect_Z)
    if not dead:
        text = f"The image changes with each of the {count} dimensions."
        return CheckResult("fine", text, 0.0, VISIBLE)
    return CheckResult(
        "bad" if dead == count else "note",
        f"The image does not change with {dead} of {count} dimensions (one standard deviation of "
        f"the codes changes it by less than {VISIBLE:g} grey levels of 255).",
        float(dead),
        VISIBLE,
        ("Expected where a dimension is unused, and harmless; otherwise t" if dead < count else "T")
        + "rain longer or lower the learning rate.",
    )


def input_effect(context: Context) -> Array:
    """How much the image changes by one σ along each dimension, ``(Z,)``, in grey levels of 255.

    Root mean square over the pixels, mean over test codes. σ is that of the deterministic codes of
    the test images: a collapsed VAE's decoder may react to the noise of the posterior, but that
    noise does not depend on the image.
    """
    directions_ZZ = np.diag(np.sqrt(code_variance(context)))
    norm_Z = directional_derivatives(context, directions_ZZ).mean(0).numpy()
    return np.asarray(255 * norm_Z / np.sqrt(context.data.test.images.shape[1]))


CHECKS: dict[str, Callable[[CheckInput], CheckResult | None]] = {
    "posterior collapse": posterior_collapse,
    "unused dimensions": unused_dimensions,
    "dead decoder inputs": dead_inputs,
    "aggregate posterior": aggregate_posterior,
    "overfitting": overfitting,
}
