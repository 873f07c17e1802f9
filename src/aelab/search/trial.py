"""A trial from Optuna to a training and back.

``take_trials`` is what a worker process does: claim a waiting trial, let the sampler suggest
settings, train the experiment that they make, report the goal after every epoch, and tell Optuna
how the trial has ended.
"""

import contextlib
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from aelab.data.dataset import Data
from aelab.errors import AelabError, TrainingError
from aelab.experiment.settings import Experiment
from aelab.models import Autoencoder
from aelab.runs.models import ModelFolder
from aelab.runs.pool import Send
from aelab.runs.search import trial_folder
from aelab.search.config import Search
from aelab.search.goals import Goal, validation_context
from aelab.search.results import progress
from aelab.search.space import ResolvedSpace
from aelab.search.trials import REASON, WEIGHTS, WORKER, Trials
from aelab.training.checkpoints import write_weights
from aelab.training.loop import fit
from aelab.training.records import Epoch

POLL_SECONDS = 2.0  # how often a worker without a trial looks whether others' have come back


@dataclass(frozen=True)
class TrialRunner:
    """The function that Optuna optimises; a complete trial leaves a folder in ``weights``."""

    search: Search
    space: ResolvedSpace
    data: Data
    send: Send
    weights: Path
    worker: str

    def __call__(self, trial: optuna.Trial) -> float:
        """The goal's value at the trial's end. Raises AelabError, or TrialPruned."""
        trial.set_user_attr(WORKER, self.worker)
        self.send({"phase": f"trial {trial.number}"})
        experiment = self.space.experiment(self.space.suggest(trial))
        # A trial that was released and claimed again has been through some epochs already.
        known = frozenset(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        goal = self.search.target

        def after_epoch(model: Autoencoder, epoch: Epoch, epochs: int) -> None:
            text = f"trial {trial.number}: epoch {epoch.index}/{epochs}"
            if goal.every_epoch:
                value = goal.of(validation_context(model, self.data, experiment))
                if epoch.index not in known:
                    trial.report(value, epoch.index)
                if max(known, default=0) <= epoch.index < epochs and trial.should_prune():
                    raise optuna.TrialPruned
                text += f"  {goal.format(value)}"
            self.send({"phase": text})

        folder = trial_folder(self.weights, trial.number)
        epochs = None if "epochs" in self.space.dimensions else self.search.trial_epochs
        value = train(experiment, self.data, epochs, goal, folder, after_epoch)
        trial.set_user_attr(WEIGHTS, f"{platform.node()}:{folder.path.absolute()}")
        return value


def take_trials(trials: Trials, run: TrialRunner) -> None:
    """Claim and run trials until none waits and, in a shared database, none runs elsewhere."""
    study, shared = trials.study, trials.storage.heartbeat_interval is not None
    study.pruner = run.search.build_pruner()
    while True:
        try:
            optuna.storages.fail_stale_trials(study)
            if (number := trials.claim()) is not None:
                # What is drawn depends on the seed, the number and the trials before, not on this
                # process: an interrupted search draws what one without an interrupt draws.
                study.sampler = run.search.build_sampler(run.space.base.seed, number)
                with trials.heartbeats(number):
                    ended = _run_trial(optuna.Trial(study, trials.id_of(number)), run)
                run.send(_description(study, ended, run.search))
            elif shared and trials.unfinished:
                time.sleep(POLL_SECONDS)  # another worker can still die, and its trial come back
            else:
                return
        except UpdateFinishedTrialError:
            continue  # it was silent for so long that its trial was given to another worker
        except StorageInternalError as error:
            if not getattr(error.__cause__, "connection_invalidated", False):
                raise
            trials.release(f"{run.worker}/")  # waits until the server is back


def _run_trial(trial: optuna.Trial, run: Callable[[optuna.Trial], float]) -> FrozenTrial:
    """Run a claimed trial and record how it ends."""
    tell = trial.study.tell
    try:
        value = run(trial)
    except (StorageInternalError, UpdateFinishedTrialError):
        raise  # the trial is not at its end, or not this worker's any more
    except optuna.TrialPruned:
        return tell(trial, state=TrialState.PRUNED)
    except Exception as error:
        trial.set_user_attr(REASON, str(error))
        failed = tell(trial, state=TrialState.FAIL)
        if not isinstance(error, AelabError):
            raise
        return failed
    return tell(trial, value)


def _description(study: optuna.Study, trial: FrozenTrial, search: Search) -> str | dict[str, str]:
    """How a trial has ended, as the parent process reports it."""
    if trial.state == TrialState.FAIL:
        return {"warning": f"trial {trial.number} failed: {trial.user_attrs.get(REASON)}"}
    value = "" if trial.value is None else search.target.format(trial.value)
    return f"{progress(study, search)}; trial {trial.number} {trial.state.name.lower()} {value}"


def train(
    experiment: Experiment,
    data: Data,
    epochs: int | None,
    goal: Goal,
    folder: ModelFolder,
    after_epoch: Callable[[Autoencoder, Epoch, int], None],
) -> float:
    """Train the one model of an experiment, evaluate it on validation and write its weights.

    Args:
        experiment: Whose model is trained.
        data: The images.
        epochs: For so many (None: the experiment's own).
        goal: What is evaluated at the end.
        folder: Where history and weights are written.
        after_epoch: Called with the model, the epoch and the number of epochs.

    Returns:
        The goal's value.

    Raises:
        TrainingError: If the loss or the goal is not finite, or memory runs out.
    """
    rows = []
    [(key, (name, _))] = experiment.by_key.items()
    # Never stopped early: what it is compared with has had all its epochs.
    changes: dict[str, Any] = {"early_stopping": None} | ({"epochs": epochs} if epochs else {})
    config = experiment.training(name).model_copy(update=changes)
    with memory_errors():
        model = experiment.build(key, data.image_size)
        for epoch in fit(model, data, config, seed=experiment.seed, **experiment.conditions()):
            rows.append(epoch.row())
            after_epoch(model, epoch, config.epochs)
        value = goal.of(validation_context(model, data, experiment))
    folder.write_history(rows)
    write_weights(folder, "weights.safetensors", epoch.state.tensors)
    return value


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
