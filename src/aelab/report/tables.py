"""The tables of every page: cells, columns of estimates, rows by family of metrics."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aelab.report.numbers import decimals, difference, interval, number, slug
from aelab.runs.records import Better, Estimate, Metric

NOT_DEFINED, NOT_MEASURED = "not defined", "–"
FAMILIES = ("reconstruction", "likelihood", "latent", "representation", "generation")
SAMPLERS = "samplers"  # the panel of the metrics of generated images


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
    """Estimates by the name of their metric, and how each is marked."""

    head: Head
    values: Mapping[str, Estimate | None]
    marks: Mapping[str, str] = field(default_factory=dict)


def families(metrics: Iterable[Metric]) -> list[str]:
    """The families of metrics, from input to output; unknown ones last."""
    return list(dict.fromkeys((*FAMILIES, *(metric.family for metric in metrics))))


def metric_table(
    metrics: Sequence[Metric], columns: Sequence[Column], anchor: Callable[[Metric], str]
) -> Table:
    """A row a metric by family; metrics that no column has are left out.

    Args:
        metrics: The metrics in the order of the rows.
        columns: The columns. Those of kind "difference" have digits of their own.
        anchor: Gives the id of a metric's row.
    """
    values = [column.values for column in columns if column.head.kind != "difference"]
    groups = []
    for family in families(metrics):
        rows = tuple(
            _row(metric, columns, anchor(metric))
            for metric in metrics
            if metric.family == family and any(each.get(metric.name) for each in values)
        )
        if rows:
            groups.append((family, rows))
    return Table((Head("Metric"), *(column.head for column in columns)), groups)


def _row(metric: Metric, columns: Sequence[Column], anchor: str) -> Row:
    name = metric.name
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

    link = about(metric) if metric.description else ""  # to the glossary
    head = Head(metric.title, unit=metric.unit, better=metric.better, about=link)
    return Row(head, tuple(map(cell, columns)), anchor)


def about(metric: Metric) -> str:
    """The id of a metric in the glossary, where the samplers share an entry a quantity."""
    return f"about-{slug(metric.quantity if metric.panel == SAMPLERS else metric.name)}"


def glossary(metrics: Iterable[Metric]) -> list[tuple[str, str, str]]:
    """Id, title and meaning of every metric, a quantity of the samplers once."""
    entries: dict[str, tuple[str, str, str]] = {}
    for metric in metrics:
        meaning = [metric.description]
        if metric.better:
            meaning.append(f"{metric.better.capitalize()} is better.")
        if metric.unit:
            meaning.append(f"In {metric.unit}.")
        title = metric.quantity if metric.panel == SAMPLERS else metric.title
        entries.setdefault(about(metric), (about(metric), title, " ".join(meaning)))
    return list(entries.values())
