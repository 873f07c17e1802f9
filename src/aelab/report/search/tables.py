"""The tables of a search: the choice on test, the contenders, the best trials, the setting."""

from collections.abc import Mapping
from typing import Any

from aelab.report.numbers import decimals, duration, listing, number, quantity
from aelab.report.results import Estimate, Measure
from aelab.report.search.records import Contender, Proof, SearchResults
from aelab.report.style import role
from aelab.report.tables import (
    Column,
    Facts,
    Head,
    Table,
    data_facts,
    facts,
    machine_facts,
    measure_rows,
    text_table,
)

BEST_TRIALS = 10


def test_table(results: SearchResults, proof: Proof) -> Table:
    """Every measure on test of the choice and the yardsticks, and their differences."""
    columns: list[Column] = []
    for name, estimates in proof.test.items():
        found = proof.contender(name)
        color = role(results.model, {results.model}) if not columns else ""
        columns.append(Column(Head(found.title, color, f"{found.epochs} epochs"), estimates))
    chosen = columns[0].head.title
    for name, gaps in proof.differences.items():
        short = proof.contender(name).title.split(",")[0]
        marks = {n: "better" for n, gap in gaps.items() if _better(gap, proof.measures[n])}
        columns.append(Column(Head(f"{chosen} − {short}", kind="difference"), gaps, marks))
    rows = measure_rows(list(proof.measures.values()), columns, lambda _: "")
    return Table("Measures on test", (Head("Measure"), *(c.head for c in columns)), tuple(rows))


def _better(gap: Estimate, measure: Measure) -> bool:
    gains = gap.value < 0 if measure.better == "lower" else gap.value > 0
    return bool(measure.better) and gap.separates and gains


def contender_table(results: SearchResults, proof: Proof) -> Table:
    """Every contender on validation, with its settings."""
    heads = ("Setting", results.goal.label, "Epochs", "Time", *_titles(results))
    rows = []
    for found in proof.contenders:
        cells = [quantity(found.mean), str(found.epochs), duration(found.seconds)]
        head = Head(found.title, unit="chosen" if found.name == proof.chosen else "")
        rows.append((head, [*cells, *settings(results, found).values()]))
    return text_table("Contenders", heads, rows)


def best_table(results: SearchResults) -> Table:
    """The first rows of the ranking: number, values, settings, time."""
    complete = results.state("complete")
    places = [decimals([t.values[k] for t in complete]) for k in range(len(results.goals))]
    rows = []
    for trial in (results.trials[n] for n in results.best[:BEST_TRIALS]):
        values = (number(value, p) for value, p in zip(trial.values, places, strict=True))
        chosen = (setting_text(trial.settings[d.name]) for d in results.dimensions)
        rows.append((Head(str(trial.number)), [*values, *chosen, duration(trial.seconds)]))
    heads = ("Trial", *(goal.label for goal in results.goals), *_titles(results), "Time")
    return text_table("Best trials", heads, rows)


def _titles(results: SearchResults) -> list[str]:
    return [dimension.title for dimension in results.dimensions]


def settings(results: SearchResults, contender: Contender) -> dict[str, str]:
    """What the search has chosen for a contender, by the title of the setting."""
    model, network = contender.settings[results.model], contender.settings["network"]
    values: dict[str, Any] = {**model, **network, "latent_dim": contender.settings["latent_dim"]}
    return {d.title: setting_text(values[d.name]) for d in results.dimensions}


def setting_text(value: Any) -> str:
    """A setting's value."""
    if isinstance(value, list | tuple):
        return "-".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def setting(results: SearchResults) -> Facts:
    """Data, search and machine, as terms and facts."""
    search: Mapping[str, Any] = results.search
    manifest = results.manifest
    return facts(
        Data=data_facts(results.data, results.experiment["pixels"]),
        Search={
            "model": f"{results.model_title}, d = {results.latent_dim}",
            "goal": listing(goal.name for goal in results.goals),
            "budget": listing(f"{search[u]:g} {u}" for u in ("trials", "minutes") if search[u]),
            "epochs of a trial": search["trial_epochs"],
            **{
                part: ", ".join(f"{name} {value}" for name, value in search[part].items())
                for part in ("sampler", "pruner")
            },
            "seed": results.experiment["seed"],
            **{f"space: {dimension.title}": dimension.text for dimension in results.dimensions},
        },
        Machine={
            **machine_facts(manifest["environment"]),
            "storage": manifest.get("storage") or "a file in the folder",
            "time of the trials": duration(manifest.get("seconds", 0.0)),
        },
    )
