"""Metrics along a strength or a number: damaged images, few labels."""

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from aelab.report.figures.base import FIGURES, Drawing, View, figure
from aelab.report.figures.drawing import legend, panels, spread
from aelab.report.numbers import listing, number
from aelab.report.results import Model
from aelab.report.style import MUTED
from aelab.runs.records import Estimate, MetricInfo

MARKERS = "os^Dv"
BASE_DASHES = ("--", ":")
CLEAN = "mse"  # the metric of undamaged images, where the curves of damage begin
STRENGTHS = {"share": "share of pixels", "side": "share of each side"}


@figure(FIGURES, "robustness", "Damaged images", "Reconstruction")
def robustness(view: View) -> Drawing | None:
    """Mean squared error per pixel against the clean image, when the model is given a damaged one:
    Gaussian noise (clipped to [0, 1]), pixels set to black or white, a black rectangle of a share
    of each side. Every model sees the same damage; 0 is the undamaged image. Bars are 95% intervals
    over test images; dashed is PCA of the same size.
    """
    kinds = _kinds(view, "robustness")
    if not kinds:
        return None
    drawn, axes = panels(len(kinds), height=2.7)
    clean = [m for m in view.results.metrics.values() if m.name == CLEAN]
    alts = []
    for ax, (kind, metrics) in zip(axes, kinds.items(), strict=True):
        title, _, sign = kind.rpartition(", ")
        _curves(ax, view, [*clean, *metrics])
        ax.set(title=title, xlabel=STRENGTHS.get(sign, sign))
        ax.set_ylim(bottom=0)
        worst = metrics[-1]
        ends = [f"{m.title} {number(e.value, 3)}" for m in view.models for e in _at(m, [worst])[1]]
        alts.append(f"{title} of {sign} {worst.at:g}: {listing(ends)}")
    axes[0].set_ylabel("MSE per pixel")
    legend(drawn, axes[0])
    return Drawing(drawn, f"{'. '.join(alts)}.")


@figure(FIGURES, "few-labels", "With few labels", "Latent space")
def few_labels(view: View) -> Drawing | None:
    """Accuracy on test images of a logistic probe that was fitted to a few labelled codes of each
    class, mean of five draws; the codes themselves were learnt without labels. A curve that starts
    high belongs to codes that separate the classes. Dashed and dotted lines are PCA of the same
    size and raw pixels.
    """
    kinds = _kinds(view, "few labels")
    if not kinds:
        return None
    drawn, (ax,) = panels(1, height=2.7)
    (metrics,) = kinds.values()
    _curves(ax, view, metrics)
    places = [metric.at or 0 for metric in metrics]
    ax.set(xscale="log", xlabel="labels a class", ylabel="accuracy")
    ax.set_xticks(places, [number(place, 0) for place in places])
    ax.xaxis.set_minor_locator(NullLocator())
    legend(drawn, ax)
    ends = [
        f"{model.title} from {number(known[0].value, 3)} to {number(known[-1].value, 3)}"
        for model in view.models
        if (known := _at(model, metrics)[1])
    ]
    alt = f"accuracy with {listing(number(p, 0) for p in places)} labels a class"
    return Drawing(drawn, f"{alt}: {listing(ends)}.")


def _kinds(view: View, panel: str) -> dict[str, list[MetricInfo]]:
    """The metrics of a panel that some model has, by quantity, in the order of their places."""
    kinds: dict[str, list[MetricInfo]] = {}
    for metric in view.results.metrics.values():
        if metric.panel == panel and any(m.metrics.get(metric.name) for m in view.models):
            kinds.setdefault(metric.quantity, []).append(metric)
    return {kind: sorted(found, key=lambda m: m.at or 0) for kind, found in kinds.items()}


def _curves(ax: Axes, view: View, metrics: list[MetricInfo]) -> None:
    """Models in their colours with intervals, baselines muted and behind."""
    bases = [b for b in view.results.beside(view.latent_dim) if len(_at(b, metrics)[0]) > 1]
    for base, dashes in zip(bases, BASE_DASHES, strict=False):
        at, estimates = _at(base, metrics)
        ax.plot(at, [e.value for e in estimates], dashes, color=MUTED, lw=1.2, label=base.title)
    for index, model in enumerate(view.models):
        at, estimates = _at(model, metrics)
        values, errors = spread(estimates)
        ax.errorbar(
            at, values, errors, marker=MARKERS[index % len(MARKERS)], ms=3.5, capsize=2.5,
            color=view.color(model), elinewidth=1.2, label=model.title,
        )  # fmt: skip


def _at(model: Model, metrics: list[MetricInfo]) -> tuple[list[float], list[Estimate]]:
    """The places of the metrics that a model has, and its estimates there."""
    known = [(m.at or 0.0, e) for m in metrics if (e := model.metrics.get(m.name))]
    return [at for at, _ in known], [estimate for _, estimate in known]
