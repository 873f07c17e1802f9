"""The tables of results in the terminal: of runs, studies, searches and comparisons."""

from typing import Any

from rich.table import Table
from rich.text import Text

from aelab.console.streams import console
from aelab.report.numbers import decimals, number, p_text
from aelab.report.study.conclusions import reasons
from aelab.report.study.results import load
from aelab.report.tables import NOT_DEFINED, NOT_EVALUATED
from aelab.runs.records import MetricInfo
from aelab.runs.run import Run
from aelab.runs.search import SearchFolder
from aelab.runs.search_results import Proof, SearchResults
from aelab.runs.search_results import load as load_search
from aelab.runs.study import Study
from aelab.runs.summary import best, summary
from aelab.studies.compare import Comparison

_STYLES = {"supported": "green", "refuted": "red", "inconclusive": "yellow", "not evaluated": "dim"}


def print_tables(done: Run | Study | SearchFolder) -> None:
    """Print the main metrics of a run, the claims of a study, or the best trials of a search."""
    if isinstance(done, Run):
        console(80).print(summary(done.metrics()))
    elif isinstance(done, Study):
        _claims_table(done)
    else:
        found = load_search(done)
        _best_trials(found)
        if found.proof:
            _proof_table(found.proof, found.goal)


def _claims_table(study: Study) -> None:
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
    table.add_column("metric", min_width=20)
    for column in found.columns:
        table.add_column(f"{column.run}\n{column.model}", justify="right", no_wrap=True)
    for name, metric in found.measures.items():
        values = [column.values.get(name) for column in found.columns]
        known = [value for value in values if value is not None]
        places = decimals(known)
        unit = f" ({metric['unit']})" if metric["unit"] else ""
        leading = best(known, metric["better"])
        cells = [
            Text(NOT_DEFINED if name in column.values else NOT_EVALUATED, "dim")
            if value is None
            else Text(number(value, places), "bold" if value == leading else "")
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


def _shown(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join("none" if each is None else str(each) for each in values)


def _best_trials(found: SearchResults) -> None:
    states = [trial.state for trial in found.trials]
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    table = Table(
        title=f"{found.key} on {found.data['name']}: {len(states)} trials ({counts})",
        caption=f"On validation, with one seed, after {found.trial_epochs} epochs: the "
        "best value of many trials is biased (selection bias).",
    )
    for title in ("trial", found.goal.title):
        table.add_column(title, justify="right", no_wrap=True)
    for dimension in found.dimensions:
        table.add_column(dimension.title, justify="right")
    for which in found.best[:10]:
        settings = (found.trials[which].settings[dimension.name] for dimension in found.dimensions)
        table.add_row(
            str(which),
            f"{found.values[which]:.5g}",
            *(f"{value:.2g}" if isinstance(value, float) else str(value) for value in settings),
        )
    console(30 + 11 * len(found.dimensions)).print(table)


def _proof_table(proof: Proof, goal: MetricInfo) -> None:
    table = Table(
        title=f"With {len(proof.seeds)} fresh seeds, on validation: {goal.title}",
        caption="Chosen by the mean; the choice beside the references on test is in the report.",
    )
    for title in ("setting", "epochs", "mean", "95% interval"):
        table.add_column(title, justify="left" if title == "setting" else "right")
    for row in proof.contenders:
        style = "bold" if row.name == proof.chosen else ""
        ends = f"[{row.mean.low:.5g}, {row.mean.high:.5g}]"
        table.add_row(Text(row.title, style), str(row.epochs), f"{row.mean.value:.5g}", ends)
    for title, _ in proof.failed:
        table.add_row(title, "", "failed", "in the report")
    console(80).print(table)


def print_trials(done: list[dict[str, Any]]) -> None:
    """What a worker has done, and where the weights are."""
    out = console()
    out.print(f"{len(done)} trials were taken here.")
    for trial in done:
        where = f"  {trial['weights']}" if trial["weights"] else ""
        out.print(f"trial {trial['trial']}: {trial['state']}{where}", soft_wrap=True)


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
