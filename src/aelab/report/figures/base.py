"""What every figure is made from, and the registry that finds them by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from aelab.report.results import Array, Measure, Model
from aelab.report.style import INK, RC, VARIABLES, class_colors, model_color

SECTIONS = ("Training", "Reconstruction", "Latent space", "Generation")
WIDE, NARROW = 7.6, 3.7  # inches: a column of the page, and a phone


@dataclass(frozen=True)
class View:
    """The models of one latent size, and the shape in which to draw them."""

    latent_dim: int
    models: tuple[Model, ...]
    label_names: tuple[str, ...]
    image_size: tuple[int, int]
    narrow: bool = False
    baselines: tuple[Model, ...] = ()
    measures: Mapping[str, Measure] = field(default_factory=dict)

    def having(self, *names: str) -> list[Model]:
        """The models that saved all of these arrays."""
        return [model for model in self.models if model.has(*names)]

    def color(self, model: Model) -> str:
        """The colour of a model's identity."""
        return model_color(model.name, {other.name for other in self.models})

    def label(self, label: int) -> str:
        """The name of a class."""
        return self.label_names[label] if label < len(self.label_names) else str(label)

    @property
    def palette(self) -> list[str]:
        """A colour a class."""
        labels = [int(model.array("labels").max()) + 1 for model in self.having("labels")]
        return class_colors(max([len(self.label_names), *labels]))


@dataclass(frozen=True)
class Drawing:
    """A figure, its alt text, and what the numbers in it explain."""

    figure: Figure
    alt: str
    notes: Mapping[str, str] = field(default_factory=dict)  # heading -> explanation


Draw = Callable[[View], Drawing | None]


@dataclass(frozen=True)
class FigureKind:
    """A figure of the report; ``draw`` gives None where the run has nothing to show."""

    name: str
    title: str
    section: str
    reading: str
    draw: Draw


FIGURES: dict[str, FigureKind] = {}


def figure(name: str, title: str, *, section: str, reading: str) -> Callable[[Draw], Draw]:
    """Register a pure function of a view under a section of the report."""

    def register(function: Draw) -> Draw:
        assert name not in FIGURES, f"two figures are named {name}"

        def draw(view: View) -> Drawing | None:
            with mpl.rc_context(RC):
                return function(view)

        assert section in SECTIONS
        FIGURES[name] = FigureKind(name, title, section, reading, draw)
        return draw

    return register


class Shape(Protocol):
    """Anything drawn for two widths."""

    @property
    def narrow(self) -> bool:
        """Whether it is drawn for a phone."""
        ...


def panels(
    view: Shape, rows: int, columns: int, *, height: float, widths: tuple[float, ...] = ()
) -> tuple[Figure, list[Axes]]:
    """A grid of axes in reading order; ``height`` inches a row. Narrow views stack the columns."""
    if view.narrow:
        rows, columns, widths = rows * columns, 1, ()
    size = (NARROW if view.narrow else WIDE, rows * height)
    drawn = Figure(figsize=size, layout="constrained")
    grid = drawn.subplots(
        rows, columns, squeeze=False, gridspec_kw={"width_ratios": widths} if widths else None
    )
    return drawn, list(grid.ravel())


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
        beside(ax, text, (x, y), color)


def beside(ax: Axes, text: str, point: tuple[float, float], color: str) -> None:
    """Write at the right of a point."""
    ax.annotate(
        text, point, xytext=(5, 0), textcoords="offset points", annotation_clip=False,
        va="center", color=color, fontsize=7.5,
    )  # fmt: skip


def bare(axes: Axes) -> None:
    """Leave only what is drawn: no frame, no ticks, no grid."""
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def mosaic(images_ND: Array, columns: int, size: tuple[int, int], gap: int = 3) -> Array:
    """Images ``(N, H·W)`` of 0..255 in rows of ``columns``, as one array with gaps between."""
    height, width = size
    rows = -(-len(images_ND) // columns)
    sheet = np.zeros((rows * (height + gap), columns * (width + gap)), np.uint8)
    for index, image_D in enumerate(images_ND):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image_D.reshape(size)
    return sheet


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
