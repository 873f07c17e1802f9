"""What the settings do: importances and slices."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from aelab.report.figures.base import Drawing, figure
from aelab.report.figures.drawing import panels, tiles, unframed
from aelab.report.numbers import listing
from aelab.report.search.drawing import KINDS, limits, model_ink, point, tick, upright
from aelab.report.style import MUTED
from aelab.runs.search_results import Dimension, SearchResults

SECTION = "Hyperparameters"
ROOM = 22  # letters under a panel
JITTER = 0.16  # of a place on an axis of options


@figure(KINDS, "importances", "What matters", SECTION)
def importances(results: SearchResults) -> Drawing | None:
    """The share of the variance over the complete trials that each setting explains by itself
    (fANOVA on a random forest; Hutter et al., 2014). The complete trials are those that the sampler
    preferred and the pruner kept, so this speaks about the better part of the space.
    """
    shares = results.importances
    if not shares:
        return None
    titles = {dimension.name: dimension.title for dimension in results.dimensions}
    names = sorted(shares, key=lambda name: -shares[name])
    rows = [(titles[name], shares[name]) for name in names]
    drawn, [ax] = panels(1, 1, height=0.5 + 0.27 * len(rows))
    lengths = [share for _, share in rows]
    bars = ax.barh([title for title, _ in rows], lengths, height=0.62, color=model_ink(results))
    ax.bar_label(bars, [f"{share:.0%}" for _, share in rows], padding=4)
    ax.set(ylim=(len(rows) - 0.4, -0.6), xlim=(0, 1.12 * rows[0][1]))
    unframed(ax)
    ax.xaxis.set_major_locator(NullLocator())
    texts = listing(f"{title} {share:.0%}" for title, share in rows)
    return Drawing(drawn, f"Share of the variance explained: {texts}.")


@figure(KINDS, "slices", "Setting by setting", SECTION)
def slices(results: SearchResults) -> Drawing | None:
    """Each panel shows every trial by one setting, the others being whatever they were. Filled:
    trained to its end; open: pruned, with its last value; triangle: beyond the axis.
    """
    if not results.best:
        return None
    drawn, axes = tiles(len(results.dimensions), 3, height=1.75, sharey=True)
    low, high = limits(results)
    for ax, dimension in zip(axes, results.dimensions, strict=True):
        for trial in results.trials:
            if trial.last is not None and dimension.name in trial.settings:
                x = _place(dimension, trial.settings[dimension.name], trial.number)
                point(ax, results, trial, x, high)
        _axis(ax, dimension)
        ax.set(title=dimension.title, ylim=upright(low, high))
    drawn.supylabel(results.goal.label, fontsize=8, color=MUTED)
    names = listing(dimension.title for dimension in results.dimensions)
    return Drawing(drawn, f"{results.goal.label} of every trial by {names}.")


def _place(dimension: Dimension, value: float | str, number: int) -> float:
    """Where a value lies; options are spread a little so that equal ones do not hide each other."""
    if not dimension.options:
        return float(value)
    shift = JITTER * (2 * (number * 0.618034 % 1) - 1)
    return dimension.options.index(value) + shift


def _axis(ax: Axes, dimension: Dimension) -> None:
    """The ticks of a dimension; options of many letters are rotated."""
    if dimension.options:
        names = [str(option) for option in dimension.options]
        ax.set_xticks(range(len(names)), names)
        ax.set_xlim(-0.6, len(names) - 0.4)
        if sum(map(len, names)) > ROOM:
            ax.tick_params(axis="x", labelrotation=35, labelsize=6.5)
        ax.grid(visible=False, axis="x")
    elif dimension.log:
        ax.set_xscale("log")
        ticks = np.geomspace(dimension.low, dimension.high, 3)
        ax.set_xticks(ticks, [tick(value) for value in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4))
