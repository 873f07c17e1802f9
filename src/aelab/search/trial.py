"""One trial: build the suggested model, train it, measure the goals, leave where it is hopeless."""

import contextlib
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import optuna
import safetensors.torch

from aelab.config.device import find_device
from aelab.data.dataset import Data
from aelab.errors import AelabError, TrainingError
from aelab.experiment.settings import Experiment
from aelab.models import Autoencoder
from aelab.runs.models import ModelFolder
from aelab.runs.pool import Send
from aelab.search.config import Search
from aelab.search.goals import validation_context
from aelab.search.space import Searched
from aelab.search.trials import REASON, WEIGHTS, WORKER
from aelab.training.loop import fit
from aelab.training.records import Epoch, State
from aelab.training.settings import Training


@dataclass(frozen=True)
class Objective:
    """The function that Optuna optimises; ``folder`` gives the weights of a trial their place."""

    search: Search
    searched: Searched
    data: Data
    send: Send
    folder: Callable[[int], ModelFolder]
    worker: str

    @property
    def _epochs(self) -> int | None:
        return None if "epochs" in self.searched.dimensions else self.search.trial_epochs

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        """The goals' values at the trial's end. Raises AelabError, or TrialPruned."""
        began = time.perf_counter()
        trial.set_user_attr(WORKER, self.worker)
        try:
            with memory_told():
                return self._train(trial)
        except AelabError as error:
            trial.set_user_attr(REASON, str(error))
            raise
        finally:
            trial.set_user_attr("seconds", round(time.perf_counter() - began, 3))

    def _train(self, trial: optuna.Trial) -> tuple[float, ...]:
        stored = self.searched.suggest(trial)
        self.send({"trial": trial.number, "settings": stored})
        experiment = self.searched.experiment(stored)
        model, config = prepare(experiment, self.data, self._epochs)
        trial.set_user_attr("parameters", model.parameter_count)
        # A trial that was stopped and put back has been through some epochs already.
        told = frozenset(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        goals, rows, value = self.search.goals, [], None
        for epoch in fit(
            model, self.data, config, seed=experiment.seed, protocol=experiment.pixels,
            device=find_device(experiment.device),
        ):  # fmt: skip
            rows.append(epoch.row())
            if len(goals) == 1 and goals[0].every_epoch:
                value = goals[0].of(validation_context(model, self.data, experiment))
                self._report(trial, told, epoch, value, config.epochs)
            self.send(
                {"trial": trial.number, "epoch": epoch.index, "of": config.epochs, "value": value}
            )
        folder = self.folder(trial.number)
        keep(folder, rows, epoch.state)
        trial.set_user_attr(WEIGHTS, f"{platform.node()}:{folder.path.absolute()}")
        if value is not None:
            return (value,)
        context = validation_context(model, self.data, experiment)
        return tuple(goal.of(context) for goal in goals)

    def _report(
        self, trial: optuna.Trial, told: frozenset[int], epoch: Epoch, value: float, epochs: int
    ) -> None:
        """Tell the value after an epoch, and leave where it is hopeless."""
        if epoch.index not in told:
            trial.report(value, epoch.index)
        if max(told, default=0) <= epoch.index < epochs and trial.should_prune():
            raise optuna.TrialPruned


def prepare(experiment: Experiment, data: Data, epochs: int | None) -> tuple[Autoencoder, Training]:
    """The one model of an experiment, untrained, and its training (None: its own epochs).

    It is never stopped early: what it is compared with has had all its epochs.
    """
    [(key, (name, _))] = experiment.by_key.items()
    changes: dict[str, Any] = {"early_stopping": None} | ({"epochs": epochs} if epochs else {})
    model = experiment.build(key, data.image_size)
    return model, experiment.training(name).model_copy(update=changes)


def keep(folder: ModelFolder, rows: list[dict[str, Any]], state: State) -> None:
    """Leave history and weights of a training that has ended."""
    weights = {key: value for key, value in state.tensors.items() if key.startswith("model/")}
    folder.write_history(rows)
    folder.write("weights.safetensors", safetensors.torch.save(weights))


@contextlib.contextmanager
def memory_told() -> Iterator[None]:
    """Tell the ways in which memory runs out as one error, in a sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's own are RuntimeErrors
        words = str(error).lower()
        if isinstance(error, MemoryError) or "out of memory" in words or "allocate memory" in words:
            raise TrainingError("Out of memory: smaller networks or batches fit.") from error
        raise
