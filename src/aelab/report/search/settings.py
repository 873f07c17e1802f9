"""What the settings do: importances, slices, parallel coordinates."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from aelab.report.figures.base import NARROW, WIDE, Drawing, panels
from aelab.report.numbers import listing
from aelab.report.search.drawing import Look, figure, limits, point, tick, upright
from aelab.report.search.records import Dimension
from aelab.report.style import LINE, MUTED

JITTER = 0.16  # of a place on an axis of options


@figure(
    "importances",
    "What matters",
    "Hyperparameters",
    "The share of the variance over the complete trials that each setting explains by itself "
    "(fANOVA on a random forest; Hutter et al., 2014). The complete trials are those that the "
    "sampler liked and the pruner spared, so this speaks about the better part of the space.",
)
def importances(look: Look) -> Drawing | None:
    """A bar a setting."""
    shares = look.results.importances[0]
    if not shares:
        return None
    titles = {dimension.name: dimension.title for dimension in look.results.dimensions}
    rows = sorted(shares.items(), key=lambda row: -row[1])
    drawn, [ax] = panels(look, 1, 1, height=0.5 + 0.27 * len(rows))
    ax.barh(range(len(rows)), [share for _, share in rows], height=0.62, color=look.color)
    for place, (_, share) in enumerate(rows):
        ax.annotate(
            f"{share:.0%}", (share, place), xytext=(4, 0), textcoords="offset points", va="center"
        )
    ax.set_yticks(range(len(rows)), [titles[name] for name, _ in rows])
    ax.set(ylim=(len(rows) - 0.4, -0.6), xlim=(0, 1.12 * max(share for _, share in rows)))
    ax.grid(visible=False)
    ax.xaxis.set_major_locator(NullLocator())
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    told = listing(f"{titles[name]} {share:.0%}" for name, share in rows)
    return Drawing(drawn, f"Share of the variance explained: {told}.")


@figure(
    "slices",
    "Setting by setting",
    "Hyperparameters",
    "Each panel shows every trial by one setting, the others being whatever they were. Filled: "
    "trained to its end; open: pruned, with its last value; triangle: beyond the axis.",
)
def slices(look: Look) -> Drawing | None:
    """A small panel a setting."""
    results = look.results
    if not results.best:
        return None
    columns = 2 if look.narrow else 3
    rows = -(-len(results.dimensions) // columns)
    drawn = Figure(figsize=(NARROW if look.narrow else WIDE, 1.75 * rows), layout="constrained")
    grid = list(drawn.subplots(rows, columns, squeeze=False, sharey=True).ravel())
    low, high = limits(results)
    for ax, dimension in zip(grid, results.dimensions, strict=False):
        for trial in results.trials:
            if trial.last is not None and dimension.name in trial.settings:
                x = _place(dimension, trial.settings[dimension.name], trial.number)
                point(ax, look, trial, x, (low, high))
        _axis(ax, dimension, look.narrow)
        ax.set(title=dimension.title, ylim=upright(low, high))
    for ax in grid[len(results.dimensions) :]:
        ax.set_visible(False)
    drawn.supylabel(look.label, fontsize=8, color=MUTED)
    names = listing(dimension.title for dimension in results.dimensions)
    return Drawing(drawn, f"{look.label} of every trial by {names}.")


@figure(
    "parallel",
    "Whole settings",
    "Hyperparameters",
    "A line a complete trial through all its settings, from the lower end of each range to the "
    "upper. Coloured are the best tenth; where their lines gather, the setting matters.",
)
def parallel(look: Look) -> Drawing | None:
    """Parallel coordinates; on a phone the axes lie one under the other."""
    results = look.results
    complete = results.state("complete")
    if len(results.dimensions) < 2 or len(complete) < 2:
        return None
    top = set(results.best[: max(1, round(len(complete) / 10))])
    count = len(results.dimensions)
    height = 0.46 * count + 0.3 if look.narrow else 2.7
    drawn, [ax] = panels(look, 1, 1, height=height)
    for trial in sorted(complete, key=lambda t: t.number in top):
        shares = [_share(d, trial.settings[d.name], trial.number) for d in results.dimensions]
        best = trial.number in top
        x, y = (shares, range(count)) if look.narrow else (range(count), shares)
        ax.plot(x, y, color=look.color if best else MUTED, alpha=0.9 if best else 0.25,
                linewidth=1.4 if best else 0.7)  # fmt: skip
    for place, dimension in enumerate(results.dimensions):
        _parallel_axis(ax, dimension, place, look.narrow)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if look.narrow:
        ax.set(xlim=(-0.03, 1.03), ylim=(count - 0.5, -0.6), xticks=[])
        ax.set_yticks(range(count), [dimension.title for dimension in results.dimensions])
    else:
        ax.set(ylim=(-0.12, 1.12), xlim=(-0.3, count - 0.7), yticks=[])
        titles = [dimension.title.replace(" ", "\n") for dimension in results.dimensions]
        ax.set_xticks(range(count), titles)
    alt = f"Parallel coordinates of {len(complete)} trials; coloured: " + listing(
        f"trial {n}" for n in sorted(top)
    )
    return Drawing(drawn, f"{alt}.")


def _parallel_axis(ax: Axes, dimension: Dimension, place: int, narrow: bool) -> None:
    low, high = (tick(v) for v in (dimension.low, dimension.high))
    if dimension.options:
        low, high = str(dimension.options[0]), str(dimension.options[-1])
    ends = [(0.0, low), (1.0, high)]
    line = ([0, 1], [place, place]) if narrow else ([place, place], [0, 1])
    ax.plot(*line, color=LINE, linewidth=1, zorder=0)
    for share, text in ends:
        if narrow:
            ax.annotate(text, (share, place), xytext=(0, -9), textcoords="offset points",
                        ha="left" if share == 0 else "right", va="center", color=MUTED,
                        fontsize=6.5)  # fmt: skip
        else:
            ax.annotate(text, (place, share), xytext=(0, -9 if share == 0 else 6),
                        textcoords="offset points", ha="center", color=MUTED,
                        fontsize=7)  # fmt: skip


def _place(dimension: Dimension, value: float | str, number: int) -> float:
    """Where a value lies; options are spread a little so that equal ones do not hide each other."""
    if not dimension.options:
        return float(value)
    shift = JITTER * (2 * (number * 0.618034 % 1) - 1)
    return dimension.options.index(value) + shift


def _share(dimension: Dimension, value: float | str, number: int) -> float:
    if dimension.options:
        most = max(len(dimension.options) - 1, 1)
        return min(max(_place(dimension, value, number) / most, 0), 1)
    low, high, x = dimension.low, dimension.high, float(value)
    if dimension.log:
        low, high, x = math.log(low), math.log(high), math.log(x)
    return (x - low) / (high - low)


def _axis(ax: Axes, dimension: Dimension, narrow: bool) -> None:
    if dimension.options:
        places = range(len(dimension.options))
        ax.set_xticks(places, [str(option) for option in dimension.options])
        ax.set_xlim(-0.6, len(dimension.options) - 0.4)
        if sum(len(str(option)) for option in dimension.options) > (14 if narrow else 22):
            ax.tick_params(axis="x", labelrotation=35, labelsize=6.5)
        ax.grid(visible=False, axis="x")
        return
    if dimension.log:
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
