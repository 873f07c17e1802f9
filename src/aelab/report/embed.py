"""Figures as files of a folder and as elements of a page."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from aelab.errors import AelabError
from aelab.report.figures.base import FigureKind, V
from aelab.report.style import png, svg
from aelab.report.svg import Inliner
from aelab.runs.pool import MAIN, Job, Send, run_jobs


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


@dataclass(frozen=True)
class Drawn:
    """The files of a figure, its alt text, and what the numbers in it explain."""

    svg: bytes
    png: bytes
    alt: str
    notes: Mapping[str, str]


Task = tuple[FigureKind[Any], Any]  # a kind of figure, and the view to draw


def nothing() -> None:
    """What a caller does meanwhile that has nothing else to do."""


def embed(
    keep: Callable[[str, bytes], object],
    inliner: Inliner,
    kinds: Mapping[str, FigureKind[V]],
    views: Iterable[tuple[str, str, V]],
    workers: int = 1,
    meanwhile: Callable[[], object] = nothing,
) -> list[Embedded]:
    """Draw every kind of figure of every view; keep each as SVG and PNG, and as page elements.

    Args:
        keep: Writes a file of a figure, by its name.
        inliner: Makes the elements, and collects the style rules and images that they share.
        kinds: The figures in the order of the page.
        views: What follows the kind in the name of a file, the caption, and what is drawn.
        workers: Processes that draw; 1 is this one.
        meanwhile: Called while they draw.
    """
    views = list(views)
    tasks = [(kind, view) for kind in kinds.values() for _, _, view in views]
    figures = iter(draw_all(tasks, workers, meanwhile))
    found = []
    for kind in kinds.values():
        panels: list[Panel] = []
        for suffix, caption, _ in views:
            drawn = next(figures)
            if drawn is None:
                continue
            name = f"{kind.name}{suffix}"
            keep(f"{name}.svg", drawn.svg)
            keep(f"{name}.png", drawn.png)
            alt = ", ".join(filter(None, (kind.title, caption))) + f": {drawn.alt}"
            element = Markup(inliner.inline(drawn.svg, name, alt))
            # An explanation that an earlier view has had already is not repeated.
            seen = {title for panel in panels for title in panel.notes}
            notes = {title: text for title, text in drawn.notes.items() if title not in seen}
            panels.append(Panel(name, caption, element, notes))
        if panels:
            found.append(Embedded(kind, tuple(panels)))
    return found


def draw_all(
    tasks: Sequence[Task], workers: int, meanwhile: Callable[[], object]
) -> list[Drawn | None]:
    """The figures in their order, None where there is nothing to show.

    A figure that another process cannot import, such as one of a notebook, is drawn here. Raises
    AelabError if a process fails.
    """
    elsewhere = [k for k, (kind, _) in enumerate(tasks) if workers > 1 and _importable(kind.draw)]
    shares = [share for n in range(workers) if (share := elsewhere[n::workers])]
    jobs = [
        Job(f"figures {n}", _draw_share, ([tasks[k] for k in share],))
        for n, share in enumerate(shares, 1)
    ]
    found: dict[int, Drawn | None] = {}
    with contextlib.closing(run_jobs(jobs, workers)) as events:
        begun = [next(events) for _ in jobs]  # each "started": they draw while this process goes on
        meanwhile()
        found |= {k: draw(*task) for k, task in enumerate(tasks) if k not in elsewhere}
        for event in (*begun, *events):
            if event.kind == "failed":
                raise AelabError(event.content)
            if event.kind == "message":
                found |= zip(shares[int(event.job.split()[1]) - 1], event.content, strict=True)
    return [found[k] for k in range(len(tasks))]


def draw(kind: FigureKind[V], view: V) -> Drawn | None:
    """A figure as files; None if there is nothing to show."""
    drawing = kind.draw(view)
    if drawing is None:
        return None
    return Drawn(svg(drawing.figure), png(drawing.figure), drawing.alt, drawing.notes)


def _draw_share(send: Send, tasks: Sequence[Task]) -> None:
    send([draw(*task) for task in tasks])


def _importable(function: Callable[..., object]) -> bool:
    module = function.__module__
    return module not in MAIN and (
        getattr(sys.modules.get(module), function.__name__, None) is function
    )


def by_section(
    found: Sequence[Embedded], order: Sequence[str] = ()
) -> list[tuple[str, list[Embedded]]]:
    """The figures by section, in the given order or else in that of their first figure."""
    sections = dict.fromkeys((*order, *(each.kind.section for each in found)))
    groups = [(s, [each for each in found if each.kind.section == s]) for s in sections]
    return [(section, members) for section, members in groups if members]
