"""What the settings do: importances, slices, parallel coordinates."""

import math

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from aelab.report.figures.base import Drawing, figure
from aelab.report.figures.drawing import note, panels, tiles, unframed
from aelab.report.numbers import listing
from aelab.report.search.drawing import KINDS, SearchView, point, tick, upright
from aelab.report.search.records import Dimension
from aelab.report.style import LINE, MUTED

SECTION = "Hyperparameters"
JITTER = 0.16  # of a place on an axis of options


@figure(KINDS, "importances", "What matters", SECTION)
def importances(view: SearchView) -> Drawing | None:
    """The share of the variance over the complete trials that each setting explains by itself
    (fANOVA on a random forest; Hutter et al., 2014). The complete trials are those that the sampler
    preferred and the pruner kept, so this speaks about the better part of the space.
    """
    shares = view.results.importances[0]
    if not shares:
        return None
    titles = {dimension.name: dimension.title for dimension in view.results.dimensions}
    names = sorted(shares, key=lambda name: -shares[name])
    rows = [(titles[name], shares[name]) for name in names]
    drawn, [ax] = panels(view, 1, 1, height=0.5 + 0.27 * len(rows))
    lengths = [share for _, share in rows]
    bars = ax.barh([title for title, _ in rows], lengths, height=0.62, color=view.color)
    ax.bar_label(bars, [f"{share:.0%}" for _, share in rows], padding=4)
    ax.set(ylim=(len(rows) - 0.4, -0.6), xlim=(0, 1.12 * rows[0][1]))
    unframed(ax)
    ax.xaxis.set_major_locator(NullLocator())
    texts = listing(f"{title} {share:.0%}" for title, share in rows)
    return Drawing(drawn, f"Share of the variance explained: {texts}.")


@figure(KINDS, "slices", "Setting by setting", SECTION)
def slices(view: SearchView) -> Drawing | None:
    """Each panel shows every trial by one setting, the others being whatever they were. Filled:
    trained to its end; open: pruned, with its last value; triangle: beyond the axis.
    """
    results = view.results
    if not results.best:
        return None
    drawn, axes = tiles(view, len(results.dimensions), 3, height=1.75, sharey=True)
    low, high = view.limits()
    for ax, dimension in zip(axes, results.dimensions, strict=True):
        for trial in results.trials:
            if trial.last is not None and dimension.name in trial.settings:
                x = _place(dimension, trial.settings[dimension.name], trial.number)
                point(ax, view, trial, x, high)
        _axis(ax, dimension, 14 if view.narrow else 22)
        ax.set(title=dimension.title, ylim=upright(low, high))
    drawn.supylabel(view.label, fontsize=8, color=MUTED)
    names = listing(dimension.title for dimension in results.dimensions)
    return Drawing(drawn, f"{view.label} of every trial by {names}.")


@figure(KINDS, "parallel", "Whole settings", SECTION)
def parallel(view: SearchView) -> Drawing | None:
    """A line a complete trial through all its settings, from the lower end of each range to the
    upper. Coloured are the best tenth; where their lines gather, the setting matters.
    """
    results, dimensions = view.results, view.results.dimensions
    complete = results.state("complete")
    if len(dimensions) < 2 or len(complete) < 2:
        return None
    top = set(results.best[: max(1, round(len(complete) / 10))])
    count = len(dimensions)
    drawn, [ax] = panels(view, 1, 1, height=0.46 * count + 0.3)
    for trial in sorted(complete, key=lambda t: t.number in top):
        shares = [_share(d, trial.settings[d.name], trial.number) for d in dimensions]
        color, alpha, width = (view.color, 0.9, 1.4) if trial.number in top else (MUTED, 0.25, 0.7)
        ax.plot(shares, range(count), color=color, alpha=alpha, linewidth=width)
    for place, dimension in enumerate(dimensions):
        ax.plot([0, 1], [place, place], color=LINE, linewidth=1, zorder=0)
        for share, text in enumerate(_ends(dimension)):
            side = "right" if share else "left"
            note(ax, text, (share, place), (0, -9), ha=side, va="center", fontsize=6.5)
    unframed(ax)
    ax.set(xlim=(-0.03, 1.03), ylim=(count - 0.5, -0.6), xticks=[])
    ax.set_yticks(range(count), [dimension.title for dimension in dimensions])
    best = listing(f"trial {n}" for n in sorted(top))
    return Drawing(drawn, f"{len(complete)} trials; coloured: {best}.")


def _ends(dimension: Dimension) -> tuple[str, str]:
    if dimension.options:
        return str(dimension.options[0]), str(dimension.options[-1])
    return tick(dimension.low), tick(dimension.high)


def _place(dimension: Dimension, value: float | str, number: int) -> float:
    """Where a value lies; options are spread a little so that equal ones do not hide each other."""
    if not dimension.options:
        return float(value)
    shift = JITTER * (2 * (number * 0.618034 % 1) - 1)
    return dimension.options.index(value) + shift


def _share(dimension: Dimension, value: float | str, number: int) -> float:
    """Where a value lies between the lower end (0) and the upper (1)."""
    x = _place(dimension, value, number)
    if dimension.options:
        return min(max(x / max(len(dimension.options) - 1, 1), 0), 1)
    low, high = dimension.low, dimension.high
    if dimension.log:
        low, high, x = math.log(low), math.log(high), math.log(x)
    return (x - low) / (high - low)


def _axis(ax: Axes, dimension: Dimension, room: int) -> None:
    """The ticks of a dimension; options of more than ``room`` letters are rotated."""
    if dimension.options:
        names = [str(option) for option in dimension.options]
        ax.set_xticks(range(len(names)), names)
        ax.set_xlim(-0.6, len(names) - 0.4)
        if sum(map(len, names)) > room:
            ax.tick_params(axis="x", labelrotation=35, labelsize=6.5)
        ax.grid(visible=False, axis="x")
    elif dimension.log:
        ax.set_xscale("log")
        ticks = log_ticks(dimension.low, dimension.high)
        ax.set_xticks(ticks, [tick(value) for value in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4))


def log_ticks(low: float, high: float) -> list[float]:
    """The powers of ten in a range, at most four of them; where there are few, its ends too."""
    powers = [10.0**k for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    if len(powers) < 2:
        return [low, math.sqrt(low * high), high]
    return powers[:: -(-len(powers) // 4)]
