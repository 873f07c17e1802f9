"""What every figure is made from, and the registry that finds them by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from inspect import getdoc
from typing import Generic, TypeVar

import matplotlib as mpl
from matplotlib.figure import Figure

from aelab.report.figures.drawing import panels
from aelab.report.results import Model, Results
from aelab.report.style import RC, class_colors, model_color

SECTIONS = ("Training", "Reconstruction", "Latent space", "Generation")


@dataclass(frozen=True)
class View:
    """The models of one latent size of a run."""

    results: Results
    latent_dim: int

    @property
    def models(self) -> tuple[Model, ...]:
        """The models of this size."""
        return self.results.of_dim(self.latent_dim)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.results.image_size

    def having(self, *names: str) -> list[Model]:
        """The models that saved all of these arrays."""
        return [model for model in self.models if model.has(*names)]

    def color(self, model: Model) -> str:
        """The colour of a model's identity."""
        return model_color(model.name, self.results.model_names)

    def label(self, label: int) -> str:
        """The name of a class."""
        names = self.results.label_names
        return names[label] if label < len(names) else str(label)

    @property
    def palette(self) -> list[str]:
        """A colour a class."""
        labels = [int(model.array("labels").max()) + 1 for model in self.having("labels")]
        return class_colors(max([len(self.results.label_names), *labels]))


@dataclass(frozen=True)
class Drawing:
    """A figure, its alt text, and what the numbers in it explain."""

    figure: Figure
    alt: str
    notes: Mapping[str, str] = field(default_factory=dict)  # heading -> explanation


V = TypeVar("V")
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

        @wraps(function)  # by whose name a worker process finds it
        def draw(view: V) -> Drawing | None:
            with mpl.rc_context(RC):
                return function(view)

        reading = " ".join((getdoc(function) or "").split())
        kinds[name] = FigureKind(name, title, section, reading, draw)
        return draw

    return register


FIGURES: dict[str, FigureKind[View]] = {}
PER_ROW = 4  # panels side by side


def per_model(
    name: str,
    title: str,
    section: str,
    *needs: str,
    height: Callable[[View, int], float],
    widths: tuple[float, ...] = (1,),
    notes: Callable[[View], Mapping[str, str]] = lambda _: {},
) -> Callable[[Callable[..., str]], Draw[View]]:
    """Register a figure of one panel a model, or of one row of panels where there are ``widths``.

    The function takes the view, a model and its axes, draws, and gives the alt text.

    Args:
        name: The name of the figure and its files.
        title: The heading.
        section: The section of the page.
        needs: The arrays that a model must have saved.
        height: Gives the inches of a row, from the view and the number of models.
        widths: The relative widths of a model's panels.
        notes: Gives what the numbers explain.
    """

    def register(function: Callable[..., str]) -> Draw[View]:
        @wraps(function)
        def draw(view: View) -> Drawing | None:
            models, count = view.having(*needs), len(widths)
            if not models:
                return None
            columns = count if count > 1 else min(len(models), PER_ROW)
            inches = height(view, columns)
            drawn, grid = panels(
                len(models) * count, columns, height=inches, widths=widths * (count > 1)
            )
            alts = []
            for place, model in enumerate(models):
                axes = grid[place * count : (place + 1) * count]
                for ax in axes:
                    ax.set_title(model.title, color=view.color(model))
                alts.append(f"{model.title}: {function(view, model, *axes)}")
            return Drawing(drawn, f"{'. '.join(alts)}.", notes(view))

        return figure(FIGURES, name, title, section)(draw)

    return register
