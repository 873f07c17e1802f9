"""The tables of a search: the choice on test, and its settings."""

from typing import Any

from aelab.report.numbers import setting_text
from aelab.report.style import role
from aelab.report.tables import Column, Head, Table, metric_table
from aelab.runs.records import Estimate, Metric
from aelab.runs.search_results import Contender, Proof, SearchResults


def test_table(results: SearchResults, proof: Proof) -> Table:
    """Every metric on test of the choice and the yardsticks, and their differences."""
    columns: list[Column] = []
    for name, estimates in proof.test.items():
        found = proof.contender(name)
        color = role(results.model, {results.model}) if not columns else ""
        columns.append(Column(Head(found.title, color, f"{found.epochs} epochs"), estimates))
    chosen = columns[0].head.title
    for name, gaps in proof.differences.items():
        short = proof.contender(name).title.split(",")[0]
        marks = {n: "better" for n, gap in gaps.items() if _better(gap, proof.metrics[n])}
        columns.append(Column(Head(f"{chosen} − {short}", kind="difference"), gaps, marks))
    return metric_table(list(proof.metrics.values()), columns, lambda _: "")


def _better(gap: Estimate, metric: Metric) -> bool:
    gains = gap.value < 0 if metric.better == "lower" else gap.value > 0
    return bool(metric.better) and gap.separates and gains


def settings(results: SearchResults, contender: Contender) -> dict[str, str]:
    """What the search has chosen for a contender, by the title of the setting."""
    model, network = contender.settings[results.model], contender.settings["network"]
    values: dict[str, Any] = {**model, **network, "latent_dim": contender.settings["latent_dim"]}
    return {d.title: setting_text(values[d.name]) for d in results.dimensions}
