"""The proof of a search: the best trials retrained with fresh seeds, and one look at the test.

A search keeps the luckiest of many numbers. So its best trials are trained again, with seeds that
the search has not seen and for all epochs; validation chooses among them, and only the choice is
evaluated on test, beside the original recipe and PyTorch's defaults.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from aelab.data.sources import Source
from aelab.errors import TrainingError
from aelab.experiment.presets import preset, validate
from aelab.experiment.settings import Experiment
from aelab.lab.data import load
from aelab.metrics import METRICS, Context
from aelab.models import Autoencoder
from aelab.runs.models import ModelFolder
from aelab.runs.pool import Job, Send, Watch, run_all
from aelab.runs.search import SearchFolder
from aelab.runs.search_results import Trial
from aelab.runs.search_results import load as load_results
from aelab.search.config import Search
from aelab.search.goals import as_number, find_goal
from aelab.search.space import ResolvedSpace
from aelab.search.trial import train
from aelab.training.records import Epoch
from aelab.training.state import load_weights

Records = dict[str, list[dict[str, Any]]]  # by candidate, a record a seed
PYTORCH_RATE = 1e-3  # torch.optim.Adam's own step size; its betas and decay are the recipe's too
#: The rows of the final table; a metric that the model does not have is left out.
TABLE = ("reconstruction_nll", "mse", "ssim", "negative_elbo", "kl", "active_units",
         "knn_accuracy", "probe_accuracy")  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """Settings that are trained with every fresh seed."""

    name: str
    title: str
    settings: Mapping[str, Any]  # an Experiment, plain
    epochs: int
    trial: int | None = None


@dataclass(frozen=True)
class Retraining:
    """A candidate with a fresh seed, as a worker process gets it."""

    candidate: Candidate
    seed: int
    path: Path  # of the search
    source: Source
    goal: str

    @property
    def experiment(self) -> Experiment:
        """The candidate's settings with the seed."""
        return validate({**self.candidate.settings, "seed": self.seed}, self.candidate.name)

    @property
    def folder(self) -> ModelFolder:
        """What the training leaves."""
        return SearchFolder(self.path).retrained(self.candidate.name, self.seed)


def of_trial(space: ResolvedSpace, trial: Trial, epochs: int) -> Candidate:
    """The settings of a trial, for so many epochs unless the search chose their number."""
    experiment = space.experiment(trial.settings)
    if "epochs" in space.dimensions:
        epochs = experiment.training(space.model).epochs
    name, title = f"trial-{trial.number:04d}-{epochs}-epochs", f"trial {trial.number}"
    return Candidate(name, title, experiment.model_dump(mode="json"), epochs, trial.number)


