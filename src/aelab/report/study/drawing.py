"""What the figures of a study share: what they are drawn from, and the axis of Δ."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, MaxNLocator

from aelab.report.figures.base import FigureKind
from aelab.report.study.results import Amount, StudyResults, Sweep
from aelab.report.style import MUTED, model_color


@dataclass(frozen=True)
class SweepView:
    """An axis of a study."""

    found: StudyResults
    sweep: Sweep

    def color(self, model: str) -> str:
        """The colour of a model's identity; baselines are muted."""
        if model in self.found.baselines:
            return MUTED
        return model_color(model, self.found.titles)


SEEDS: dict[str, FigureKind[StudyResults]] = {}
ALONG: dict[str, FigureKind[SweepView]] = {}


def scale(axis: Axis, amount: Amount, low: float, high: float, ticks: int = 5) -> None:
    """Put ticks between ``low`` and ``high``; those of a ratio are where its logarithm is."""
    if not amount.ratio:
        axis.set_major_locator(MaxNLocator(ticks))
        return
    ends = float(np.exp(low)), float(np.exp(high))
    near = ends[1] < 4 * ends[0]
    steps = MaxNLocator(ticks) if near else LogLocator(subs=(1.0, 2.0, 5.0))
    inside = [t for t in steps.tick_values(*ends) if ends[0] <= t <= ends[1]]
    inside = inside[:: -(-len(inside) // (ticks + 2)) or 1]
    axis.set_major_locator(FixedLocator([float(np.log(t)) for t in inside]))
    axis.set_major_formatter(FixedFormatter([f"{t:g}×" for t in inside]))
