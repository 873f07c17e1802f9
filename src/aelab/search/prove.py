"""The proof of a search: the best trials trained anew with fresh seeds, and one look at the test.

A search keeps the luckiest of many numbers. So its best trials are trained again, with seeds that
the search has not seen and for all epochs; validation chooses among them, and only the choice is
measured on test, beside the original recipe and PyTorch's defaults.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from scipy import stats

from aelab.data import Source
from aelab.errors import TrainingError
from aelab.experiment import Experiment, preset, validate
from aelab.lab import Watch, load
from aelab.metrics import METRICS, Context
from aelab.parallel import Job, Send, run_jobs
from aelab.runs import SearchFolder
from aelab.search.config import Search
from aelab.search.goals import as_number, find_goal, validation_context
from aelab.search.space import Searched
from aelab.search.trial import keep, prepare
from aelab.train import fit, load_weights

PYTORCH_RATE = 1e-3  # torch.optim.Adam's own step size; its betas and decay are the recipe's too
#: What the final table holds; a measure that the model has not is left out.
TABLE = ("reconstruction_nll", "mse", "ssim", "negative_elbo", "kl", "active_units",
         "knn_accuracy", "probe_accuracy")  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """A setting that is trained with every fresh seed."""

    name: str
    title: str
    settings: Mapping[str, Any]  # an Experiment, plain
    epochs: int
    trial: int | None = None

    def experiment(self, seed: int) -> Experiment:
        """Its experiment with a seed."""
        return validate({**self.settings, "seed": seed}, self.name)


def prove(
    folder: SearchFolder,
    search: Search,
    found: Searched,
    source: Source,
    workers: int,
    watch: Watch,
) -> dict[str, Any]:
    """Train, choose, measure; the record that the report shows."""
    results = folder.results()
    seeds = [found.base.seed + 1 + k for k in range(search.proof.seeds)]
    finalists = _finalists(results, search, found)
    yardsticks = _yardsticks(found)
    short = _as_searched(results, search, found)
    everyone = [*finalists, *yardsticks, *short]
    _run_all(folder, retrain, everyone, seeds, source, search, workers, watch)
    goal = find_goal(results["goals"][0]["name"])
    sign = 1 if goal.better == "lower" else -1

    def values(contender: Contender) -> list[float]:
        return [
            folder.retrained(contender.name, seed).read_json("metrics.json")["values"][0]
            for seed in seeds
        ]

    chosen = min(finalists, key=lambda finalist: sign * float(np.mean(values(finalist))))
    _run_all(folder, look_at_test, [chosen, *yardsticks], seeds, source, search, workers, watch)
    return {
        "seeds": seeds,
        "goal": results["goals"][0],
        "contenders": [
            _row(folder, contender, seeds, values(contender))
            for contender in (*finalists, *yardsticks)
        ],
        "chosen": chosen.name,
        "luck": _luck(results, short, values, sign),
        "test": _test_table(folder, [chosen, *yardsticks], seeds),
    }


def _finalists(results: Mapping[str, Any], search: Search, found: Searched) -> list[Contender]:
    trials = {trial["number"]: trial for trial in results["trials"]}
    return [
        _contender(found, trials[number], found.base.training(search.model).epochs)
        for number in results["best"][: search.proof.top]
    ]


def _contender(found: Searched, trial: Mapping[str, Any], epochs: int, note: str = "") -> Contender:
    number, experiment = trial["number"], found.experiment(trial["settings"])
    if "epochs" in found.dimensions:
        epochs = experiment.training(found.model).epochs
    return Contender(
        f"trial-{number:04d}{note}", f"trial {number}", experiment.model_dump(mode="json"), epochs,
        number,
    )  # fmt: skip


def _as_searched(results: Mapping[str, Any], search: Search, found: Searched) -> list[Contender]:
    """The best trial and the search's own start, for the epochs of a trial: luck alone is left."""
    trials = {trial["number"]: trial for trial in results["trials"]}
    numbers = [results["best"][0]]
    if found.start() is not None and trials[0]["state"] == "complete" and numbers[0] != 0:
        numbers.append(0)
    note = f"-{search.trial_epochs}-epochs"
    return [_contender(found, trials[number], search.trial_epochs, note) for number in numbers]


def _yardsticks(found: Searched) -> list[Contender]:
    """The original recipe on the same data, and the same with PyTorch's defaults."""
    base, model = found.base, found.model
    same = base.model_dump(
        include={"models", "latent_dim", "data", "split_seed", "validation", "train_size",
                 "pixels", "likelihood", "evaluation"}
    )  # fmt: skip
    recipe = preset("recipe", **same)
    pytorch = preset("recipe", **same, **{model: {"learning_rate": PYTORCH_RATE}})
    epochs = recipe.training(model).epochs
    if recipe == pytorch:
        title = "original recipe, which has PyTorch's defaults"
        return [Contender("recipe", title, recipe.model_dump(mode="json"), epochs)]
    return [
        Contender("recipe", "original recipe", recipe.model_dump(mode="json"), epochs),
        Contender("pytorch", "PyTorch defaults", pytorch.model_dump(mode="json"), epochs),
    ]


