"""What a worker does: take waiting trials until none is left, or the time is up."""

import os
import platform
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from aelab.data.dataset import Data
from aelab.data.sources import Source
from aelab.errors import AelabError, RunError
from aelab.experiment.presets import validate
from aelab.experiment.settings import Experiment
from aelab.lab.data import load
from aelab.runs.pool import Send
from aelab.runs.search import TrialFolders
from aelab.search.config import Search
from aelab.search.space import Searched, searched
from aelab.search.storage import BudgetUsed, Storage, storage_at
from aelab.search.trial import Objective
from aelab.search.trials import REASON, load_study, put_back

POLL_SECONDS = 2.0  # how often a worker without a trial looks whether others' have come back


@dataclass(frozen=True)
class Task:
    """Where a worker finds its trials, of plain types, for it crosses to another process."""

    url: str = field(repr=False)  # it may hold a password
    study: str
    source: Source
    weights: Path  # the folder that trials leave their weights in
    worker: str  # who started it; its trials carry the name
    heartbeat: int | None = None  # seconds; None where the parent sees its workers die
    deadline: float | None = None  # seconds of the system's clock


@dataclass(frozen=True)
class Made:
    """What a study was made for, as its attributes tell."""

    search: Search
    experiment: Experiment
    sha256: Mapping[str, str]
    aelab: str
    heartbeat: int | None

    @classmethod
    def of(cls, study: optuna.Study) -> "Made":
        """Read it."""
        facts = study.user_attrs
        return cls(
            Search.model_validate(facts["search"]),
            validate(facts["experiment"], "the study's experiment"),
            facts["sha256"],
            facts["aelab"],
            facts["heartbeat"],
        )

    @property
    def searched(self) -> Searched:
        """The search space."""
        return searched(self.experiment, self.search.model, self.search.space)


def work(send: Send, task: Task) -> None:
    """Take trials until the budget is used; the function of a worker process."""
    with storage_at(task.url, task.heartbeat) as storage:
        _work(send, task, storage)


def _work(send: Send, task: Task, storage: Storage) -> None:
    study = load_study(storage, task.study)
    made = Made.of(study)
    storage.counted = made.search.trials is not None
    study.sampler = made.search.build_sampler(made.experiment.seed)
    study.pruner = made.search.build_pruner()
    data = load(task.source, made.experiment)
    require_same_data(made.sha256, data)
    name = f"{task.worker}{os.getpid()}"

    def say(content: Any) -> None:
        try:
            send(content)
        except SystemExit:  # raised by parallel when the parent is gone
            put_back(study, storage, f"{name}/")
            os._exit(1)

    objective = Objective(
        made.search, made.searched, data, say, TrialFolders(task.weights).trial, name
    )

    while task.deadline is None or time.time() < task.deadline:
        left = None if task.deadline is None else max(0.0, task.deadline - time.time())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.optimize(
                    objective,
                    timeout=left,
                    catch=(AelabError,),
                    callbacks=[lambda _, trial: say(ended(trial))],
                )
        except UpdateFinishedTrialError:
            continue  # it was silent for so long that its trial was given to another worker
        except BudgetUsed:
            if task.heartbeat is None or not _others_run(study):
                break
            time.sleep(POLL_SECONDS)


def _others_run(study: optuna.Study) -> bool:
    """Whether a trial may yet come back, because its worker can still die."""
    states = (TrialState.RUNNING, TrialState.WAITING)
    return bool(study.get_trials(deepcopy=False, states=states))


def me() -> str:
    """The name of what this process starts, in the trials that it takes."""
    return f"{platform.node()}:{os.getpid()}/"


def ended(trial: FrozenTrial) -> dict[str, Any]:
    """What is said of a trial at its end."""
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "values": trial.values,
        "settings": trial.params,
        "reason": trial.user_attrs.get(REASON),
    }


def require_same_data(expected: Mapping[str, str], data: Data) -> None:
    """Raise RunError unless the data are those that the study was made for."""
    if dict(expected) != data.sha256:
        raise RunError(
            f"{data.name} here is not the data of the search: the checksums differ; name the same "
            "files by --data."
        )
