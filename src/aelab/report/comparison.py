"""Which of two models a measure favours, and how surely: the one rule behind table and text."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from aelab.report.numbers import decimals, difference, number, slug
from aelab.report.results import Estimate, Measure, Model, Results
from aelab.report.style import role
from aelab.report.tables import (
    SAMPLERS,
    Cell,
    Column,
    Head,
    Row,
    Table,
    estimate_cell,
    families,
    measure_head,
    measure_table,
)


@dataclass(frozen=True)
class Comparison:
    """One measure of a pair; the difference is second − first."""

    measure: Measure
    latent_dim: int
    first: Model
    second: Model
    difference: Estimate

    @property
    def ahead(self) -> Model | None:
        """The model with the better number; None if equal or if the measure has no better side."""
        gap = self.difference.value
        if gap == 0 or self.measure.better is None:
            return None
        return self.second if (gap > 0) == (self.measure.better == "higher") else self.first

    @property
    def winner(self) -> Model | None:
        """The model that is ahead with an interval that leaves out zero."""
        return self.ahead if self.difference.separates else None

    def mark(self, model: Model) -> str:
        """How a model's value is marked: "better" needs an interval that leaves out zero."""
        if self.ahead is not model:
            return ""
        if self.winner is model:
            return "better"
        return "" if self.difference.interval else "ahead"

    @property
    def label(self) -> str:
        """Which way the difference is taken, on one line."""
        return f"{self.second.title}\u00a0−\u00a0{self.first.title}"

    @property
    def evidence(self) -> str:
        """The two values, their difference and its interval, in words."""
        values = [model.metrics[self.measure.name] for model in (self.first, self.second)]
        known = [value.value for value in values if value is not None]
        places = decimals(known)
        one, two = (number(value, places) for value in known)
        gap, ends = difference(self.difference)
        return (
            f"{self.measure.label}: {self.first.title} {one}, {self.second.title} {two}; "
            f"{self.label} {gap} {ends or '(no interval)'}"
        )


def anchor(latent_dim: int, measure: Measure) -> str:
    """The id of a measure's row in the table of this size."""
    return f"m-{latent_dim}-{slug(measure.name)}"


def comparisons(results: Results, latent_dim: int, family: str = "") -> Iterator[Comparison]:
    """Every comparison of the pair of this size, in the order of the measures."""
    pair = results.pair(latent_dim)
    if pair is None:
        return
    for name, gap in results.differences.get(latent_dim, {}).items():
        measure = results.measures.get(name)
        defined = all(model.metrics.get(name) is not None for model in pair)
        if measure is not None and defined and family in ("", measure.family):
            yield Comparison(measure, latent_dim, *pair, gap)


def columns(results: Results, latent_dim: int) -> list[Column]:
    """The models of a size, their difference if they are a pair, and the baselines."""
    found = list(comparisons(results, latent_dim))
    made = [
        Column(
            Head(model.title, role(model.name, results.model_names)),
            model.metrics,
            {each.measure.name: each.mark(model) for each in found},
        )
        for model in results.of_dim(latent_dim)
    ]
    if found:
        head = Head(f"{found[0].second.title} − {found[0].first.title}", kind="difference")
        made.append(Column(head, {each.measure.name: each.difference for each in found}))
    for base in results.beside(latent_dim):
        size = f"d = {base.latent_dim}" if base.latent_dim else ""
        made.append(Column(Head(base.title, unit=size, kind="baseline"), base.metrics))
    return made


def comparison_table(results: Results, latent_dim: int) -> Table:
    """Every measure of one size that no figure or other table shows."""
    measures = [m for m in results.measures.values() if not m.panel]
    return measure_table(measures, columns(results, latent_dim), partial(anchor, latent_dim))


def cards(results: Results, latent_dim: int, most: int = 6) -> list[Row]:
    """The first measure of each family that has a better side, then second ones until ``most``.

    Within a family those come first that every model has; coverage stands for generated images.
    """
    count = len(results.of_dim(latent_dim))
    found = [c for c in columns(results, latent_dim) if c.head.kind != "baseline"]
    measures = results.measures.values()
    ranked: list[tuple[int, int, str, Row]] = []
    for place, listed in enumerate(([m for m in measures if not m.panel],
                                    [m for m in measures if m.panel and m.headline])):  # fmt: skip
        for family, rows in measure_table(listed, found, partial(anchor, latent_dim)).groups:
            better = [row for row in rows if row.head.better]
            better.sort(key=lambda row: not all(cell.defined for cell in row.cells[:count]))
            ranked += [(rank, place, family, row) for rank, row in enumerate(better)]
    chosen = sorted(ranked, key=lambda item: item[:2])[:most]
    order = families(measures)
    return [row for *_, row in sorted(chosen, key=lambda item: order.index(item[2]))]


def sampler_table(results: Results, latent_dim: int) -> Table | None:
    """Model × sampler: every measure of generated images, and its reference value.

    None where no images were generated.
    """
    measures = [m for m in results.measures.values() if m.panel == SAMPLERS]
    models = [m for m in results.of_dim(latent_dim) if m.facts.get("generation")]
    if not measures or not models:
        return None
    by_sampler: dict[str, list[Measure]] = {}
    for measure in measures:
        by_sampler.setdefault(measure.sampler, []).append(measure)
    first = next(iter(by_sampler.values()))
    reference = models[0].facts["generation"]["floor"]
    real = [reference[m.name.removesuffix(f"_{m.sampler}")] for m in first]
    places = {}
    for measure, value in zip(first, real, strict=True):
        same = [m.name for m in measures if m.quantity == measure.quantity]
        known = [found.value for m in models for n in same if (found := m.metrics.get(n))]
        places[measure.quantity] = decimals([*known, value or 0.0])
    marks = {c.measure.name: c for c in comparisons(results, latent_dim)}
    anchored: set[str] = set()

    def cells(model: Model, row: list[Measure]) -> Iterator[Cell]:
        for measure in row:
            found, compared = model.metrics.get(measure.name), marks.get(measure.name)
            link = anchor(latent_dim, measure) if found and measure.name not in anchored else ""
            anchored.update([measure.name] if found else [])
            mark = compared.mark(model) if compared else ""
            yield estimate_cell(found, places[measure.quantity], mark=mark, anchor=link)

    groups = []
    for row in by_sampler.values():
        title = row[0].sampler_title
        lines = []
        for model in models:
            made = tuple(cells(model, row))
            if not any(cell.defined for cell in made):
                text = f"not defined: the model has no {title}"
                made = (Cell(text, defined=False, span=len(row)),)
            lines.append(Row(Head(model.title, role(model.name, results.model_names)), made))
        groups.append((title, tuple(lines)))
    values = tuple(
        estimate_cell(None if value is None else Estimate(value), places[m.quantity],
                      kind="baseline")
        for m, value in zip(first, real, strict=True)
    )  # fmt: skip
    groups.append(("no sampler", (Row(Head("Real images (floor)", kind="baseline"), values),)))
    heads = Head("Codes from"), *(measure_head(m, m.quantity) for m in first)
    return Table(heads, groups)
