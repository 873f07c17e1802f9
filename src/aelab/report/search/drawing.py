"""What the figures of a search share: a trial as a mark, the axis of values."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from aelab.report.figures.base import FigureKind
from aelab.report.numbers import number
from aelab.report.style import MUTED, model_color
from aelab.runs.search_results import SearchResults, Trial

SPREAD = 2.5  # how far the axis of values goes beyond the median, in distances of it from the best


KINDS: dict[str, FigureKind[SearchResults]] = {}


def model_ink(results: SearchResults) -> str:
    """The colour of the model that was searched."""
    return model_color(results.model, {results.model})


def limits(results: SearchResults, values: Sequence[float] = ()) -> tuple[float, float]:
    """The best value and the worst that the axis shows; worse ones are drawn at its end."""
    sign = 1 if results.lower else -1
    known = [sign * value for value in results.values.values()]
    best = min(known)
    median = float(np.median([*known, *(sign * value for value in values)]))
    edge = min(max(known), best + SPREAD * (median - best))
    return sign * best, sign * (edge if edge != best else best + 1)


def upright(best: float, edge: float) -> tuple[float, float]:
    """The ends of the axis of values, with a margin: low, high."""
    margin = 0.06 * abs(edge - best)
    return min(best, edge) - margin, max(best, edge) + margin


def point(ax: Axes, results: SearchResults, trial: Trial, x: float, edge: float) -> None:
    """A trial: filled, open or, beyond the axis, a triangle at its end."""
    assert trial.last is not None
    lower = results.lower
    beyond = trial.last > edge if lower else trial.last < edge
    marker = ("^" if lower else "v") if beyond else "o"
    color = model_ink(results) if trial.complete else MUTED
    ax.plot(
        [x], [edge if beyond else trial.last], marker, color=color, alpha=0.85,
        markersize=6.5 if results.winner is trial else 3.8,
        markerfacecolor=color if trial.complete else "none", markeredgewidth=0.8,
    )  # fmt: skip


def tick(value: float) -> str:
    """A number at an axis."""
    return number(value, 0) if value == round(value) else f"{value:.3g}".replace("-", "−")
