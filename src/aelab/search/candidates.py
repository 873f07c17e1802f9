"""What is trained anew for the proof of a search, and how it is trained and evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aelab.data.sources import Source
from aelab.errors import TrainingError
from aelab.experiment.presets import preset, validate
from aelab.experiment.settings import Experiment
from aelab.lab.data import load
from aelab.metrics import METRICS, Context
from aelab.models import Autoencoder
from aelab.runs.pool import Send
from aelab.runs.search import SearchFolder
from aelab.search.goals import as_number, find_goal
from aelab.search.space import ResolvedSpace
from aelab.search.trial import train
from aelab.training.records import Epoch
from aelab.training.state import load_weights

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

    def experiment(self, seed: int) -> Experiment:
        """Its experiment with a seed."""
        return validate({**self.settings, "seed": seed}, self.name)


def of_trial(space: ResolvedSpace, trial: Mapping[str, Any], epochs: int) -> Candidate:
    """The settings of a trial, for so many epochs unless the search chose their number."""
    number, experiment = trial["number"], space.experiment(trial["settings"])
    if "epochs" in space.dimensions:
        epochs = experiment.training(space.model).epochs
    settings = experiment.model_dump(mode="json")
    name = f"trial-{number:04d}-{epochs}-epochs"
    return Candidate(name, f"trial {number}", settings, epochs, number)


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


def retrain(
    send: Send, path: Path, candidate: Candidate, seed: int, source: Source, goal: str
) -> None:
    """Train a candidate with a seed and evaluate the goal on validation, unless that is done.

    One whose training fails is out; the reason is kept.
    """
    folder = SearchFolder(path).retrained(candidate.name, seed)
    if folder.has("metrics.json"):
        return
    experiment = candidate.experiment(seed)

    def report(_: Autoencoder, epoch: Epoch, epochs: int) -> None:
        send({"epoch": epoch.index, "epochs": epochs, "row": epoch.row()})

    data, goals = load(source, experiment), (find_goal(goal),)
    try:
        values = train(experiment, data, candidate.epochs, goals, folder, report)
    except TrainingError as error:
        folder.write_json("metrics.json", {"values": None, "reason": str(error)})
        return
    seconds = sum(row["seconds"] for row in folder.history())
    folder.write_json("metrics.json", {"values": values, "seconds": seconds})


def evaluate_on_test(
    send: Send, path: Path, candidate: Candidate, seed: int, source: Source, goal: str
) -> None:
    """Evaluate a trained candidate on the test images, once."""
    folder = SearchFolder(path).retrained(candidate.name, seed)
    if folder.has("test.json"):
        return
    send({"phase": "evaluating"})
    experiment = candidate.experiment(seed)
    data = load(source, experiment)
    [key] = experiment.by_key
    model = experiment.build(key, data.image_size)
    load_weights(model, folder.tensors("weights.safetensors"))
    context = Context.of(experiment, model, data)
    values = {
        name: as_number(METRICS[name].function(context))
        for name in dict.fromkeys((*TABLE, goal))
        if name in METRICS and METRICS[name].applies_to(context.capabilities)
    }
    folder.write_json("test.json", values)