def baselines(space: ResolvedSpace) -> list[Candidate]:
    """The original recipe on the same data, and the same with PyTorch's defaults."""
    base, model = space.base, space.model
    same = base.model_dump(
        include={"models", "latent_dim", "data", "split_seed", "validation", "train_size",
                 "pixels", "likelihood", "evaluation"}
    )  # fmt: skip
    recipe = preset("recipe", **same)
    pytorch = preset("recipe", **same, **{model: {"learning_rate": PYTORCH_RATE}})
    named = {"recipe": ("original recipe", recipe), "pytorch": ("PyTorch defaults", pytorch)}
    if recipe == pytorch:
        named = {"recipe": ("original recipe, which has PyTorch’s defaults", recipe)}
    epochs = recipe.training(model).epochs
    return [
        Candidate(name, title, found.model_dump(mode="json"), epochs)
        for name, (title, found) in named.items()
    ]


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
    results, goal = load_results(folder), search.target
    seeds = tuple(space.base.seed + 1 + k for k in range(search.proof.seeds))

    def run(function: Callable[..., None], group: Sequence[Candidate], record: str) -> Records:
        """Call a function for every candidate and seed; gives the records that it writes."""
        trainings = [Retraining(c, seed, folder.path, source, goal.name) for c in group
                     for seed in seeds]  # fmt: skip
        jobs = [
            Job(f"{t.candidate.title}, {t.candidate.epochs} epochs, seed {t.seed}", function, (t,))
            for t in trainings
        ]
        if failures := run_all(jobs, workers, watch, count=True):
            raise TrainingError(
                f"{' '.join(failures.values())} What the proof did before is kept: aelab resume "
                f"{folder.path}."
            )
        found: Records = {candidate.name: [] for candidate in group}
        for training in trainings:
            found[training.candidate.name].append(training.folder.read_json(record))
        return found

    epochs = space.base.training(search.model).epochs
    ranking = [results.trials[number] for number in results.best]
    best = [of_trial(space, trial, epochs) for trial in ranking[: search.proof.top]]
    others = baselines(space)
    # The winner and the search's own start again, for the epochs of a trial: luck alone is left.
    again = {"best": ranking[0]}
    if space.start() is not None and results.trials[0].complete and ranking[0].number != 0:
        again["start"] = results.trials[0]
    short = {name: of_trial(space, trial, search.trial_epochs) for name, trial in again.items()}
    candidates = {candidate.name: candidate for candidate in (*best, *others, *short.values())}
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
    means = {
        name: over_seeds([record["values"][0] for record in found])
        for name, found in records.items()
        if name not in failed
    }
    sign = 1 if results.lower else -1
    chosen = min(best, key=lambda candidate: sign * means[candidate.name]["value"])
    return {
        "seeds": seeds,
        "contenders": [
            asdict(c)
            | {
                "values": [record["values"][0] for record in records[c.name]],
                "mean": means[c.name],
                "seconds": float(np.median([record["seconds"] for record in records[c.name]])),
            }
            for c in (*best, *others)
        ],
        "failed": [
            {"title": candidates[name].title, "epochs": candidates[name].epochs, "reason": why}
            for name, why in failed.items()
        ],
        "chosen": chosen.name,
        "luck": {
            name: {
                "trial": c.trial,
                "epochs": c.epochs,
                "searched": again[name].value,
                "fresh": means[c.name],
                "luck": sign * (means[c.name]["value"] - again[name].value),
            }
            for name, c in short.items()
            if c.name not in failed
        },
        "test": _on_test(run(evaluate_on_test, [chosen, *others], "test.json")),
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
        "metrics": {
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


def retrain(send: Send, training: Retraining) -> None:
    """Train a candidate with a seed and evaluate the goal on validation, unless that is done.

    One whose training fails is out; the reason is kept.
    """
    folder, experiment = training.folder, training.experiment
    if folder.has("metrics.json"):
        return

    def report(_: Autoencoder, epoch: Epoch, epochs: int) -> None:
        send({"epoch": epoch.index, "epochs": epochs, "row": epoch.row()})

    data, epochs, goal = load(training.source, experiment), training.candidate.epochs, training.goal
    try:
        value = train(experiment, data, epochs, find_goal(goal), folder, report)
    except TrainingError as error:
        folder.write_json("metrics.json", {"values": None, "reason": str(error)})
    else:
        seconds = sum(row["seconds"] for row in folder.history())
        folder.write_json("metrics.json", {"values": [value], "seconds": seconds})


def evaluate_on_test(send: Send, training: Retraining) -> None:
    """Evaluate a trained candidate on the test images, once."""
    folder, experiment = training.folder, training.experiment
    if folder.has("test.json"):
        return
    send({"phase": "evaluating"})
    data, [key] = load(training.source, experiment), experiment.by_key
    model = experiment.build(key, data.image_size)
    load_weights(model, folder.tensors("weights.safetensors"))
    context = Context.of(experiment, model, data)
    values = {
        name: as_number(METRICS[name].function(context))
        for name in dict.fromkeys((*TABLE, training.goal))
        if name in METRICS and METRICS[name].applies_to(context.capabilities)
    }
    folder.write_json("test.json", values)
