"""Measures along a strength or a number: damaged images, few labels."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from aelab.report.figures.base import Drawing, View, figure, panels
from aelab.report.numbers import listing, number
from aelab.report.results import Estimate, Measure, Model
from aelab.report.style import MUTED

MARKERS = "os^Dv"
BASE_DASHES = ("--", ":")
#: The measure of undamaged images: where the curves of damage begin.
CLEAN = "mse"


@figure(
    "robustness",
    "Damaged images",
    section="Reconstruction",
    reading="Mean squared error per pixel against the clean image, when the model is given a"
    " damaged one: Gaussian noise (clipped to [0, 1]), pixels set to black or white, a"
    " black rectangle of a share of each side. Every model sees the same damage; at 0 the image is"
    " whole. Bars are 95% intervals over test images; dashed is PCA of the same size.",
)
def robustness(view: View) -> Drawing | None:
    """One panel a kind of damage, one curve a model."""
    kinds = _kinds(view, "robustness")
    if not kinds:
        return None
    drawn, axes = panels(view, 1, len(kinds), height=2.4 if view.narrow else 2.7)
    alts = []
    for ax, (kind, measures) in zip(axes, kinds.items(), strict=True):
        title, _, sign = kind.rpartition(", ")
        _curves(ax, view, measures, view.measures.get(CLEAN))
        ax.set(title=title, xlabel={"σ": "σ", "share": "share of pixels"}.get(sign, sign))
        if sign == "side":
            ax.set_xlabel("share of each side")
        ax.set_ylim(bottom=0)
        worst = measures[-1]
        ends = [f"{m.title} {_value(m, worst)}" for m in view.models if m.metrics.get(worst.name)]
        alts.append(f"{title} of {sign} {worst.at:g}: {listing(ends)}")
    axes[0].set_ylabel("MSE per pixel")
    if view.narrow:
        for ax in axes[1:]:
            ax.set_ylabel("MSE per pixel")
    axes[0].legend(loc="upper left")
    alt = f"Error from damaged images, d = {view.latent_dim}. {'. '.join(alts)}."
    return Drawing(drawn, alt, _denoising(view, kinds))


def _denoising(view: View, kinds: dict[str, list[Measure]]) -> dict[str, str]:
    """Which model suffers more, only where the intervals at the worst damage do not overlap."""
    if len(view.models) != 2:
        return {}
    told = []
    for kind, measures in kinds.items():
        pair = [(m, m.metrics.get(measures[-1].name)) for m in view.models]
        (one, a), (two, b) = pair
        if not a or not b or not a.interval or not b.interval:
            continue
        title = kind.rpartition(", ")[0].lower()
        if a.interval[1] < b.interval[0]:
            told.append(f"{title}: the {one.title}")
        elif b.interval[1] < a.interval[0]:
            told.append(f"{title}: the {two.title}")
    return {"Which one bears the strongest damage better": f"{'; '.join(told)}."} if told else {}


@figure(
    "few-labels",
    "With few labels",
    section="Latent space",
    reading="Accuracy on test images of a logistic probe that was given only so many labelled codes"
    " of each class, the mean of five draws; the codes themselves were learnt without labels. A"
    " curve that starts high has found the classes by itself. Dashed and dotted are PCA of the same"
    " size and raw pixels.",
)
def few_labels(view: View) -> Drawing | None:
    """Accuracy against labels a class."""
    kinds = _kinds(view, "few labels")
    if not kinds:
        return None
    drawn, (ax,) = panels(view, 1, 1, height=2.7)
    (measures,) = kinds.values()
    _curves(ax, view, measures, None)
    places = [measure.at or 0 for measure in measures]
    ax.set(xscale="log", xlabel="labels a class", ylabel="accuracy")
    ax.set_xticks(places, [number(place, 0) for place in places])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend(loc="lower right")
    told = [
        f"{model.title} from {_value(model, measures[0])} to {_value(model, measures[-1])}"
        for model in view.models
        if model.metrics.get(measures[0].name) and model.metrics.get(measures[-1].name)
    ]
    alt = f"Accuracy with {listing(number(p, 0) for p in places)} labels a class"
    return Drawing(drawn, f"{alt}, d = {view.latent_dim}: {listing(told)}.")


def _kinds(view: View, panel: str) -> dict[str, list[Measure]]:
    """The measures of a panel that some model has, by quantity, in the order of their places."""
    kinds: dict[str, list[Measure]] = {}
    for measure in view.measures.values():
        if measure.panel == panel and any(m.metrics.get(measure.name) for m in view.models):
            kinds.setdefault(measure.quantity, []).append(measure)
    return {kind: sorted(found, key=lambda m: m.at or 0) for kind, found in kinds.items()}


def _curves(ax: Axes, view: View, measures: list[Measure], clean: Measure | None) -> None:
    """Models in their colours with intervals, baselines muted and behind."""
    places = [(measure, measure.at or 0.0) for measure in measures]
    if clean:
        places = [(clean, 0.0), *places]
    bases = [b for b in view.baselines if any(b.metrics.get(m.name) for m in measures)]
    for base, dashes in zip(bases, BASE_DASHES, strict=False):
        points = list(_points(base, places))
        line = [at for at, _ in points], [found.value for _, found in points]
        ax.plot(*line, dashes, color=MUTED, lw=1.2, label=base.title)
    for index, model in enumerate(view.models):
        points = list(_points(model, places))
        x = np.array([at for at, _ in points])
        y = np.array([found.value for _, found in points])
        ends = np.array([found.interval or (found.value, found.value) for _, found in points])
        color = view.color(model)
        ax.errorbar(
            x, y, np.abs(ends.T - y), color=color, marker=MARKERS[index % len(MARKERS)], ms=3.5,
            elinewidth=1.2, capsize=2.5, label=model.title,
        )  # fmt: skip


def _points(model: Model, places: list[tuple[Measure, float]]) -> Iterator[tuple[float, Estimate]]:
    for measure, at in places:
        if found := model.metrics.get(measure.name):
            yield at, found


def _value(model: Model, measure: Measure) -> str:
    found = model.metrics[measure.name]
    assert found is not None
    return number(found.value, 3)
