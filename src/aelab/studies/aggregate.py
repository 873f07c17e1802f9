"""What the runs of a study say together: claims decided, curves over the axes, one raw table.

Nothing here trains; it reads what the runs have kept, so a study whose runs are not all there says
as much as those that are.
"""

import csv
import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aelab.claims.formula import Measures
from aelab.claims.rules import Claim, Decision, decide, thaw
from aelab.claims.statistics import LEVEL, Paired, seeds_needed
from aelab.config.base import flatten
from aelab.experiment.presets import experiment_of
from aelab.runs.folder import FORMAT
from aelab.runs.run import Run
from aelab.runs.study import Study
from aelab.studies.sweep import BASE, Point, owner, written

COLUMNS = (
    "setting", "value", "seed", "model", "latent_dim", "measure", "estimate", "low", "high", "n",
    "run",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One run of a study: where on which axis, for which seed, which models."""

    name: str
    setting: str | None
    value: Any
    seed: int
    models: tuple[str, ...]
    baselines: tuple[str, ...]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Entry":
        """An entry of the plan in a study's manifest."""
        lists = {name: tuple(record[name]) for name in ("models", "baselines")}
        return cls(**{**record, **lists})

    @property
    def point(self) -> Point:
        """Its place on the axis."""
        return Point(self.setting, self.value)


@dataclass(frozen=True)
class _Row:
    """A model (or baseline) of a run with what was measured of it."""

    entry: Entry
    name: str  # "vae", "pca"
    record: Mapping[str, Any]  # its metrics.json

    @property
    def values(self) -> dict[str, float]:
        """The measures that are defined."""
        return {name: e["value"] for name, e in self.record["metrics"].items() if e is not None}


def compose(study: Study, plan: Sequence[Entry]) -> tuple[dict[str, Any], str]:
    """The content of ``study.json``, and of ``seeds.csv``."""
    claims = thaw(study.claims(), str(study.path))
    rows = [row for entry in plan for row in _rows(study, entry)]
    manifests = {entry.name: _manifest(study, entry) for entry in plan}
    places = list(dict.fromkeys(entry.point for entry in plan))
    train = {e.point: manifests[e.name]["data"]["counts"]["train"] for e in plan
             if manifests[e.name]}  # fmt: skip
    results = {
        "format": FORMAT,
        "experiment": study.experiment(),
        "data": study.manifest()["data"],
        "protocol": study.experiment()["pixels"],
        "pair_differs_in": experiment_of(study).pair_differs_in(),
        "claims_hash": study.manifest()["claims_hash"],
        "level": LEVEL,
        "seeds": sorted({row.entry.seed for row in rows if row.entry.point == BASE}),
        "seeds_needed": seeds_needed(len(claims)),
        "measures": _measures(study, plan),
        "titles": {row.name: row.record["title"] for row in rows},
        "claims": [_decision(found) for found in decide(claims, _pairs(BASE, rows))],
        "points": [_point(point, rows, claims) for point in places],
        "axes": [
            _axis(setting, places, study.experiment(), train)
            for setting in dict.fromkeys(point.setting for point in places if point != BASE)
            if setting
        ],
        "runs": [
            dataclasses.asdict(entry)
            | {"status": manifests[entry.name].get("status", "not made")}
            for entry in plan
        ],
        "failures": [
            {"run": name, "model": key, "sentence": sentence}
            for name, manifest in manifests.items()
            if manifest.get("status") == "failed"
            for key, sentence in manifest["failures"].items()
        ],
        "environments": _distinct(m["environment"] for m in manifests.values() if m),
    }  # fmt: skip
    return results, _table(rows)


def _manifest(study: Study, entry: Entry) -> dict[str, Any]:
    path = study.run_path(entry.name)
    return Run(path).manifest() if path.exists() else {}


def _rows(study: Study, entry: Entry) -> Iterator[_Row]:
    """Whatever is measured of a run, its other models failed or not."""
    if not study.run_path(entry.name).exists():
        return
    run = Run(study.run_path(entry.name))
    for folder in run.model_folders():
        if folder.has("metrics.json"):
            name = folder.path.name.partition("-")[0]
            if name in (*entry.models, *entry.baselines):
                yield _Row(entry, name, folder.read_json("metrics.json"))


def _measures(study: Study, plan: Sequence[Entry]) -> dict[str, Any]:
    """What the measures are called, from the first run that tells."""
    for entry in plan:
        path = study.run_path(entry.name)
        if path.exists() and (run := Run(path)).has("metrics.json"):
            measures: dict[str, Any] = run.metrics()["measures"]
            return measures
    return {}


def _values(point: Point, rows: Sequence[_Row]) -> dict[str, dict[int, dict[str, float]]]:
    """Model -> seed -> measure -> value, at one place."""
    values: dict[str, dict[int, dict[str, float]]] = {}
    for row in rows:
        if row.entry.point == point:
            values.setdefault(row.name, {})[row.entry.seed] = row.values
    return values


def _pairs(point: Point, rows: Sequence[_Row]) -> dict[int, Measures]:
    """Seed -> model -> measure -> value; models that the setting does not concern are the base's.

    A seed belongs to a place if a model was measured there.
    """
    here = _values(point, rows)
    there = {
        name: seeds for name, seeds in _values(BASE, rows).items() if not point.affects(name)
    }  # fmt: skip
    seeds = sorted({seed for found in here.values() for seed in found})
    return {
        seed: {
            name: found[seed] for name, found in {**there, **here}.items() if seed in found
        }
        for seed in seeds
    }  # fmt: skip


def _point(point: Point, rows: Sequence[_Row], claims: Sequence[Claim]) -> dict[str, Any]:
    """Every measure at a place with its interval over seeds, and every Δ there, undecided."""
    decisions = decide(claims, _pairs(point, rows))
    return {
        "setting": point.setting,
        "value": point.value,
        "models": {name: _summaries(seeds) for name, seeds in _values(point, rows).items()},
        "deltas": {d.claim.name: _delta(d) for d in decisions if d.deltas},
    }


def _axis(
    setting: str, places: Sequence[Point], settings: Mapping[str, Any], train: Mapping[Point, int]
) -> dict[str, Any]:
    """The places along an axis, the base among them: where each stands, and which point it is."""
    at_base = flatten(settings)[setting]
    stops: list[dict[str, Any]] = []
    for index, point in enumerate(places):
        if point.setting not in (None, setting):
            continue
        value = point.value
        if point == BASE:
            value = at_base[0] if isinstance(at_base, list) else at_base
        x = train.get(point) if setting == "train_size" else value  # "all" is a number too
        numeric = isinstance(x, int | float) and not isinstance(x, bool)
        stops.append({"point": index, "label": written(value), "x": x if numeric else None})
    if all(stop["x"] is not None for stop in stops):
        stops.sort(key=lambda stop: float(stop["x"]))
    return {"setting": setting, "owner": owner(setting), "stops": stops}


def _summaries(seeds: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
    names = dict.fromkeys(name for values in seeds.values() for name in values)
    return {
        name: _summary({s: values[name] for s, values in sorted(seeds.items()) if name in values})
        for name in names
    }


def _summary(values: Mapping[int, float]) -> dict[str, Any]:
    """Mean and interval over seeds, and the seeds themselves."""
    paired = Paired(tuple(values.values()))
    ends = paired.interval
    return {
        "seeds": {str(seed): value for seed, value in values.items()},
        "mean": paired.mean,
        "low": ends.low if ends else None,
        "high": ends.high if ends else None,
        "confidence": ends.confidence if ends else None,
    }


def _delta(decision: Decision) -> dict[str, Any]:
    compared = decision.compared
    return _summary(decision.deltas) | {"unit": compared.unit, "threshold": compared.threshold}


def _decision(decision: Decision) -> dict[str, Any]:
    compared = decision.compared
    nothing = dict.fromkeys(("mean", "low", "high", "confidence")) | {"seeds": {}}
    return {
        "claim": decision.claim.model_dump(mode="json"),
        "quantity": compared.quantity,
        "unit": compared.unit,
        "threshold": compared.threshold,
        "margin": compared.margin,
        **(_summary(decision.deltas) if decision.deltas else nothing),
        "effect": decision.effect,
        "p": decision.p,
        "holm": decision.holm,
        "exact": len(decision.deltas) <= 20,
        "verdict": decision.verdict,
        "why": decision.why,
    }


def _distinct(records: Iterator[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for record in records:
        if record not in found:
            found.append(record)
    return found


def _table(rows: Sequence[_Row]) -> str:
    """Every measure of every model of every run, a line each; numbers to the last digit."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        entry = row.entry
        place = (entry.setting or "", written(entry.value) if entry.setting else "", entry.seed)
        for name, e in row.record["metrics"].items():
            if e is not None:
                estimate = [e["value"], e["low"], e["high"], e["n"]]
                size = row.record["latent_dim"]
                writer.writerow([*place, row.name, size, name, *estimate, entry.name])
    return buffer.getvalue()
