"""Every seed of every claim: a strip a claim, with the threshold drawn."""

import textwrap

import numpy as np
from matplotlib.axes import Axes

from aelab.report.figures.base import Drawing, figure
from aelab.report.figures.drawing import note, panels
from aelab.report.numbers import capital
from aelab.report.study.drawing import SEEDS, scale
from aelab.report.study.results import ClaimResult, StudyResults, Summary
from aelab.report.style import INK, MUTED, model_color

# Heights of neighbouring seeds, so that none hides another.
LEVELS = (0.0, 0.34, -0.34, 0.68, -0.68)
DOWN = -1.35  # where the interval is drawn, below the seeds


@figure(SEEDS, "seeds", "Every seed")
def strips(found: StudyResults) -> Drawing | None:
    """A dot is a seed, the diamond is the mean, the bar is the interval. Values right of the dashed
    threshold δ (tinted) support the claim; the thin line is no difference.
    """
    rows = [(item, item.summary) for item in found.claims if item.summary]
    if not rows:
        return None
    drawn, axes = panels(len(rows), 1, height=1.1)
    alts = []
    for ax, (item, summary) in zip(axes, rows, strict=True):
        _strip(ax, item, summary, model_color(item.favours, found.titles))
        alts.append(
            f"claim {item.place}, {item.says}: {len(summary.seeds)} seeds, threshold "
            f"{item.amount.threshold_text}, {item.verdict}"
        )
    return Drawing(drawn, f"{'. '.join(alts)}.")


def _strip(ax: Axes, item: ClaimResult, summary: Summary, color: str) -> None:
    values = np.sort(list(summary.seeds.values()))
    ends = summary.interval or ()
    everything = [*values, 0.0, item.margin, *ends]
    low, high = min(everything), max(everything)
    pad = 0.06 * (high - low)
    ax.set(xlim=(low - pad, high + pad), ylim=(DOWN - 0.55, 1.25), yticks=[])
    ax.set_title("\n".join(textwrap.wrap(f"{item.place}  {capital(item.says)}", 100)))
    ax.spines["left"].set_visible(False)
    ax.axvspan(item.margin, high + pad, color=color, alpha=0.08, linewidth=0)
    ax.axvline(0, color=MUTED, linewidth=0.8)
    ax.axvline(item.margin, color=INK, linewidth=1, linestyle=(0, (3, 2)))
    threshold = f"δ {item.amount.threshold_text}"
    note(ax, threshold, (item.margin, 1.25), (3, 0), va="top", fontsize=7, color=INK)
    heights = np.resize(LEVELS, len(values))
    ax.scatter(values, heights, s=15, color=color, alpha=0.85, linewidths=0, zorder=3)
    ax.plot(ends, [DOWN] * len(ends), color=INK, linewidth=2.2, zorder=3)
    ax.plot([summary.value], [DOWN], "D", color=INK, markersize=4.5, zorder=4)
    scale(ax.xaxis, item.amount, low, high)
    ax.grid(visible=False, axis="y")
    unit = "" if item.amount.ratio or item.amount.unit in item.quantity else item.amount.unit
    label = f"{item.quantity}, {unit}" if unit else item.quantity
    ax.set_xlabel("\n".join(textwrap.wrap(f"{label} ({item.verdict})", 110)), fontsize=7)
