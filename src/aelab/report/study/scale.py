"""An axis of Δ with ticks in the unit that is shown."""

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, MaxNLocator

from aelab.report.study.results import Amount


def scale(axis: Axis, amount: Amount, low: float, high: float, ticks: int = 5) -> None:
    """Put ticks between ``low`` and ``high``; those of a ratio stand where its logarithm is."""
    if not amount.ratio:
        axis.set_major_locator(MaxNLocator(ticks))
        return
    ends = float(np.exp(low)), float(np.exp(high))
    near = ends[1] < 4 * ends[0]
    steps = MaxNLocator(ticks) if near else LogLocator(subs=(1.0, 2.0, 5.0))
    shown = [t for t in steps.tick_values(*ends) if ends[0] <= t <= ends[1]]
    shown = shown[:: -(-len(shown) // (ticks + 2)) or 1]
    axis.set_major_locator(FixedLocator([float(np.log(t)) for t in shown]))
    axis.set_major_formatter(FixedFormatter([f"{t:g}×" for t in shown]))
