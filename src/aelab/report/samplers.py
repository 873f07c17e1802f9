"""The matrix model × sampler: every measure of drawn images, and what real ones get."""

from dataclasses import dataclass

from aelab.report.comparison import anchor, comparisons, slug
from aelab.report.numbers import decimals, interval, number
from aelab.report.results import Estimate, Json, Measure, Model, Results
from aelab.report.tables import NOT_DEFINED, Cell, mark

PANEL = "samplers"


@dataclass(frozen=True)
class Line:
    """One model and one sampler; ``ids`` are the anchors that sentences link to."""

    model: Model
    cells: tuple[Cell, ...]
    ids: tuple[str, ...]

    @property
    def defined(self) -> bool:
        """Whether the model has this sampler."""
        return any(cell.defined for cell in self.cells)


@dataclass(frozen=True)
class Matrix:
    """Every sampler's lines at one latent size; ``columns`` are measures of one sampler."""

    latent_dim: int
    columns: tuple[Measure, ...]
    groups: tuple[tuple[str, tuple[Line, ...]], ...]
    floor: tuple[str, ...]
    setting: str


def matrix(results: Results, latent_dim: int) -> Matrix | None:
    """The matrix of one size, or None where nothing was drawn."""
    measures = [m for m in results.measures.values() if m.panel == PANEL]
    models = [m for m in results.of_dim(latent_dim) if m.facts.get("generation")]
    if not measures or not models:
        return None
    quantities = list(dict.fromkeys(m.quantity for m in measures))
    by_place = {(m.quantity, m.sampler): m for m in measures}
    facts = models[0].facts["generation"]
    floors = {m.quantity: _floor(facts, m) for m in measures}
    places = {
        quantity: decimals(
            [
                *(e.value for m in measures if m.quantity == quantity for e in _known(models, m)),
                floors[quantity] or 0.0,
            ],
        )
        for quantity in quantities
    }
    groups = []
    for sampler in dict.fromkeys(m.sampler for m in measures):
        row = [by_place[quantity, sampler] for quantity in quantities]
        lines = tuple(_lines(results, latent_dim, models, row, places))
        groups.append((row[0].sampler_title, lines))
    return Matrix(
        latent_dim,
        tuple(by_place[quantity, measures[0].sampler] for quantity in quantities),
        tuple(groups),
        tuple(
            NOT_DEFINED if (value := floors[quantity]) is None else number(value, places[quantity])
            for quantity in quantities
        ),
        _setting(facts),
    )


def _floor(facts: Json, measure: Measure) -> float | None:
    value = facts["floor"][measure.name.removesuffix(f"_{measure.sampler}")]
    return None if value is None else float(value)


def _known(models: list[Model], measure: Measure) -> list[Estimate]:
    return [found for model in models if (found := model.metrics.get(measure.name))]


def _lines(
    results: Results,
    latent_dim: int,
    models: list[Model],
    row: list[Measure],
    places: dict[str, int],
) -> list[Line]:
    compared = {found.measure.name: found for found in comparisons(results, latent_dim)}
    lines = []
    for model in models:
        cells = []
        for measure in row:
            found = model.metrics.get(measure.name)
            digits = places[measure.quantity]
            cells.append(
                Cell(NOT_DEFINED, defined=False)
                if found is None
                else Cell(
                    number(found.value, digits),
                    interval(found, digits),
                    mark(compared.get(measure.name), model),
                )
            )
        ids = tuple(anchor(latent_dim, m) if model is models[0] else "" for m in row)
        lines.append(Line(model, tuple(cells), ids))
    return lines


def _setting(facts: Json) -> str:
    network = facts["classifier"]
    return (
        f"{facts['drawn']:,} drawn images against {facts['real']:,} test images, in the features of"
        f" a digit classifier that the lab trained on the training images alone (accuracy"
        f" {network['accuracy']:.2%}, SHA-256 {network['sha256'][:12]}). The floor is what"
        f" {facts['validation']:,} validation images get in the place of drawn ones."
    )


def glossary(results: Results) -> list[tuple[str, str, str]]:
    """Id, title and meaning of every measure that a table shows, a quantity of samplers once."""
    entries: dict[str, tuple[str, str, str]] = {}
    for measure in results.measures.values():
        if measure.panel not in ("", PANEL):  # explained beside its figure
            continue
        name = measure.quantity if measure.panel else measure.name
        meaning = [measure.description]
        if measure.better:
            meaning.append(f"{measure.better.capitalize()} is better.")
        if measure.unit:
            meaning.append(f"In {measure.unit}.")
        title = measure.quantity or measure.title
        entries.setdefault(name, (f"about-{slug(name)}", title, " ".join(meaning)))
    return list(entries.values())
