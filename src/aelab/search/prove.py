"""The proof of a search: the best trials trained anew with fresh seeds, and one look at the test.

A search keeps the luckiest of many numbers. So its best trials are trained again, with seeds that
the search has not seen and for all epochs; validation chooses among them, and only the choice is
evaluated on test, beside the original recipe and PyTorch's defaults.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from aelab.data.sources import Source
from aelab.errors import TrainingError
from aelab.metrics import METRICS
from aelab.runs.pool import Job, Watch, run_all
from aelab.runs.search import SearchFolder
from aelab.search.candidates import Candidate, baselines, evaluate_on_test, of_trial, retrain
from aelab.search.config import Search
from aelab.search.space import ResolvedSpace

Records = dict[str, list[dict[str, Any]]]  # by candidate, a record a seed


def prove(
    folder: SearchFolder,
    search: Search,
    space: ResolvedSpace,
    source: Source,
    workers: int,
    watch: Watch,
) -> dict[str, Any]:
    """Train, choose, evaluate; gives the record of proof.json. What is done already stays done.

    Raises TrainingError if no candidate can be trained with every seed.
    """
    results = folder.results()
    [goal] = search.goals
    seeds = tuple(space.base.seed + 1 + k for k in range(search.proof.seeds))

    def run(function: Callable[..., None], group: Sequence[Candidate], record: str) -> Records:
        """Call a function for every candidate and seed; gives the records that it writes."""
        jobs = [
            Job(
                f"{c.title}, {c.epochs} epochs, seed {seed}",
                function,
                (folder.path, c, seed, source, goal.name),
            )
            for c in group
            for seed in seeds
        ]
        if failures := run_all(jobs, workers, watch, count=True):
            raise TrainingError(
                f"{' '.join(failures.values())} What the proof did before is kept: aelab resume "
                f"{folder.path}."
            )
        return {
            c.name: [folder.retrained(c.name, seed).read_json(record) for seed in seeds]
            for c in group
        }

    trials, ranking = results["trials"], results["best"]
    epochs = space.base.training(search.model).epochs
    best = [of_trial(space, trials[number], epochs) for number in ranking[: search.proof.top]]
    others = baselines(space)
    # The winner and the search's own start again, for the epochs of a trial: luck alone is left.
    has_start = space.start() is not None and trials[0]["state"] == "complete"
    again = dict.fromkeys([ranking[0], *([0] if has_start else [])])
    short = [of_trial(space, trials[number], search.trial_epochs) for number in again]
    candidates = {candidate.name: candidate for candidate in (*best, *others, *short)}
    records = run(retrain, list(candidates.values()), "metrics.json")
    failed = {
        name: f"With seed {seed}: {record['reason']}"
        for name, found in records.items()
        for seed, record in zip(seeds, found, strict=True)
        if record["values"] is None
    }
    best, others = ([c for c in group if c.name not in failed] for group in (best, others))
    if not best:
        raise TrainingError(
            "None of the best trials can be trained with every fresh seed: "
            + " ".join(failed.values())
        )
    values = {
        name: [record["values"][0] for record in found]
        for name, found in records.items()
        if name not in failed
    }
    sign = 1 if goal.better == "lower" else -1
    chosen = min(best, key=lambda candidate: sign * float(np.mean(values[candidate.name])))
    return {
        "seeds": seeds,
        "goal": results["goals"][0],
        "contenders": [
            asdict(c)
            | {"values": values[c.name], "mean": over_seeds(values[c.name])}
            | {"seconds": float(np.median([record["seconds"] for record in records[c.name]]))}
            for c in (*best, *others)
        ],
        "failed": [
            {"title": candidates[name].title, "epochs": candidates[name].epochs, "reason": why}
            for name, why in failed.items()
        ],
        "chosen": chosen.name,
        "luck": {
            name: _luck(candidate, results, values[candidate.name], sign)
            for name, candidate in zip(("best", "start"), short, strict=False)
            if candidate.name not in failed
        },
        "test": _on_test(run(evaluate_on_test, [chosen, *others], "test.json")),
    }


def _luck(
    candidate: Candidate, results: Mapping[str, Any], fresh: list[float], sign: int
) -> dict[str, Any]:
    """What a trial loses with fresh seeds, in the unit of the goal; positive is luck."""
    searched = results["trials"][candidate.trial]["values"][0]
    return {
        "trial": candidate.trial,
        "epochs": candidate.epochs,
        "searched": searched,
        "fresh": over_seeds(fresh),
        "luck": sign * (float(np.mean(fresh)) - searched),
    }


def _on_test(records: Records) -> dict[str, Any]:
    """Means over the seeds, and the first candidate's differences to each other one."""
    first, *others = records
    metrics = {name: METRICS[name] for name, v in records[first][0].items() if v is not None}
    columns = {
        key: {name: np.array([record[name] for record in found]) for name in metrics}
        for key, found in records.items()
    }
    return {
        "measures": {
            name: {"title": metric.title, "unit": metric.unit, "better": metric.better}
            for name, metric in metrics.items()
        },
        "rows": {
            key: {name: over_seeds(values) for name, values in column.items()}
            for key, column in columns.items()
        },
        "differences": {
            key: {name: over_seeds(columns[first][name] - columns[key][name]) for name in metrics}
            for key in others
        },
    }


def over_seeds(values: Sequence[float] | NDArray[np.float64]) -> dict[str, Any]:
    """Mean and 95% interval of Student's t over seeds."""
    mean, n = float(np.mean(values)), len(values)
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(values))
    return {"value": mean, "low": mean - half, "high": mean + half, "n": n}