def _run_all(
    folder: SearchFolder,
    function: Callable[..., None],
    contenders: Sequence[Contender],
    seeds: Sequence[int],
    source: Source,
    search: Search,
    workers: int,
    watch: Watch,
) -> None:
    goals = [goal.name for goal in search.goals]
    jobs = [
        Job(f"{c.title}, {c.epochs} epochs, seed {s}", function, (folder.path, c, s, source, goals))
        for c in contenders
        for s in seeds
    ]
    failures = []
    with contextlib.closing(run_jobs(jobs, workers)) as events:
        for event in events:
            if event.kind == "failed":
                failures.append(event.content)
            watch(event)
    if failures:
        raise TrainingError(
            f"{failures[0]} What the proof did before is kept: aelab resume {folder.path}."
        )


def retrain(
    send: Send, path: Path, contender: Contender, seed: int, source: Source, goals: list[str]
) -> None:
    """Train a contender with a seed and measure the goals on validation, unless that is done."""
    folder = SearchFolder(path).retrained(contender.name, seed)
    if folder.has("metrics.json"):
        return
    experiment = contender.experiment(seed)
    data = load(source, experiment)
    model, config = prepare(experiment, data, contender.epochs)
    rows = []
    for epoch in fit(model, data, config, seed=seed, protocol=experiment.pixels):
        rows.append(epoch.row())
        send({"phase": f"epoch {epoch.index}/{config.epochs}"})
    keep(folder, rows, epoch.state)
    context = validation_context(model, data, experiment)
    folder.write_json(
        "metrics.json",
        {
            "values": [find_goal(name).of(context) for name in goals],
            "seconds": sum(row["seconds"] for row in rows),
        },
    )


def look_at_test(
    send: Send, path: Path, contender: Contender, seed: int, source: Source, goals: list[str]
) -> None:
    """Measure a trained contender on the test images, once."""
    folder = SearchFolder(path).retrained(contender.name, seed)
    if folder.has("test.json"):
        return
    send({"phase": "measuring"})
    experiment = contender.experiment(seed)
    data = load(source, experiment)
    model, _ = prepare(experiment, data, contender.epochs)
    load_weights(model, safetensors.torch.load(folder.read("weights.safetensors")))
    context = Context(
        model=model, data=data, seed=seed, protocol=experiment.pixels,
        settings=experiment.evaluation,
    )  # fmt: skip
    names = dict.fromkeys((*TABLE, *(name for name in goals if name in METRICS)))
    folder.write_json(
        "test.json",
        {
            name: as_number(METRICS[name].function(context))
            for name in names
            if METRICS[name].applies_to(context.level)
        },
    )


def _row(
    folder: SearchFolder, contender: Contender, seeds: Sequence[int], values: list[float]
) -> dict[str, Any]:
    seconds = [
        folder.retrained(contender.name, seed).read_json("metrics.json")["seconds"]
        for seed in seeds
    ]
    return asdict(contender) | {
        "values": values,
        "mean": over_seeds(values),
        "seconds": float(np.median(seconds)),
    }


def _luck(
    results: Mapping[str, Any],
    short: Sequence[Contender],
    values: Callable[[Contender], list[float]],
    sign: int,
) -> dict[str, Any]:
    """What the best trial lost with fresh seeds, in the unit of the goal; positive is luck."""
    trials = {trial["number"]: trial for trial in results["trials"]}

    def look(contender: Contender) -> dict[str, Any]:
        searched, fresh = trials[contender.trial]["values"][0], values(contender)
        return {
            "trial": contender.trial,
            "epochs": contender.epochs,
            "searched": searched,
            "fresh": over_seeds(fresh),
            "luck": sign * (float(np.mean(fresh)) - searched),
        }

    best, *start = [look(contender) for contender in short]
    return {"best": best, "start": start[0] if start else None}


def _test_table(
    folder: SearchFolder, contenders: Sequence[Contender], seeds: Sequence[int]
) -> dict[str, Any]:
    measured = {
        c.name: [folder.retrained(c.name, seed).read_json("test.json") for seed in seeds]
        for c in contenders
    }
    first, *others = measured
    names = [name for name in measured[first][0] if measured[first][0][name] is not None]
    column = {key: {n: [row[n] for row in rows] for n in names} for key, rows in measured.items()}
    return {
        "measures": {
            n: {"title": METRICS[n].title, "unit": METRICS[n].unit, "better": METRICS[n].better}
            for n in names
        },
        "rows": {
            key: {n: over_seeds(values) for n, values in found.items()}
            for key, found in column.items()
        },
        "differences": {
            key: {n: over_seeds(list(np.subtract(column[first][n], column[key][n]))) for n in names}
            for key in others
        },
    }


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean and 95% interval of Student's t over seeds."""
    mean, n = float(np.mean(values)), len(values)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return {"value": mean, "low": mean - half, "high": mean + half, "n": n}
