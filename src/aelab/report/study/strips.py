"""Every seed of every claim: a strip a claim, with the threshold drawn."""

import textwrap

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aelab.report.figures.base import NARROW, WIDE, Drawing, bare
from aelab.report.numbers import number
from aelab.report.study.results import Found, Ruled
from aelab.report.study.scale import scale
from aelab.report.style import INK, MUTED, RC, model_color

ROW = 0.82  # inches a claim
CLOSE = 0.022  # of the width: seeds nearer than that are stacked
LEVELS = (0.0, 0.34, -0.34, 0.68, -0.68)
DOWN = -1.35  # where the interval is drawn, below the seeds


def strips(found: Found, narrow: bool) -> Drawing | None:
    """A row a measured claim: in words at the left (above on a phone), its seeds at the right."""
    rows = [item for item in found.claims if item.summary]
    if not rows:
        return None
    with mpl.rc_context(RC):
        height = (ROW + 0.42 if narrow else ROW) * len(rows) + 0.15
        figure = Figure(figsize=(NARROW if narrow else WIDE, height), layout="constrained")
        widths = [1] if narrow else [0.4, 0.6]
        grid = figure.subplots(
            len(rows), len(widths), squeeze=False, gridspec_kw={"width_ratios": widths}
        )
        for item, axes in zip(rows, grid, strict=True):
            *beside, strip = axes
            _strip(strip, found, item, not narrow)
            if beside:
                _words(beside[0], item)
            else:
                strip.set_title(_title(item, 44))
    alts = [
        f"Claim {item.place}, {item.says}: {_spread(item)}, threshold "
        f"{item.amount.threshold_text}, {item.verdict}"
        for item in rows
    ]
    return Drawing(figure, f"The Δ of every seed, a strip a claim. {'. '.join(alts)}.")


def _title(item: Ruled, width: int) -> str:
    said = item.says[:1].upper() + item.says[1:]
    return "\n".join(textwrap.wrap(f"{item.place}  {said}", width))


def _spread(item: Ruled) -> str:
    assert item.summary
    low, high = (item.amount.written(f(item.summary.seeds.values())) for f in (min, max))
    ends = [item.amount.with_unit(number(end)) for end in (low, high)]
    return f"{len(item.summary.seeds)} seeds from {ends[0]} to {ends[1]}"


def _words(ax: Axes, item: Ruled) -> None:
    bare(ax)
    title = _title(item, 42)
    ax.text(0, 1, title, transform=ax.transAxes, va="top", fontsize=8.5, weight="bold", color=INK)
    ax.annotate(
        item.verdict, (0, 1), (0, -11.5 * (title.count("\n") + 1) - 2), xycoords="axes fraction",
        textcoords="offset points", va="top", color=MUTED, fontsize=8,
    )  # fmt: skip


def _strip(ax: Axes, found: Found, item: Ruled, wide: bool) -> None:
    assert item.summary
    color = model_color(item.favours, found.titles)
    values = np.array(list(item.summary.seeds.values()))
    ends = item.summary.estimate.interval
    everything = [*values, 0.0, item.margin, *(ends or ())]
    low, high = min(everything), max(everything)
    pad = 0.06 * (high - low)
    ax.set(xlim=(low - pad, high + pad), ylim=(DOWN - 0.55, 1.25), yticks=[])
    ax.spines["left"].set_visible(False)
    ax.axvspan(item.margin, high + pad, color=color, alpha=0.08, linewidth=0)
    ax.axvline(0, color=MUTED, linewidth=0.8)
    ax.axvline(item.margin, color=INK, linewidth=1, linestyle=(0, (3, 2)))
    ax.annotate(
        f"δ {item.amount.threshold_text}", (item.margin, 1.25), (3, 0), textcoords="offset points",
        va="top", fontsize=7, color=INK,
    )  # fmt: skip
    heights = _stacked(values, (high - low) * CLOSE)
    ax.scatter(values, heights, s=15, color=color, alpha=0.85, linewidths=0, zorder=3)
    if ends:
        ax.plot(ends, [DOWN, DOWN], color=INK, linewidth=2.2, zorder=3)
    mean = [item.summary.mean], [DOWN]
    ax.plot(*mean, "D", color=INK, markersize=4.5, zorder=4)
    scale(ax.xaxis, item.amount, low, high)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("\n".join(textwrap.wrap(_label(item), 84 if wide else 60)), fontsize=7)


def _stacked(values: np.ndarray, close: float) -> np.ndarray:
    """Heights that keep seeds of nearly the same Δ apart, from left to right."""
    heights = np.zeros(len(values))
    taken: list[tuple[float, float]] = []
    for index in np.argsort(values, kind="stable"):
        x = values[index]
        used = {y for other, y in taken if x - other < close}
        heights[index] = next((level for level in LEVELS if level not in used), LEVELS[-1])
        taken.append((x, heights[index]))
    return heights


def _label(item: Ruled) -> str:
    unit = "" if item.amount.ratio or item.amount.unit in item.quantity else item.amount.unit
    return f"{item.quantity}{f', {unit}' if unit else ''}"
