"""The comparison table: what stands in which cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from aelab.report.comparison import Comparison, anchor, comparisons, families, slug
from aelab.report.numbers import decimals, difference, interval, number
from aelab.report.results import Estimate, Measure, Model, Results

NOT_DEFINED, NOT_MEASURED = "not defined", "–"


@dataclass(frozen=True)
class Cell:
    """A value as shown; ``mark`` is "better", "ahead" (no interval to be sure) or nothing."""

    text: str
    interval: str = ""
    mark: str = ""
    defined: bool = True


@dataclass(frozen=True)
class Row:
    """A measure over all columns."""

    anchor: str
    about: str
    measure: Measure
    cells: tuple[Cell, ...]
    difference: Cell | None
    baselines: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Everything measured at one latent size, by family."""

    latent_dim: int
    models: tuple[Model, ...]
    baselines: tuple[Model, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]

    @property
    def columns(self) -> int:
        """All columns, the measure's name included."""
        paired = any(row.difference for _, rows in self.groups for row in rows)
        return 1 + len(self.models) + paired + len(self.baselines)

    @property
    def paired(self) -> bool:
        """Whether there is a column of differences."""
        return self.columns > 1 + len(self.models) + len(self.baselines)


def table(results: Results, latent_dim: int) -> Table:
    """The table of one size; measures that no column has are left out."""
    models, baselines = results.of_dim(latent_dim), results.beside(latent_dim)
    compared = {found.measure.name: found for found in comparisons(results, latent_dim)}
    paired = bool(compared)
    groups = []
    for family in families(results):
        rows = tuple(
            _row(latent_dim, measure, models, baselines, compared.get(measure.name), paired)
            for measure in results.measures.values()
            if measure.family == family
            and not measure.panel
            and any(column.metrics.get(measure.name) for column in (*models, *baselines))
        )
        if rows:
            groups.append((family, rows))
    return Table(latent_dim, models, baselines, tuple(groups))


def _row(
    latent_dim: int,
    measure: Measure,
    models: Sequence[Model],
    baselines: Sequence[Model],
    found: Comparison | None,
    paired: bool,
) -> Row:
    columns = [column.metrics.get(measure.name) for column in (*models, *baselines)]
    places = decimals(estimate.value for estimate in columns if estimate)

    def cell(model: Model) -> Cell:
        if measure.name not in model.metrics:
            return Cell(NOT_MEASURED, defined=False)
        estimate = model.metrics[measure.name]
        if estimate is None:
            return Cell(NOT_DEFINED, defined=False)
        return Cell(number(estimate.value, places), interval(estimate, places), mark(found, model))

    return Row(
        anchor(latent_dim, measure),
        f"about-{slug(measure.name)}",
        measure,
        tuple(cell(model) for model in models),
        _gap(found.difference if found else None) if paired else None,
        tuple(cell(model) for model in baselines),
    )


def mark(found: Comparison | None, model: Model) -> str:
    """How a value is marked: only an interval that leaves out zero makes it the better one."""
    if found is None or found.ahead is not model:
        return ""
    if found.winner is model:
        return "better"
    return "" if found.difference.interval else "ahead"


def _gap(estimate: Estimate | None) -> Cell:
    return Cell(NOT_MEASURED, defined=False) if estimate is None else Cell(*difference(estimate))


def _drawn(results: Results, latent_dim: int) -> tuple[Row, ...]:
    """What is told of drawn images in few words, as rows; the table of samplers holds the rest."""
    models = results.of_dim(latent_dim)
    compared = {found.measure.name: found for found in comparisons(results, latent_dim)}
    return tuple(
        _row(latent_dim, measure, models, (), compared.get(measure.name), bool(compared))
        for measure in results.measures.values()
        if measure.panel and measure.headline
    )


@dataclass(frozen=True)
class Card:
    """A key number of every model of one size."""

    measure: Measure
    anchor: str
    values: tuple[tuple[Model, Cell], ...]
    difference: Cell | None


def cards(results: Results, latent_dim: int, most: int = 6) -> tuple[Card, ...]:
    """The first measure of each family that has a better side, then second ones until ``most``.

    Within a family those come first that every model has; coverage stands for the drawn images.
    """
    models = results.of_dim(latent_dim)
    rows = [
        sorted(
            (row for row in rows if row.measure.better),
            key=lambda row: not all(cell.defined for cell in row.cells),
        )
        for _, rows in (*table(results, latent_dim).groups, ("", _drawn(results, latent_dim)))
    ]
    order = [
        row
        for place in range(max(map(len, rows), default=0))
        for group in rows
        for row in group[place : place + 1]
        if any(cell.defined for cell in row.cells)
    ][:most]
    rank = families(results)
    order.sort(key=lambda row: rank.index(row.measure.family))
    return tuple(
        Card(
            row.measure,
            row.anchor,
            tuple(zip(models, row.cells, strict=True)),
            row.difference if row.difference and row.difference.defined else None,
        )
        for row in order
    )
