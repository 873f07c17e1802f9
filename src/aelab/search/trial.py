"""One trial: build the suggested model, train it, evaluate the goals, prune if it is behind."""

import contextlib
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import safetensors.torch

from aelab.config.device import find_device
from aelab.data.dataset import Data
from aelab.errors import TrainingError
from aelab.experiment.settings import Experiment
from aelab.models import Autoencoder
from aelab.runs.models import ModelFolder
from aelab.runs.pool import Send
from aelab.runs.search import trial_folder
from aelab.search.config import Search
from aelab.search.goals import Goal, validation_context
from aelab.search.space import ResolvedSpace
from aelab.search.trials import WEIGHTS, WORKER
from aelab.training.loop import fit
from aelab.training.records import Epoch


@dataclass(frozen=True)
class TrialRunner:
    """The function that Optuna optimises; a complete trial leaves a folder in ``weights``."""

    search: Search
    space: ResolvedSpace
    data: Data
    send: Send
    weights: Path
    worker: str

    def __call__(self, trial: optuna.Trial) -> list[float]:
        """The goals' values at the trial's end. Raises AelabError, or TrialPruned."""
        trial.set_user_attr(WORKER, self.worker)
        self.send({"phase": f"trial {trial.number}"})
        experiment = self.space.experiment(self.space.suggest(trial))
        # A trial that was released and claimed again has been through some epochs already.
        known = frozenset(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        goals = self.search.goals

        def after_epoch(model: Autoencoder, epoch: Epoch, epochs: int) -> None:
            if epoch.index == 1:
                trial.set_user_attr("parameters", model.parameter_count)
            text = f"trial {trial.number}: epoch {epoch.index}/{epochs}"
            if self.search.every_epoch:
                value = goals[0].of(validation_context(model, self.data, experiment))
                if epoch.index not in known:
                    trial.report(value, epoch.index)
                if max(known, default=0) <= epoch.index < epochs and trial.should_prune():
                    raise optuna.TrialPruned
                text += f"  {goals[0].format(value)}"
            self.send({"phase": text})

        folder = trial_folder(self.weights, trial.number)
        epochs = None if "epochs" in self.space.dimensions else self.search.trial_epochs
        values = train(experiment, self.data, epochs, goals, folder, after_epoch)
        trial.set_user_attr(WEIGHTS, f"{platform.node()}:{folder.path.absolute()}")
        return values


def train(
    experiment: Experiment,
    data: Data,
    epochs: int | None,
    goals: tuple[Goal, ...],
    folder: ModelFolder,
    after_epoch: Callable[[Autoencoder, Epoch, int], None],
) -> list[float]:
    """Train the one model of an experiment, evaluate it on validation and write its weights.

    Args:
        experiment: Whose model is trained.
        data: The images.
        epochs: For so many (None: the experiment's own).
        goals: What is evaluated at the end.
        folder: Where history and weights are written.
        after_epoch: Called with the model, the epoch and the number of epochs.

    Returns:
        The goals' values.

    Raises:
        TrainingError: If the loss or a goal is not finite, or memory runs out.
    """
    rows = []
    [(key, (name, _))] = experiment.by_key.items()
    # Never stopped early: what it is compared with has had all its epochs.
    changes: dict[str, Any] = {"early_stopping": None} | ({"epochs": epochs} if epochs else {})
    config = experiment.training(name).model_copy(update=changes)
    with memory_errors():
        model = experiment.build(key, data.image_size)
        for epoch in fit(
            model, data, config, seed=experiment.seed, protocol=experiment.pixels,
            device=find_device(experiment.device),
        ):  # fmt: skip
            rows.append(epoch.row())
            after_epoch(model, epoch, config.epochs)
        context = validation_context(model, data, experiment)
        values = [goal.of(context) for goal in goals]
    tensors = epoch.state.tensors
    weights = {name: value for name, value in tensors.items() if name.startswith("model/")}
    folder.write_history(rows)
    folder.write("weights.safetensors", safetensors.torch.save(weights))
    return values


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Raise TrainingError for each of the ways in which memory runs out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's own are RuntimeErrors
        text = str(error).lower()
        if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
            raise TrainingError("Out of memory: smaller networks or batches fit.") from error
        raise
