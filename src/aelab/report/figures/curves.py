"""Metrics along a strength or a number: damaged images, few labels."""

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from aelab.report.figures.base import FIGURES, Drawing, View, figure
from aelab.report.figures.drawing import panels, spread
from aelab.report.numbers import listing, number
from aelab.report.results import Model
from aelab.report.style import MUTED
from aelab.runs.records import Estimate, Metric

MARKERS = "os^Dv"
BASE_DASHES = ("--", ":")
CLEAN = "mse"  # the metric of undamaged images, where the curves of damage begin
STRENGTHS = {"share": "share of pixels", "side": "share of each side"}


@figure(FIGURES, "robustness", "Damaged images", "Reconstruction")
def robustness(view: View) -> Drawing | None:
    """Mean squared error per pixel against the clean image, when the model is given a damaged one:
    Gaussian noise (clipped to [0, 1]), pixels set to black or white, a black rectangle of a share
    of each side. Every model sees the same damage; at 0 the image is whole. Bars are 95% intervals
    over test images; dashed is PCA of the same size.
    """
    kinds = _kinds(view, "robustness")
    if not kinds:
        return None
    drawn, axes = panels(1, len(kinds), height=2.7)
    alts = []
    for ax, (kind, metrics) in zip(axes, kinds.items(), strict=True):
        title, _, sign = kind.rpartition(", ")
        _curves(ax, view, metrics, view.results.measures.get(CLEAN))
        ax.set(title=title, xlabel=STRENGTHS.get(sign, sign))
        ax.set_ylim(bottom=0)
        worst = metrics[-1]
        ends = [f"{m.title} {number(e.value, 3)}" for m in view.models for e in _known(m, worst)]
        alts.append(f"{title} of {sign} {worst.at:g}: {listing(ends)}")
    axes[0].set_ylabel("MSE per pixel")
    axes[0].legend(loc="upper left")
    return Drawing(drawn, f"{'. '.join(alts)}.")


@figure(FIGURES, "few-labels", "With few labels", "Latent space")
def few_labels(view: View) -> Drawing | None:
    """Accuracy on test images of a logistic probe that was given only so many labelled codes of
    each class, the mean of five draws; the codes themselves were learnt without labels. A curve
    that starts high has found the classes by itself. Dashed and dotted are PCA of the same size and
    raw pixels.
    """
    kinds = _kinds(view, "few labels")
    if not kinds:
        return None
    drawn, (ax,) = panels(1, 1, height=2.7)
    (metrics,) = kinds.values()
    _curves(ax, view, metrics, None)
    places = [metric.at or 0 for metric in metrics]
    ax.set(xscale="log", xlabel="labels a class", ylabel="accuracy")
    ax.set_xticks(places, [number(place, 0) for place in places])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend(loc="lower right")
    ends = [
        f"{model.title} from {number(first.value, 3)} to {number(last.value, 3)}"
        for model in view.models
        for first in _known(model, metrics[0])
        for last in _known(model, metrics[-1])
    ]
    alt = f"accuracy with {listing(number(p, 0) for p in places)} labels a class"
    return Drawing(drawn, f"{alt}: {listing(ends)}.")


def _kinds(view: View, panel: str) -> dict[str, list[Metric]]:
    """The metrics of a panel that some model has, by quantity, in the order of their places."""
    kinds: dict[str, list[Metric]] = {}
    for metric in view.results.measures.values():
        if metric.panel == panel and any(m.metrics.get(metric.name) for m in view.models):
            kinds.setdefault(metric.quantity, []).append(metric)
    return {kind: sorted(found, key=lambda m: m.at or 0) for kind, found in kinds.items()}


def _curves(ax: Axes, view: View, metrics: list[Metric], clean: Metric | None) -> None:
    """Models in their colours with intervals, baselines muted and behind."""
    places = [(metric, metric.at or 0.0) for metric in metrics]
    if clean:
        places = [(clean, 0.0), *places]
    bases = [
        b
        for b in view.results.beside(view.latent_dim)
        if any(b.metrics.get(m.name) for m in metrics)
    ]
    for base, dashes in zip(bases, BASE_DASHES, strict=False):
        at, estimates = _points(base, places)
        ax.plot(at, [e.value for e in estimates], dashes, color=MUTED, lw=1.2, label=base.title)
    for index, model in enumerate(view.models):
        at, estimates = _points(model, places)
        values, errors = spread(estimates)
        ax.errorbar(
            at, values, errors, marker=MARKERS[index % len(MARKERS)], ms=3.5, capsize=2.5,
            color=view.color(model), elinewidth=1.2, label=model.title,
        )  # fmt: skip


def _points(model: Model, places: list[tuple[Metric, float]]) -> tuple[list[float], list[Estimate]]:
    found = [(at, estimate) for metric, at in places for estimate in _known(model, metric)]
    return [at for at, _ in found], [estimate for _, estimate in found]


def _known(model: Model, metric: Metric) -> Iterator[Estimate]:
    """The estimate, if the model has it."""
    if found := model.metrics.get(metric.name):
        yield found
