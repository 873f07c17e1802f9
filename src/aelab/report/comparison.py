"""Which of two models a metric favours, and how surely: the one rule behind table and text."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from aelab.report.numbers import decimals, difference, number, slug
from aelab.report.results import Model, Results
from aelab.report.style import role
from aelab.report.tables import SAMPLERS, Column, Head, Row, Table, families, metric_table
from aelab.runs.records import Estimate, Estimates, Metric


@dataclass(frozen=True)
class Comparison:
    """One metric of a pair; the difference is second − first."""

    metric: Metric
    latent_dim: int
    first: Model
    second: Model
    difference: Estimate

    @property
    def ahead(self) -> Model | None:
        """The model with the better number; None if equal or if the metric has no better side."""
        gap = self.difference.value
        if gap == 0 or self.metric.better is None:
            return None
        return self.second if (gap > 0) == (self.metric.better == "higher") else self.first

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
        values = [model.metrics[self.metric.name] for model in (self.first, self.second)]
        known = [value.value for value in values if value is not None]
        places = decimals(known)
        one, two = (number(value, places) for value in known)
        gap, ends = difference(self.difference)
        return (
            f"{self.metric.label}: {self.first.title} {one}, {self.second.title} {two}; "
            f"{self.label} {gap} {ends or '(no interval)'}"
        )


def anchor(latent_dim: int, metric: Metric) -> str:
    """The id of a metric's row in the table of this size."""
    return f"m-{latent_dim}-{slug(metric.name)}"


def comparisons(results: Results, latent_dim: int, family: str = "") -> Iterator[Comparison]:
    """Every comparison of the pair of this size, in the order of the metrics."""
    if pair := results.pair(latent_dim):
        yield from _compared(
            results, latent_dim, pair, results.differences.get(latent_dim, {}), family
        )


def beside(results: Results, latent_dim: int, family: str) -> Iterator[list[Comparison]]:
    """Each model against each baseline, by the metrics of a family that have a better side."""
    for model in results.of_dim(latent_dim):
        differences = results.baseline_differences.get(model.key, {})
        for base in results.beside(latent_dim):
            gaps = differences.get(base.key, {})
            every = _compared(results, latent_dim, (base, model), gaps, family)
            if found := [c for c in every if c.metric.better and not c.metric.panel]:
                yield found


def _compared(
    results: Results, latent_dim: int, pair: tuple[Model, Model], gaps: Estimates, family: str
) -> Iterator[Comparison]:
    for name, gap in gaps.items():
        metric = results.measures.get(name)
        defined = all(model.metrics.get(name) is not None for model in pair)
        if gap and metric and defined and family in ("", metric.family):
            yield Comparison(metric, latent_dim, *pair, gap)


def columns(results: Results, latent_dim: int) -> list[Column]:
    """The models of a size, their difference if they are a pair, and the baselines."""
    found = list(comparisons(results, latent_dim))
    made = [
        Column(
            Head(model.title, role(model.name, results.model_names)),
            model.metrics,
            {each.metric.name: each.mark(model) for each in found},
        )
        for model in results.of_dim(latent_dim)
    ]
    if found:
        head = Head(f"{found[0].second.title} − {found[0].first.title}", kind="difference")
        made.append(Column(head, {each.metric.name: each.difference for each in found}))
    for base in results.beside(latent_dim):
        size = f"d = {base.latent_dim}" if base.latent_dim else ""
        made.append(Column(Head(base.title, unit=size, kind="baseline"), base.metrics))
    return made


def comparison_table(results: Results, latent_dim: int) -> Table:
    """Every metric of one size that no figure or other table shows."""
    metrics = [m for m in results.measures.values() if not m.panel]
    return metric_table(metrics, columns(results, latent_dim), partial(anchor, latent_dim))


def cards(results: Results, latent_dim: int, most: int = 6) -> list[Row]:
    """The first metric of each family that has a better side, then second ones until ``most``.

    Within a family those come first that every model has; coverage stands for generated images.
    """
    count = len(results.of_dim(latent_dim))
    found = [c for c in columns(results, latent_dim) if c.head.kind != "baseline"]
    metrics = results.measures.values()
    ranked: list[tuple[int, int, str, Row]] = []
    for place, listed in enumerate(([m for m in metrics if not m.panel],
                                    [m for m in metrics if m.panel and m.headline])):  # fmt: skip
        for family, rows in metric_table(listed, found, partial(anchor, latent_dim)).groups:
            better = [row for row in rows if row.head.better]
            better.sort(key=lambda row: not all(cell.defined for cell in row.cells[:count]))
            ranked += [(rank, place, family, row) for rank, row in enumerate(better)]
    chosen = sorted(ranked, key=lambda item: item[:2])[:most]
    order = families(metrics)
    return [row for *_, row in sorted(chosen, key=lambda item: order.index(item[2]))]


def sampler_table(results: Results, latent_dim: int) -> Table | None:
    """The metrics of generated images by sampler, beside their values of real images.

    None where no images were generated.
    """
    models = [m for m in results.of_dim(latent_dim) if m.facts.get("generation")]
    rows, real = [], {}
    for metric in results.measures.values():
        if metric.panel == SAMPLERS and any(m.metrics.get(metric.name) for m in models):
            rows.append(replace(metric, title=metric.quantity, family=metric.sampler_title))
            name = metric.name.removesuffix(f"_{metric.sampler}")
            value = models[0].facts["generation"]["floor"][name]
            real[metric.name] = None if value is None else Estimate(value)
    if not rows:
        return None
    trained = [c for c in columns(results, latent_dim) if c.head.kind != "baseline"]
    reference = Column(Head("Real images (reference)", kind="baseline"), real)
    return metric_table(rows, [*trained, reference], partial(anchor, latent_dim))
