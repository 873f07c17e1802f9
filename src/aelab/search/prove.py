"""The proof of a search: the best trials trained anew with fresh seeds, and one look at the test.

A search keeps the luckiest of many numbers. So its best trials are trained again, with seeds that
the search has not seen and for all epochs; validation chooses among them, and only the choice is
measured on test, beside the original recipe and PyTorch's defaults.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from scipy import stats

from aelab.data.sources import Source
from aelab.errors import TrainingError
from aelab.metrics import METRICS
from aelab.runs.pool import Event, Job, Watch, run_jobs
from aelab.runs.search import SearchFolder
from aelab.search.config import Search
from aelab.search.contenders import (
    Contender,
    as_searched,
    finalists,
    look_at_test,
    retrain,
    yardsticks,
)
from aelab.search.space import Searched


def prove(
    folder: SearchFolder,
    search: Search,
    found: Searched,
    source: Source,
    workers: int,
    watch: Watch,
) -> dict[str, Any]:
    """Train, choose, measure; the record that the report shows. What is done already stays done.

    Raises TrainingError if no contender can be trained with every seed.
    """
    results = folder.results()
    seeds = tuple(found.base.seed + 1 + k for k in range(search.proof.seeds))
    trainings = _Trainings(folder, seeds, source, [goal.name for goal in search.goals])
    best, others = finalists(results, search, found), yardsticks(found)
    short = as_searched(results, search, found)
    trainings.run(retrain, [*best, *others, *short], workers, watch)
    failed = {c.name: (c, why) for c in (*best, *others, *short) if (why := trainings.failure(c))}
    best, others = ([c for c in group if c.name not in failed] for group in (best, others))
    if not best:
        raise TrainingError(
            "None of the best trials can be trained with every fresh seed: "
            + " ".join(why for _, why in failed.values())
        )
    sign = 1 if search.goals[0].better == "lower" else -1
    chosen = min(best, key=lambda contender: sign * float(np.mean(trainings.values(contender))))
    trainings.run(look_at_test, [chosen, *others], workers, watch)
    return {
        "seeds": seeds,
        "goal": results["goals"][0],
        "contenders": [trainings.row(contender) for contender in (*best, *others)],
        "failed": [{"title": c.title, "epochs": c.epochs, "reason": w} for c, w in failed.values()],
        "chosen": chosen.name,
        "luck": {
            name: trainings.luck(contender, results, sign)
            for name, contender in zip(("best", "start"), short, strict=False)
            if contender.name not in failed
        },
        "test": trainings.on_test([chosen, *others]),
    }


@final
@dataclass(frozen=True)
class _Trainings:
    """The contenders' trainings: run, and read again."""

    folder: SearchFolder
    seeds: tuple[int, ...]
    source: Source
    goals: list[str]

    def run(
        self,
        function: Callable[..., None],
        contenders: Sequence[Contender],
        workers: int,
        watch: Watch,
    ) -> None:
        """Call a function for every contender and seed, in processes of their own."""
        jobs = [
            Job(
                f"{c.title}, {c.epochs} epochs, seed {seed}",
                function,
                (self.folder.path, c, seed, self.source, self.goals),
            )
            for c in {contender.name: contender for contender in contenders}.values()
            for seed in self.seeds
        ]
        watch(Event("proof", "message", {"trainings": len(jobs)}))
        failures = []
        with contextlib.closing(run_jobs(jobs, workers)) as events:
            for event in events:
                if event.kind == "failed":
                    failures.append(event.content)
                watch(event)
        if failures:
            raise TrainingError(
                f"{failures[0]} What the proof did before is kept: aelab resume {self.folder.path}."
            )

    def read(self, contender: Contender, name: str) -> list[dict[str, Any]]:
        """A record of the contender with every seed."""
        return [self.folder.retrained(contender.name, s).read_json(name) for s in self.seeds]

    def failure(self, contender: Contender) -> str | None:
        """Why the contender is out, if it is."""
        for seed, record in zip(self.seeds, self.read(contender, "metrics.json"), strict=True):
            if record["values"] is None:
                return f"With seed {seed}: {record['reason']}"
        return None

    def values(self, contender: Contender) -> list[float]:
        """The first goal with every seed, on validation."""
        return [record["values"][0] for record in self.read(contender, "metrics.json")]

    def row(self, contender: Contender) -> dict[str, Any]:
        """The contender with its values, their mean, and the median time of a training."""
        values = self.values(contender)
        seconds = [record["seconds"] for record in self.read(contender, "metrics.json")]
        mean = over_seeds(values)
        return asdict(contender) | {
            "values": values, "mean": mean, "seconds": float(np.median(seconds)),
        }  # fmt: skip

    def luck(self, contender: Contender, results: Mapping[str, Any], sign: int) -> dict[str, Any]:
        """What a trial lost with fresh seeds, in the unit of the goal; positive is luck."""
        assert contender.trial is not None
        searched, fresh = results["trials"][contender.trial]["values"][0], self.values(contender)
        return {
            "trial": contender.trial,
            "epochs": contender.epochs,
            "searched": searched,
            "fresh": over_seeds(fresh),
            "luck": sign * (float(np.mean(fresh)) - searched),
        }

    def on_test(self, contenders: Sequence[Contender]) -> dict[str, Any]:
        """Means over the seeds, and what the first contender has more than each other one."""
        rows = {contender.name: self.read(contender, "test.json") for contender in contenders}
        first, *others = rows
        names = [name for name, value in rows[first][0].items() if value is not None]
        columns = {
            key: {name: [record[name] for record in found] for name in names}
            for key, found in rows.items()
        }
        return {
            "measures": {
                n: {"title": METRICS[n].title, "unit": METRICS[n].unit, "better": METRICS[n].better}
                for n in names
            },
            "rows": {
                key: {name: over_seeds(values) for name, values in column.items()}
                for key, column in columns.items()
            },
            "differences": {
                key: {
                    name: over_seeds(np.subtract(columns[first][name], columns[key][name]).tolist())
                    for name in names
                }
                for key in others
            },
        }


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean and 95% interval of Student's t over seeds."""
    mean, n = float(np.mean(values)), len(values)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return {"value": mean, "low": mean - half, "high": mean + half, "n": n}
