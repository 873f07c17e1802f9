"""Figures as files of a folder and as elements of a page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from aelab.report.figures.base import FigureKind, V
from aelab.report.style import png, svg
from aelab.report.svg import Inliner


@dataclass(frozen=True)
class Panel:
    """A figure of one view."""

    name: str
    caption: str
    svg: Markup
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Embedded:
    """A kind of figure with its panels."""

    kind: FigureKind[Any]
    panels: tuple[Panel, ...]


def embed(
    keep: Callable[[str, bytes], object],
    inliner: Inliner,
    kinds: Mapping[str, FigureKind[V]],
    views: Iterable[tuple[str, str, V]],
) -> list[Embedded]:
    """Draw every kind of figure of every view; keep each as SVG and PNG, and as page elements.

    Args:
        keep: Writes a file of a figure, by its name.
        inliner: Makes the elements, and collects the style rules and images that they share.
        kinds: The figures in the order of the page.
        views: What follows the kind in the name of a file, the caption, and what is drawn.
    """
    views = list(views)
    found = []
    for kind in kinds.values():
        panels: list[Panel] = []
        for suffix, caption, view in views:
            drawing = kind.draw(view)
            if drawing is None:
                continue
            name, vector = f"{kind.name}{suffix}", svg(drawing.figure)
            keep(f"{name}.svg", vector)
            keep(f"{name}.png", png(drawing.figure))
            alt = ", ".join(filter(None, (kind.title, caption))) + f": {drawing.alt}"
            element = Markup(inliner.inline(vector, name, alt))
            # An explanation that an earlier view has had already is not repeated.
            seen = {title for panel in panels for title in panel.notes}
            notes = {title: text for title, text in drawing.notes.items() if title not in seen}
            panels.append(Panel(name, caption, element, notes))
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
