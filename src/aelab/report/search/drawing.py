"""What the figures of a search share: their registry, a trial as a mark, the axis of values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from aelab.report.figures.base import Drawing
from aelab.report.numbers import number
from aelab.report.search.records import SearchResults, Trial
from aelab.report.style import MUTED, RC, model_color

SPREAD = 2.5  # how far the axis of values goes beyond the median, in distances of it from the best


@dataclass(frozen=True)
class Look:
    """A search, and the shape in which to draw it."""

    results: SearchResults
    narrow: bool = False

    @property
    def color(self) -> str:
        """The model's own."""
        return model_color(self.results.model, {self.results.model})

    @property
    def label(self) -> str:
        """What the axis of values is called; all of them are on validation."""
        return self.results.goal.label


Draw = Callable[[Look], Drawing | None]


@dataclass(frozen=True)
class Kind:
    """A figure of the page; ``draw`` gives None where there is nothing to show."""

    name: str
    title: str
    section: str
    reading: str
    draw: Draw


KINDS: dict[str, Kind] = {}


def figure(name: str, title: str, section: str, reading: str) -> Callable[[Draw], Draw]:
    """Register a pure function of a search under a section of its page."""

    def register(function: Draw) -> Draw:
        assert name not in KINDS, f"two figures are named {name}"

        def draw(look: Look) -> Drawing | None:
            with mpl.rc_context(RC):
                return function(look)

        KINDS[name] = Kind(name, title, section, reading, draw)
        return draw

    return register


def limits(results: SearchResults, values: Sequence[float] = ()) -> tuple[float, float]:
    """The best value and the worst that the axis shows; what is beyond is drawn at its end."""
    known = [trial.values[0] for trial in results.state("complete")]
    best = min(known) if results.lower else max(known)
    worst = max(known) if results.lower else min(known)
    reach = SPREAD * (float(np.median([*known, *values])) - best)
    edge = min(worst, best + reach) if results.lower else max(worst, best + reach)
    return best, edge if edge != best else best + (1 if results.lower else -1)


def upright(best: float, edge: float) -> tuple[float, float]:
    """The ends of the axis of values, with a margin: low, high."""
    margin = 0.06 * abs(edge - best)
    low, high = min(best, edge), max(best, edge)
    return low - margin, high + margin


def point(ax: Axes, look: Look, trial: Trial, x: float, ends: tuple[float, float]) -> None:
    """A trial: filled, open or, beyond the axis, a triangle at its end."""
    assert trial.last is not None
    _, edge = ends
    beyond = trial.last > edge if look.results.lower else trial.last < edge
    marker = ("^" if look.results.lower else "v") if beyond else "o"
    color = look.color if trial.complete else MUTED
    winner = look.results.winner is trial
    ax.plot(
        [x], [edge if beyond else trial.last], marker, color=color, alpha=0.85,
        markersize=6.5 if winner else 3.8, markerfacecolor=color if trial.complete else "none",
        markeredgewidth=0.8,
    )  # fmt: skip


def tick(value: float) -> str:
    """A number at an axis."""
    return number(value, 0) if value == round(value) else f"{value:.3g}".replace("-", "−")
