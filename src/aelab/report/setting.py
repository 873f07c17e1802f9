"""The full setting of a run, as terms and values to read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aelab.config.base import flatten
from aelab.report.numbers import duration, listing
from aelab.report.results import Model, Results


@dataclass(frozen=True)
class Group:
    """A titled list of facts."""

    title: str
    facts: tuple[tuple[str, str], ...]


def setting(results: Results) -> list[Group]:
    """Data, experiment, machine: everything a number may depend on."""
    data, counts = results.data, results.counts
    experiment, manifest = results.experiment, results.manifest
    sizes = listing(f"{count:,} for {name}" for name, count in counts.items())
    groups = {
        "Data": {
            "name": results.corpus,
            "source": data.get("source"),
            "why": data.get("why"),
            "images": sizes,
            "split": data.get("split"),
            "protocol": results.protocol,
            **{f"SHA-256 {name}": found for name, found in data.get("sha256", {}).items()},
        },
        "Experiment": {
            "preset": experiment.get("preset"),
            "seed": experiment.get("seed"),
            "split seed": experiment.get("split_seed"),
            "the pair differs in": listing(results.pair_differs_in) or "nothing but the objective"
            if any(results.pair(d) for d in results.latent_dims)
            else None,
        },
        "Machine": {
            "aelab": manifest.get("aelab"),
            **{name.replace("_", " "): v for name, v in manifest.get("environment", {}).items()},
            "time, whole run": duration(manifest["seconds"]) if "seconds" in manifest else None,
        },
    }
    return [
        Group(title, tuple((k, str(v)) for k, v in facts.items() if v not in (None, "")))
        for title, facts in groups.items()
    ]


def trained(model: Model) -> tuple[str, ...]:
    """Parameters, epochs, time and status of a model, as cells."""
    facts = model.facts
    parameters, seconds = facts.get("parameters"), facts.get("seconds")
    return (
        f"{parameters:,}" if parameters is not None else "–",
        str(facts.get("epochs", "–")),
        duration(seconds) if seconds is not None else "–",
        str(facts.get("status", "–")),
    )


def flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every leaf of nested settings as ``path.to.name`` and its value."""
    for name, value in flatten(settings).items():
        if isinstance(value, list):
            yield name, ", ".join(map(str, value))
        else:
            yield name, "none" if value is None else str(value)
