"""Models of several runs side by side, if their numbers are comparable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aelab.config.base import flatten
from aelab.errors import AelabError
from aelab.runs.run import Run


@dataclass(frozen=True)
class ComparedModel:
    """A model of a run; a value is None where the metric is not defined.

    A metric that is missing was not evaluated, or not with the classifier of the first run.
    """

    run: str
    model: str
    title: str
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Comparison:
    """Models of several runs, metric by metric, and the settings in which the runs differ."""

    runs: tuple[str, ...]
    differing: Mapping[str, tuple[Any, ...]]  # dotted setting -> its value in each run
    measures: Mapping[str, Mapping[str, Any]]  # name -> title, unit, better; --json has this key
    columns: tuple[ComparedModel, ...]
    notes: tuple[str, ...]  # why values are missing


def compare(*paths: Path | str) -> Comparison:
    """Put the models of evaluated runs side by side.

    Args:
        paths: At least two run folders.

    Returns:
        The values of every metric by model, and the settings in which the runs differ.

    Raises:
        AelabError: If the numbers are not of the same images under the same protocol; the sentence
            names what differs.
    """
    if len(paths) < 2:
        raise AelabError("A comparison needs at least two runs.")
    runs = [Run(path) for path in paths]
    metrics = [run.metrics() for run in runs]
    experiments = [run.experiment() for run in runs]
    short = [run.path.resolve().name for run in runs]
    names = [
        name if short.count(name) == 1 else str(run.path)
        for name, run in zip(short, runs, strict=True)
    ]
    facts = [_facts(*each) for each in zip(experiments, metrics, strict=True)]
    for name, own in zip(names, facts, strict=True):
        for what, value in own.items():
            if (first := facts[0][what]) != value:
                both = "" if isinstance(value, Mapping) else f" ({first} and {value})"
                raise AelabError(
                    f"The numbers of {names[0]} and {name} cannot stand in one column: their "
                    f"{what} differs{both}."
                )
    infos = {name: m for record in metrics for name, m in record["measures"].items()}
    # Older runs do not say which metrics depend on the classifier; most of those of generation do.
    dependent = {
        name
        for record in metrics
        for name, m in record["measures"].items()
        if m.get("classifier", m.get("family") == "generation")
    }
    columns: list[ComparedModel] = []
    notes: dict[str, str] = {}
    reference = ""
    for name, record in zip(names, metrics, strict=True):
        for key, entry in record["models"].items():
            values = {n: e and e["value"] for n, e in entry["metrics"].items()}
            classifier = _classifier(entry)
            reference = reference or classifier
            if classifier != reference:
                values = {n: v for n, v in values.items() if v is None or n not in dependent}
                notes[name] = (
                    f"{name} was evaluated with another digit classifier ({classifier}) than "
                    f"{names[0]} ({reference}): its values that depend on it are left out."
                )
            columns.append(ComparedModel(name, key, entry["title"], values))
    known = {n: m for n, m in infos.items() if any(c.values.get(n) is not None for c in columns)}
    differing = differences(experiments)
    return Comparison(tuple(names), differing, known, tuple(columns), tuple(notes.values()))


def _classifier(entry: Mapping[str, Any]) -> str:
    """The digit classifier that a model was evaluated with: the start of its weights' hash."""
    facts = entry.get("generation", {}).get("classifier")
    return f"SHA-256 {facts['sha256'][:12]}" if facts else "unknown"


def differences(experiments: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Every setting in which experiments differ, by its dotted name, with its values in order."""
    flat = [flatten(experiment) for experiment in experiments]
    names = dict.fromkeys(name for settings in flat for name in settings)
    values = {name: tuple(settings.get(name) for settings in flat) for name in names}
    return {name: found for name, found in values.items() if any(v != found[0] for v in found)}


def _facts(experiment: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same for two numbers to be comparable.

    The training sets may differ in size: a smaller one is part of the larger one, and the test
    images are the same.
    """
    data = metrics["data"]
    return {
        "data protocol": experiment["pixels"],
        "reconstruction term": experiment["likelihood"],
        "seed of the split": experiment["split_seed"],
        "SHA-256 of the data": data["sha256"],
        "number of validation images": data["counts"]["validation"],
        "number of test images": data["counts"]["test"],
    }
