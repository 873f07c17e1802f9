"""The results of a study: claims decided, curves along the axes, one raw table.

Nothing is trained here. The results are those of the runs that there are, finished or not.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aelab.claims.claim import Claim, Values, read_claims
from aelab.claims.rules import Decision, decide
from aelab.claims.statistics import LEVEL, Paired, seeds_needed
from aelab.config.base import flatten
from aelab.experiment.presets import experiment_of
from aelab.runs.folder import FORMAT
from aelab.runs.run import Run
from aelab.runs.study import Study
from aelab.studies.plan import PlannedRun
from aelab.studies.sweep import BASE, Point, format_value, owner

COLUMNS = (
    "setting", "value", "seed", "model", "latent_dim", "measure", "estimate", "low", "high", "n",
    "run",
)  # fmt: skip


@dataclass(frozen=True)
class _Result:
    """What a planned run has so far."""

    planned: PlannedRun
    manifest: Mapping[str, Any]  # empty if the run has not been made
    models: Mapping[str, Mapping[str, Any]]  # metrics.json of each model and baseline, by name
    metrics: Mapping[str, Any]  # title, unit, ... of each metric, once the run is finished


def compose(study: Study, plan: Sequence[PlannedRun]) -> tuple[dict[str, Any], str]:
    """The content of ``study.json``, and of ``seeds.csv``."""
    claims = read_claims(study.claims(), str(study.path))
    results = [_read(study, planned) for planned in plan]
    made = [result for result in results if result.manifest]
    points = list(dict.fromkeys(planned.point for planned in plan))
    train_sizes = {r.planned.point: r.manifest["data"]["counts"]["train"] for r in made}
    environments = [result.manifest["environment"] for result in made]
    content = {
        "format": FORMAT,
        "experiment": study.experiment(),
        "data": study.manifest()["data"],
        "protocol": study.experiment()["pixels"],
        "pair_differs_in": experiment_of(study).pair_differs_in(),
        "claims_hash": study.manifest()["claims_hash"],
        "level": LEVEL,
        "seeds": sorted({r.planned.seed for r in made if r.planned.point == BASE and r.models}),
        "seeds_needed": seeds_needed(len(claims)),
        "measures": next((result.metrics for result in made if result.metrics), {}),
        "titles": {name: record["title"] for r in made for name, record in r.models.items()},
        "claims": [_decision(decided) for decided in decide(claims, _pairs(BASE, made))],
        "points": [_point(point, made, claims) for point in points],
        "axes": [
            _axis(setting, points, study.experiment(), train_sizes)
            for setting in dict.fromkeys(point.setting for point in points)
            if setting
        ],
        "runs": [
            dataclasses.asdict(r.planned) | {"status": r.manifest.get("status", "not made")}
            for r in results
        ],
        "failures": [
            {"run": r.planned.name, "model": key, "sentence": sentence}
            for r in made
            if r.manifest.get("status") == "failed"
            for key, sentence in r.manifest["failures"].items()
        ],
        "environments": list({json.dumps(each): each for each in environments}.values()),
    }
    return content, _table(made)


def _read(study: Study, planned: PlannedRun) -> _Result:
    """Read what there is of a run, even if some of its models failed."""
    path = study.run_path(planned.name)
    if not path.exists():
        return _Result(planned, {}, {}, {})
    run = Run(path)
    wanted = (*planned.models, *planned.baselines)
    models = {
        name: folder.read_json("metrics.json")
        for folder in run.model_folders()
        if (name := folder.path.name.partition("-")[0]) in wanted and folder.has("metrics.json")
    }
    metrics = run.metrics()["measures"] if run.has("metrics.json") else {}
    return _Result(planned, run.manifest(), models, metrics)


def _values(point: Point, results: Sequence[_Result]) -> dict[str, dict[int, dict[str, float]]]:
    """Model -> seed -> metric -> value, at one point, where they are defined."""
    values: dict[str, dict[int, dict[str, float]]] = {}
    for result in (each for each in results if each.planned.point == point):
        for name, record in result.models.items():
            values.setdefault(name, {})[result.planned.seed] = {
                metric: estimate["value"]
                for metric, estimate in record["metrics"].items()
                if estimate is not None
            }
    return values


def _pairs(point: Point, results: Sequence[_Result]) -> dict[int, Values]:
    """Seed -> model -> metric -> value, for the seeds of which a model was evaluated at a point.

    A model that the setting does not affect has the values of the base.
    """
    here = _values(point, results)
    base = {n: seeds for n, seeds in _values(BASE, results).items() if not point.affects(n)}
    return {
        seed: {name: found[seed] for name, found in (base | here).items() if seed in found}
        for seed in sorted({seed for found in here.values() for seed in found})
    }


def _point(point: Point, results: Sequence[_Result], claims: Sequence[Claim]) -> dict[str, Any]:
    """Every metric at a point, and the Δ of every claim, with intervals over seeds."""
    return {
        "setting": point.setting,
        "value": point.value,
        "models": {name: _summaries(seeds) for name, seeds in _values(point, results).items()},
        "deltas": {
            decided.claim.name: _summary(decided.deltas)
            | {"unit": decided.contrast.unit, "threshold": decided.contrast.threshold}
            for decided in decide(claims, _pairs(point, results))
            if decided.deltas
        },
    }


def _axis(
    setting: str,
    points: Sequence[Point],
    settings: Mapping[str, Any],
    train_sizes: Mapping[Point, int],
) -> dict[str, Any]:
    """The points along an axis, the base included: index, label and coordinate of each."""
    at_base = flatten(settings)[setting]
    stops: list[dict[str, Any]] = []
    for index, point in enumerate(points):
        if point.setting not in (None, setting):
            continue
        value = point.value
        if point == BASE:
            value = at_base[0] if isinstance(at_base, list) else at_base
        x = train_sizes.get(point) if setting == "train_size" else value  # "all" is a number too
        numeric = isinstance(x, int | float) and not isinstance(x, bool)
        stops.append({"point": index, "label": format_value(value), "x": x if numeric else None})
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
    """Mean and interval over seeds, and the value of each seed."""
    paired = Paired(tuple(values.values())) if values else None
    interval = paired and paired.interval and dataclasses.asdict(paired.interval)
    return {
        "seeds": {str(seed): value for seed, value in values.items()},
        "mean": paired and paired.mean,
        **(interval or dict.fromkeys(("low", "high", "confidence"))),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    contrast, paired = decision.contrast, decision.paired
    return {
        "claim": decision.claim.model_dump(mode="json") | {"delta": decision.claim.formula},
        **dataclasses.asdict(contrast),
        "margin": contrast.margin,
        **_summary(decision.deltas),
        "effect": paired and paired.effect,
        "p": paired and paired.p,
        "holm": decision.holm,
        "exact": paired is None or paired.exact,
        "verdict": decision.verdict,
        "why": decision.why,
    }


def _table(results: Sequence[_Result]) -> str:
    """One line for each metric of each model of each run; numbers to the last digit."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        planned = result.planned
        value = format_value(planned.value) if planned.setting else ""
        for name, record in result.models.items():
            for metric, estimate in record["metrics"].items():
                if estimate is not None:
                    numbers = [estimate[column] for column in ("value", "low", "high", "n")]
                    writer.writerow([
                        planned.setting or "", value, planned.seed, name, record["latent_dim"],
                        metric, *numbers, planned.name,
                    ])  # fmt: skip
    return buffer.getvalue()
