"""What the figures share: grids of axes, labels, mosaics of images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from aelab.report.results import Array
from aelab.report.style import INK, MUTED, VARIABLES
from aelab.runs.records import Estimate

WIDTH = 7.6  # inches of a figure


def panels(
    rows: int, columns: int, *, height: float, widths: Sequence[float] = (), sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A grid of axes in reading order; ``height`` inches a row."""
    drawn = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    grid = drawn.subplots(rows, columns, squeeze=False, sharey=sharey, width_ratios=widths or None)
    return drawn, list(grid.ravel())


def tiles(
    count: int, columns: int, *, height: float, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """``count`` axes in rows of ``columns``."""
    rows = -(-count // columns)
    drawn, axes = panels(rows, columns, height=height, sharey=sharey)
    for ax in axes[count:]:
        ax.set_visible(False)
    return drawn, axes[:count]


def spread(estimates: Sequence[Estimate]) -> tuple[Array, Array]:
    """The values, and how far their intervals reach below and above them: ``(N,), (2, N)``."""
    values = np.array([estimate.value for estimate in estimates])
    ends = np.array([e.interval or (e.value, e.value) for e in estimates]).reshape(-1, 2)
    return values, np.abs(ends.T - values)


def label_ends(ax: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Name every curve at its end ``(x, y, text, colour)``, pushed apart where two would overlap.

    They are pushed up, and back down from the top where that leaves the frame.
    """
    low, high = ax.get_ylim()
    gap, floor, ceiling = 0.075 * (high - low), -np.inf, high
    ends = sorted(ends, key=lambda end: end[1])
    heights = []
    for _, y, _, _ in ends:
        heights.append(floor := max(y, floor + gap))
    for place in reversed(range(len(ends))):
        if heights[place] <= ceiling:
            break
        heights[place] = ceiling
        ceiling -= gap
    for (x, _, text, color), y in zip(ends, heights, strict=True):
        note(ax, text, (x, y), (5, 0), color=color, va="center", annotation_clip=False)


def note(
    ax: Axes, text: str, point: tuple[float, float], shift: tuple[float, float], **style: Any
) -> None:
    """Small text at a distance of ``shift`` points from a point."""
    style.setdefault("fontsize", 7.5)
    style.setdefault("color", MUTED)
    ax.annotate(text, point, xytext=shift, textcoords="offset points", **style)


def bare(axes: Axes) -> None:
    """Leave only what is drawn: no frame, no ticks, no grid."""
    axes.set(xticks=[], yticks=[])
    unframed(axes)


def unframed(axes: Axes) -> None:
    """Leave out the frame and the grid."""
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def mosaic(images_ND: Array, columns: int, size: tuple[int, int], gap: int = 3) -> Array:
    """Images ``(N, H·W)`` of 0..255 in rows of ``columns``, as one array with gaps between."""
    height, width = size
    rows = -(-len(images_ND) // columns)
    sheet = np.zeros((rows, columns, height + gap, width + gap), np.uint8)
    filled = sheet.reshape(-1, height + gap, width + gap)
    filled[: len(images_ND), :height, :width] = images_ND.reshape(-1, height, width)
    return sheet.swapaxes(1, 2).reshape(rows * (height + gap), columns * (width + gap))


def show(
    axes: Axes, images_ND: Array, columns: int, size: tuple[int, int], top: float = 0.0
) -> int:
    """Draw a mosaic as ink whose strength is the grey level; a tile is one unit. Gives its rows."""
    sheet = mosaic(images_ND, columns, size)
    rows = -(-len(images_ND) // columns)
    mask(axes, sheet, (0, columns, top + rows, top), INK)
    return rows


def mask(
    axes: Axes, strength: Array, extent: tuple[float, float, float, float], color: str
) -> None:
    """Draw strengths of 0..255 as the opacity of a colour of the theme."""
    image = np.empty((*strength.shape, 4), np.uint8)
    image[...] = 255 * np.array(to_rgba(color))
    image[..., 3] = strength
    drawn = axes.imshow(image, extent=extent, interpolation="none", aspect="auto")
    owner = axes.get_figure()
    assert owner is not None
    place = len([image for other in owner.axes for image in other.images])
    drawn.set_gid(f"tint-{VARIABLES[color]}:{place}")


def left(ax: Axes, y: float, text: str, color: str) -> None:
    """Name a row of tiles at its left."""
    ax.text(-0.15, y, text, ha="right", va="center", color=color, fontsize=7.5)


def fit(ax: Axes, columns: float, rows: float) -> None:
    """Show the tiles from (0, 0) and nothing else."""
    bare(ax)
    ax.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal")
