"""What the terminal prints of studies and comparisons."""

from typing import Any

from rich.table import Table
from rich.text import Text

from aelab.console.streams import console
from aelab.report.numbers import decimals, number, p_text
from aelab.report.study.conclusions import reasons
from aelab.report.study.results import load
from aelab.report.tables import NOT_DEFINED, NOT_MEASURED
from aelab.runs.study import Study
from aelab.studies.compare import Comparison

_STYLES = {"supported": "green", "refuted": "red", "inconclusive": "yellow", "not measured": "dim"}


def claims_table(study: Study) -> None:
    """Print every claim of a study with its verdict, and beneath why some are not decided."""
    found = load(study)
    count = len(found.seeds)
    table = Table(
        title=f"{found.data['name']}, d = {found.latent_dim}, {count} seed{'s' * (count != 1)}",
        caption=f"Claims frozen before the training: SHA-256 {found.claims_hash[:16]}",
    )
    table.add_column("claim")
    for name in ("Δ", "δ", "effect", "p", "p, Holm"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for item in found.claims:
        value, ends = item.amount.text(item.summary) if item.summary else ("–", "")
        if item.summary and item.summary.confidence and item.summary.confidence < 0.95:
            ends += f" {item.summary.confidence:.0%}"
        effect = "–" if item.effect is None else number(item.effect, 1)
        ps = ["–" if p is None else p_text(p) for p in (item.p, item.holm)]
        delta = f"{value}\n{ends}".strip()
        verdict = Text(item.verdict, _STYLES[item.verdict])
        said = f"{item.place} {item.says}"
        table.add_row(said, delta, item.amount.threshold_text, effect, *ps, verdict)
    out = console(100)
    out.print(table)
    for which, why in reasons(found):
        out.print(f"{which}: {why}")


def comparison_table(found: Comparison) -> None:
    """Print runs side by side, and beneath them the settings in which they differ."""
    table = Table()
    table.add_column("metric")
    for column in found.columns:
        table.add_column(f"{column.run}\n{column.model}", justify="right", no_wrap=True)
    for name, metric in found.measures.items():
        values = [column.values.get(name) for column in found.columns]
        known = [value for value in values if value is not None]
        places = decimals(known)
        unit = f" ({metric['unit']})" if metric["unit"] else ""
        best = _best(known, metric["better"])
        cells = [
            Text(NOT_DEFINED if name in column.values else NOT_MEASURED, "dim")
            if value is None
            else Text(number(value, places), "bold" if value == best else "")
            for column, value in zip(found.columns, values, strict=True)
        ]
        table.add_row(metric["title"] + unit, *cells)
    settings = Table(title="Settings that differ", title_justify="left")
    settings.add_column("setting")
    for run in found.runs:
        settings.add_column(run, no_wrap=True)
    for name, each in found.differing.items():
        settings.add_row(name, *map(_shown, each))
    out = console(30 + 14 * len(found.columns))
    out.print(table)
    for note in found.notes:
        out.print(note, soft_wrap=True)
    out.print(settings if found.differing else "The runs do not differ in any setting.")


def _best(values: list[float], better: str | None) -> float | None:
    if better is None or len(values) < 2 or len(set(values)) == 1:
        return None
    return min(values) if better == "lower" else max(values)


def _shown(value: Any) -> str:
    return (
        "none"
        if value is None
        else ", ".join(map(str, value))
        if isinstance(value, list)
        else str(value)
    )


def annealing_table(found: dict[str, dict[str, Any]]) -> None:
    """Print how annealing and importance sampling bracket −log p of images that models made."""
    first = next(iter(found.values()))
    table = Table(
        title=f"−log p of {first['images']} images that each model made, nats",
        caption=f"{first['chains']} chains of {first['distributions']} distributions; the truth "
        "lies between the bounds, in expectation.",
    )
    columns = ("lower bound (from the posterior)", "upper bound (from the prior)",
               f"importance sampling, K = {first['samples']}")  # fmt: skip
    for name in ("model", *columns):
        table.add_column(name, justify="left" if name == "model" else "right")
    for key, one in found.items():
        table.add_row(key, *(number(one[name], 2) for name in ("lower", "upper", "importance")))
    console().print(table)
