"""Who is trained anew for the proof of a search, and how one of them is trained and measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aelab.config.device import find_device
from aelab.data.sources import Source
from aelab.errors import TrainingError
from aelab.experiment.presets import preset, validate
from aelab.experiment.settings import Experiment
from aelab.lab.data import load
from aelab.metrics import METRICS, Context
from aelab.runs.pool import Send
from aelab.runs.search import SearchFolder
from aelab.search.config import Search
from aelab.search.goals import as_number, find_goal, validation_context
from aelab.search.space import Searched
from aelab.search.trial import keep, memory_told, prepare
from aelab.training.loop import fit
from aelab.training.state import load_weights

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


def finalists(results: Mapping[str, Any], search: Search, found: Searched) -> list[Contender]:
    """The best trials, for all epochs of the experiment."""
    epochs = found.base.training(search.model).epochs
    best = results["best"][: search.proof.top]
    return [_of_trial(found, results["trials"][number], epochs) for number in best]


def as_searched(results: Mapping[str, Any], search: Search, found: Searched) -> list[Contender]:
    """The best trial, and the search's own start, for the epochs of a trial: luck alone is left."""
    numbers = [results["best"][0]]
    if found.start() is not None and results["trials"][0]["state"] == "complete":
        numbers += [0] * (numbers[0] != 0)
    trials = [results["trials"][number] for number in numbers]
    return [_of_trial(found, trial, search.trial_epochs) for trial in trials]


def _of_trial(found: Searched, trial: Mapping[str, Any], epochs: int) -> Contender:
    number, experiment = trial["number"], found.experiment(trial["settings"])
    if "epochs" in found.dimensions:
        epochs = experiment.training(found.model).epochs
    settings = experiment.model_dump(mode="json")
    name = f"trial-{number:04d}-{epochs}-epochs"
    return Contender(name, f"trial {number}", settings, epochs, number)


def yardsticks(found: Searched) -> list[Contender]:
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
        title = "original recipe, which has PyTorch’s defaults"
        return [Contender("recipe", title, recipe.model_dump(mode="json"), epochs)]
    return [
        Contender("recipe", "original recipe", recipe.model_dump(mode="json"), epochs),
        Contender("pytorch", "PyTorch defaults", pytorch.model_dump(mode="json"), epochs),
    ]


def retrain(
    send: Send, path: Path, contender: Contender, seed: int, source: Source, goals: list[str]
) -> None:
    """Train a contender with a seed and measure the goals on validation, unless that is done.

    One whose training fails is out; the reason is kept.
    """
    folder = SearchFolder(path).retrained(contender.name, seed)
    if folder.has("metrics.json"):
        return
    experiment = contender.experiment(seed)
    data = load(source, experiment)
    try:
        with memory_told():
            model, config = prepare(experiment, data, contender.epochs)
            rows = []
            for epoch in fit(
                model, data, config, seed=seed, protocol=experiment.pixels,
                device=find_device(experiment.device),
            ):  # fmt: skip
                rows.append(epoch.row())
                send({"phase": f"epoch {epoch.index}/{config.epochs}"})
            context = validation_context(model, data, experiment)
            values = [find_goal(name).of(context) for name in goals]
    except TrainingError as error:
        folder.write_json("metrics.json", {"values": None, "reason": str(error)})
        return
    keep(folder, rows, epoch.state)
    seconds = sum(row["seconds"] for row in rows)
    folder.write_json("metrics.json", {"values": values, "seconds": seconds})


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
    load_weights(model, folder.tensors("weights.safetensors"))
    context = Context.of(experiment, model, data)
    names = dict.fromkeys((*TABLE, *(name for name in goals if name in METRICS)))
    folder.write_json(
        "test.json",
        {
            name: as_number(METRICS[name].function(context))
            for name in names
            if METRICS[name].applies_to(context.capabilities)
        },
    )
