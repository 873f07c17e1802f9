"""Any runs side by side, as far as their numbers may stand in one column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aelab.config.base import flatten
from aelab.errors import AelabError
from aelab.runs.run import Run

# What must be the same for two numbers to be about the same thing. The training set may differ in
# size: a smaller one is part of the larger one, and the test images stay.
_SAME = {
    "pixels": "data protocol",
    "likelihood": "reconstruction term",
    "split_seed": "seed of the split",
}
_SAME_DATA = {
    "sha256": "SHA-256 of the data",
    "validation": "number of validation images",
    "test": "number of test images",
}


@dataclass(frozen=True)
class Column:
    """A model of a run; a value is None where the measure is not defined.

    What was not measured, or not with the classifier of the other columns, has no value.
    """

    run: str
    model: str
    title: str
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Comparison:
    """Models of several runs, measure by measure, and the settings in which the runs differ."""

    columns: tuple[Column, ...]
    measures: Mapping[str, Mapping[str, Any]]  # name -> title, unit, better
    differing: Mapping[str, tuple[Any, ...]]  # dotted setting -> its value in each run
    runs: tuple[str, ...]
    notes: tuple[str, ...]  # why values are left out

    def as_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "runs": list(self.runs),
            "differing": {name: list(values) for name, values in self.differing.items()},
            "measures": {name: dict(measure) for name, measure in self.measures.items()},
            "columns": [
                {"run": c.run, "model": c.model, "title": c.title, "values": dict(c.values)}
                for c in self.columns
            ],
            "notes": list(self.notes),
        }


def compare(*paths: Path | str) -> Comparison:
    """Put the models of measured runs side by side.

    Raises AelabError, which names what differs, if their numbers are not about the same images
    under the same protocol.
    """
    if len(paths) < 2:
        raise AelabError("A comparison needs at least two runs.")
    runs = [Run(path) for path in paths]
    metrics = [run.metrics() for run in runs]
    experiments = [run.experiment() for run in runs]
    names = _names([run.path for run in runs])
    for name, experiment, measured in zip(names[1:], experiments[1:], metrics[1:], strict=True):
        _check((names[0], name), (experiments[0], experiment), (metrics[0], measured))
    measures = {name: m for measured in metrics for name, m in measured["measures"].items()}
    # Older runs do not say which metrics depend on the classifier; most of them are of generation.
    dependent = {
        name
        for measured in metrics
        for name, m in measured["measures"].items()
        if m.get("classifier", m.get("family") == "generation")
    }
    columns: list[Column] = []
    notes: dict[str, str] = {}
    reference = ""
    for name, measured in zip(names, metrics, strict=True):
        for key, entry in measured["models"].items():
            values, classifier = _values(entry["metrics"]), _classifier(entry)
            reference = reference or classifier
            if classifier != reference:
                values = {n: v for n, v in values.items() if v is None or n not in dependent}
                notes[name] = (
                    f"{name} was measured with another digit classifier ({classifier}) than "
                    f"{names[0]} ({reference}): its values that depend on it are left out."
                )
            columns.append(Column(name, key, entry["title"], values))
    shown = {n: m for n, m in measures.items() if any(c.values.get(n) is not None for c in columns)}
    differing = differences(experiments)
    return Comparison(tuple(columns), shown, differing, tuple(names), tuple(notes.values()))


def _classifier(entry: Mapping[str, Any]) -> str:
    """The digit classifier that a model was measured with: the start of its weights' hash."""
    facts = entry.get("generation", {}).get("classifier")
    return f"SHA-256 {facts['sha256'][:12]}" if facts else "unknown"


def differences(experiments: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Every setting in which experiments differ, by its dotted name, with its values in order."""
    flat = [flatten(experiment) for experiment in experiments]
    names = dict.fromkeys(name for settings in flat for name in settings)
    values = {name: tuple(settings.get(name) for settings in flat) for name in names}
    return {name: found for name, found in values.items() if any(v != found[0] for v in found)}


def _values(metrics: Mapping[str, Mapping[str, Any] | None]) -> dict[str, float | None]:
    return {name: None if found is None else found["value"] for name, found in metrics.items()}


def _names(paths: Sequence[Path]) -> list[str]:
    """The folders' names, or their paths where two have the same one."""
    short = [path.resolve().name for path in paths]
    return [
        name if short.count(name) == 1 else str(path)
        for name, path in zip(short, paths, strict=True)
    ]


def _check(
    names: tuple[str, str],
    experiments: tuple[Mapping[str, Any], Mapping[str, Any]],
    metrics: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> None:
    """Refuse numbers that are not about the same thing; the sentence names the first reason."""
    facts = [
        {what: experiment[name] for name, what in _SAME.items()}
        | {
            what: measured["data"].get(name, measured["data"]["counts"].get(name))
            for name, what in _SAME_DATA.items()
        }
        for experiment, measured in zip(experiments, metrics, strict=True)
    ]
    for what, first in facts[0].items():
        if (second := facts[1][what]) != first:
            values = "" if isinstance(first, Mapping) else f" ({first} and {second})"
            raise AelabError(
                f"The numbers of {names[0]} and {names[1]} cannot stand in one column: their "
                f"{what} differs{values}."
            )
