"""Every seed of every claim: a strip a claim, with the threshold drawn."""

import textwrap

import numpy as np
from matplotlib.axes import Axes

from aelab.report.figures.base import Drawing, figure
from aelab.report.figures.drawing import bare, note, panels
from aelab.report.numbers import capital
from aelab.report.study.drawing import SEEDS, StudyView, scale
from aelab.report.study.results import ClaimResult
from aelab.report.style import INK, MUTED, model_color

CLOSE = 0.022  # of the width: seeds nearer than that are stacked
LEVELS = (0.0, 0.34, -0.34, 0.68, -0.68)
DOWN = -1.35  # where the interval is drawn, below the seeds


@figure(SEEDS, "seeds", "Every seed")
def strips(view: StudyView) -> Drawing | None:
    """A dot is a seed, the diamond their mean, the bar the interval. Right of the dashed line δ, in
    the tinted part, lies what the claim says; the thin line is no difference.
    """
    rows = [item for item in view.found.claims if item.summary]
    if not rows:
        return None
    columns, height, wrap = (1, 1.26, 60) if view.narrow else (2, 0.84, 84)
    drawn, axes = panels(view, len(rows), columns, height=height, widths=(0.4, 0.6)[:columns])
    for item, beside, strip in zip(
        rows, axes[::columns], axes[columns - 1 :: columns], strict=True
    ):
        _strip(strip, item, model_color(item.favours, view.found.titles), wrap)
        if view.narrow:
            strip.set_title(_title(item, 44))
        else:
            _describe(beside, item)
    alts = [
        f"claim {item.place}, {item.says}: {len(item.summary.seeds)} seeds, threshold "
        f"{item.amount.threshold_text}, {item.verdict}"
        for item in rows
        if item.summary
    ]
    return Drawing(drawn, f"{'. '.join(alts)}.")


def _title(item: ClaimResult, width: int) -> str:
    return "\n".join(textwrap.wrap(f"{item.place}  {capital(item.says)}", width))


def _describe(ax: Axes, item: ClaimResult) -> None:
    """The claim and its verdict in words, beside its strip."""
    bare(ax)
    title = _title(item, 42)
    style = {"xycoords": "axes fraction", "va": "top"}
    note(ax, title, (0, 1), (0, 0), fontsize=8.5, weight="bold", color=INK, **style)
    below = -11.5 * (title.count("\n") + 1) - 2
    note(ax, item.verdict, (0, 1), (0, below), fontsize=8, **style)


def _strip(ax: Axes, item: ClaimResult, color: str, width: int) -> None:
    assert item.summary
    values = np.array(list(item.summary.seeds.values()))
    ends = item.summary.interval or ()
    everything = [*values, 0.0, item.margin, *ends]
    low, high = min(everything), max(everything)
    pad = 0.06 * (high - low)
    ax.set(xlim=(low - pad, high + pad), ylim=(DOWN - 0.55, 1.25), yticks=[])
    ax.spines["left"].set_visible(False)
    ax.axvspan(item.margin, high + pad, color=color, alpha=0.08, linewidth=0)
    ax.axvline(0, color=MUTED, linewidth=0.8)
    ax.axvline(item.margin, color=INK, linewidth=1, linestyle=(0, (3, 2)))
    threshold = f"δ {item.amount.threshold_text}"
    note(ax, threshold, (item.margin, 1.25), (3, 0), va="top", fontsize=7, color=INK)
    heights = _stacked(values, (high - low) * CLOSE)
    ax.scatter(values, heights, s=15, color=color, alpha=0.85, linewidths=0, zorder=3)
    ax.plot(ends, [DOWN] * len(ends), color=INK, linewidth=2.2, zorder=3)
    ax.plot([item.summary.mean], [DOWN], "D", color=INK, markersize=4.5, zorder=4)
    scale(ax.xaxis, item.amount, low, high)
    ax.grid(visible=False, axis="y")
    unit = "" if item.amount.ratio or item.amount.unit in item.quantity else item.amount.unit
    label = f"{item.quantity}, {unit}" if unit else item.quantity
    ax.set_xlabel("\n".join(textwrap.wrap(label, width)), fontsize=7)


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
