"""The tables of every page: cells, columns of estimates, rows by family of measures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aelab.report.numbers import decimals, difference, interval, number, slug
from aelab.report.results import Better, Estimate, Measure

NOT_DEFINED, NOT_MEASURED = "not defined", "–"
FAMILIES = ("reconstruction", "likelihood", "latent", "representation", "generation")
SAMPLERS = "samplers"  # the panel of the measures of generated images


@dataclass(frozen=True)
class Cell:
    """A value as text; ``mark`` is "better", "ahead" (no interval to be sure) or nothing."""

    text: str
    interval: str = ""
    mark: str = ""
    defined: bool = True
    kind: str = ""  # "baseline", "difference" or nothing


@dataclass(frozen=True)
class Head:
    """What a row or a column is called."""

    title: str
    role: str = ""  # the colour of a model's identity
    unit: str = ""
    better: Better | None = None
    about: str = ""  # the entry of the glossary
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """A row with its heading."""

    head: Head
    cells: tuple[Cell, ...]
    id: str = ""


@dataclass(frozen=True)
class Table:
    """A table: the first heading is that of the rows, the groups have titles or ""."""

    heads: tuple[Head, ...]
    groups: list[tuple[str, tuple[Row, ...]]]


@dataclass(frozen=True)
class Column:
    """Estimates by the name of their measure, and how each is marked."""

    head: Head
    values: Mapping[str, Estimate | None]
    marks: Mapping[str, str] = field(default_factory=dict)


def families(measures: Iterable[Measure]) -> list[str]:
    """The families of measures, from input to output; unknown ones last."""
    return list(dict.fromkeys((*FAMILIES, *(measure.family for measure in measures))))


def measure_table(
    measures: Sequence[Measure], columns: Sequence[Column], anchor: Callable[[Measure], str]
) -> Table:
    """A row a measure by family; measures that no column has are left out.

    Args:
        measures: The measures in the order of the rows.
        columns: The columns. Those of kind "difference" have digits of their own.
        anchor: Gives the id of a measure's row.
    """
    values = [column.values for column in columns if column.head.kind != "difference"]
    groups = []
    for family in families(measures):
        rows = tuple(
            _row(measure, columns, anchor(measure))
            for measure in measures
            if measure.family == family and any(each.get(measure.name) for each in values)
        )
        if rows:
            groups.append((family, rows))
    return Table((Head("Measure"), *(column.head for column in columns)), groups)


def _row(measure: Measure, columns: Sequence[Column], anchor: str) -> Row:
    name = measure.name
    known = [c.values[name] for c in columns if c.head.kind != "difference" and name in c.values]
    places = decimals(estimate.value for estimate in known if estimate)

    def cell(column: Column) -> Cell:
        kind, estimate = column.head.kind, column.values.get(name)
        if estimate is None:
            text = NOT_DEFINED if name in column.values else NOT_MEASURED
            return Cell(text, defined=False, kind=kind)
        if kind == "difference":
            text, ends = difference(estimate)
        else:
            text, ends = number(estimate.value, places), interval(estimate, places)
        return Cell(text, ends, column.marks.get(name, ""), kind=kind)

    link = about(measure) if measure.description else ""  # to the glossary
    head = Head(measure.title, unit=measure.unit, better=measure.better, about=link)
    return Row(head, tuple(map(cell, columns)), anchor)


def about(measure: Measure) -> str:
    """The id of a measure in the glossary, where the samplers share an entry a quantity."""
    return f"about-{slug(measure.quantity if measure.panel == SAMPLERS else measure.name)}"


def glossary(measures: Iterable[Measure]) -> list[tuple[str, str, str]]:
    """Id, title and meaning of every measure, a quantity of the samplers once."""
    entries: dict[str, tuple[str, str, str]] = {}
    for measure in measures:
        meaning = [measure.description]
        if measure.better:
            meaning.append(f"{measure.better.capitalize()} is better.")
        if measure.unit:
            meaning.append(f"In {measure.unit}.")
        title = measure.quantity if measure.panel == SAMPLERS else measure.title
        entries.setdefault(about(measure), (about(measure), title, " ".join(meaning)))
    return list(entries.values())
