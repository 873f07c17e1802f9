"""What every figure is made from, and how a page draws, keeps and embeds its figures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import getdoc
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from aelab.report.results import Measure, Model
from aelab.report.style import RC, class_colors, model_color, png, svg
from aelab.report.svg import Inliner

SECTIONS = ("Training", "Reconstruction", "Latent space", "Generation")


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


class Shape(Protocol):
    """What a figure is drawn from, for one of two widths."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def narrow(self) -> bool:
        """Whether it is drawn for a phone."""
        ...


V = TypeVar("V", bound=Shape)
Draw = Callable[[V], Drawing | None]


@dataclass(frozen=True)
class FigureKind(Generic[V]):
    """A figure of a page; ``draw`` gives None where there is nothing to show."""

    name: str
    title: str
    section: str
    reading: str
    draw: Draw[V]


def figure(
    kinds: dict[str, FigureKind[V]], name: str, title: str, section: str = ""
) -> Callable[[Draw[V]], Draw[V]]:
    """Register a pure function under a section of its page; its docstring is the caption."""

    def register(function: Draw[V]) -> Draw[V]:
        assert name not in kinds, f"two figures are named {name}"

        def draw(view: V) -> Drawing | None:
            with mpl.rc_context(RC):
                return function(view)

        reading = " ".join((getdoc(function) or "").split())
        kinds[name] = FigureKind(name, title, section, reading, draw)
        return draw

    return register


FIGURES: dict[str, FigureKind[View]] = {}


class Folder(Protocol):
    """Where the files of figures are kept."""

    def write_figure(self, name: str, data: bytes) -> Path:
        """Keep a file."""
        ...


@dataclass(frozen=True)
class Panel:
    """A figure of one view, in the two shapes that the page chooses from."""

    name: str
    caption: str
    wide: Markup
    narrow: Markup
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Embedded:
    """A kind of figure with its panels."""

    kind: FigureKind[Any]
    panels: tuple[Panel, ...]


def embed(
    folder: Folder,
    inliner: Inliner,
    kinds: Mapping[str, FigureKind[V]],
    views: Iterable[tuple[str, str, V]],
) -> list[Embedded]:
    """Draw every kind of figure of every view; keep each as SVG and PNG, and as page elements.

    Args:
        folder: Where the files go.
        inliner: Makes the elements, and collects the style rules and images that they share.
        kinds: The figures in the order of the page.
        views: What follows the kind in the name of a file, the caption, and what is drawn.
    """
    views = list(views)
    found = []
    for kind in kinds.values():
        panels: list[Panel] = []
        for suffix, caption, view in views:
            wide, narrow = kind.draw(view), kind.draw(replace(view, narrow=True))
            if wide is None or narrow is None:
                continue
            name, vector = f"{kind.name}{suffix}", svg(wide.figure)
            folder.write_figure(f"{name}.svg", vector)
            folder.write_figure(f"{name}.png", png(wide.figure))
            elements = (
                Markup(inliner.inline(vector, f"{name}-w", wide.alt)),
                Markup(inliner.inline(svg(narrow.figure), f"{name}-n", narrow.alt)),
            )
            # An explanation that an earlier view has had already is not repeated.
            seen = {title for panel in panels for title in panel.notes}
            notes = {title: text for title, text in wide.notes.items() if title not in seen}
            panels.append(Panel(name, caption, *elements, notes))
        if panels:
            found.append(Embedded(kind, tuple(panels)))
    return found


def by_section(
    found: Sequence[Embedded], order: Sequence[str] = ()
) -> list[tuple[str, list[Embedded]]]:
    """The figures by section, in the given order or else in that of their first figure."""
    sections = dict.fromkeys((*order, *(each.kind.section for each in found)))
    groups = [(s, [each for each in found if each.kind.section == s]) for s in sections]
    return [(section, members) for section, members in groups if members]
