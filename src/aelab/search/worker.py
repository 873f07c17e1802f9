"""Worker processes: claim waiting trials until none is left, or the time is up."""

import os
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from aelab.data.sources import Source
from aelab.errors import AelabError
from aelab.experiment.presets import validate
from aelab.experiment.settings import Experiment
from aelab.lab.data import load, require_same_data
from aelab.runs.pool import Job, Send, Watch, run_all
from aelab.search.config import Search
from aelab.search.results import progress
from aelab.search.space import resolve_space
from aelab.search.storage import Storage, storage_at
from aelab.search.trial import TrialRunner
from aelab.search.trials import REASON, claim_trial, heartbeats, load_study, release_trials

HEARTBEAT = 20  # seconds
POLL_SECONDS = 2.0  # how often a worker without a trial looks whether others' have come back


@dataclass(frozen=True)
class Database:
    """Where the trials of a search are kept.

    A worker that misses three heartbeats is taken for dead, and its trial is entered again.
    """

    address: str = field(repr=False)  # it may hold a password
    study: str  # its name in the database
    heartbeat: int | None = HEARTBEAT  # seconds; None where the parent sees its workers die


@dataclass(frozen=True)
class Task:
    """What a worker process works on."""

    database: Database
    source: Source
    weights: Path  # the folder that trials leave their weights in
    worker: str  # who started it; its trials carry the name
    deadline: float | None = None  # seconds of the system's clock


def settings_of(study: optuna.Study) -> tuple[Search, Experiment]:
    """What a study searches, and what it starts from."""
    facts = study.user_attrs
    experiment = validate(facts["experiment"], "the study's experiment")
    return Search.model_validate(facts["search"]), experiment


def run_workers(
    task: Task, workers: int, study: optuna.Study, storage: Storage, watch: Watch
) -> list[str]:
    """Run worker processes until they end; gives the messages of those that failed.

    At an interrupt the trials that they leave wait again.
    """
    try:
        jobs = [Job(f"worker {k + 1}", work, (task,)) for k in range(workers)]
        return list(run_all(jobs, workers, watch).values())
    except BaseException:
        storage.patience = 0.0  # whoever ends does not wait for a server
        release_trials(study, storage, task.worker)
        raise


def work(send: Send, task: Task) -> None:
    """Run trials until the budget is used; the function of a worker process."""
    with storage_at(task.database.address, task.database.heartbeat) as storage:
        study = load_study(storage, task.database.study)
        search, experiment = settings_of(study)
        data = load(task.source, experiment)
        require_same_data(data, study.user_attrs["sha256"], "the search")
        name = f"{task.worker}{os.getpid()}"

        def report(content: Any) -> None:
            try:
                send(content)
            except SystemExit:  # raised by the pool when the parent is gone
                storage.patience = 0.0
                release_trials(study, storage, f"{name}/")
                os._exit(1)

        space = resolve_space(experiment, search.model, search.space)
        run = TrialRunner(search, space, data, report, task.weights, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            take_trials(study, storage, run, task.deadline)


def take_trials(
    study: optuna.Study, storage: Storage, run: TrialRunner, deadline: float | None
) -> None:
    """Claim and run trials until none is left, or until ``deadline``, by the system's clock."""
    study.pruner = run.search.build_pruner()
    counted = run.search.trials is not None
    while deadline is None or time.time() < deadline:
        try:
            optuna.storages.fail_stale_trials(study)
            if trial := claim_trial(study, storage, counted=counted):
                # What is drawn depends on the seed, the number and the trials before, not on this
                # process: an interrupted search draws what one without an interrupt draws.
                study.sampler = run.search.build_sampler(run.space.base.seed, trial.number)
                with heartbeats(storage, trial):
                    ended = _run_trial(study, optuna.Trial(study, trial._trial_id), run)
                run.send(_description(study, ended, run.search))
            elif storage.heartbeat_interval is None or not has_unfinished(study):
                return
            else:  # another worker can still die, and its trial come back
                time.sleep(POLL_SECONDS)
        except UpdateFinishedTrialError:
            continue  # it was silent for so long that its trial was given to another worker
        except StorageInternalError as error:
            if not getattr(error.__cause__, "connection_invalidated", False):
                raise
            release_trials(study, storage, f"{run.worker}/")  # waits until the server is back


def _run_trial(
    study: optuna.Study, trial: optuna.Trial, run: Callable[[optuna.Trial], list[float]]
) -> FrozenTrial:
    """Run a claimed trial and record how it ends."""
    try:
        values = run(trial)
    except (StorageInternalError, UpdateFinishedTrialError):
        raise  # the trial is not at its end, or not this worker's any more
    except optuna.TrialPruned:
        return study.tell(trial, state=TrialState.PRUNED)
    except Exception as error:
        trial.set_user_attr(REASON, str(error))
        failed = study.tell(trial, state=TrialState.FAIL)
        if not isinstance(error, AelabError):
            raise
        return failed
    return study.tell(trial, values)


def _description(study: optuna.Study, trial: FrozenTrial, search: Search) -> str | dict[str, str]:
    """How a trial has ended, as the parent process reports it."""
    if trial.state == TrialState.FAIL:
        return {"warning": f"trial {trial.number} failed: {trial.user_attrs.get(REASON)}"}
    pairs = zip(search.goals, trial.values or (), strict=False)
    values = ", ".join(goal.format(value) for goal, value in pairs)
    return f"{progress(study, search)}; trial {trial.number} {trial.state.name.lower()} {values}"


def has_unfinished(study: optuna.Study) -> bool:
    """Whether a trial waits or runs."""
    states = (TrialState.RUNNING, TrialState.WAITING)
    return bool(study.get_trials(deepcopy=False, states=states))


def me() -> str:
    """The name of this process, in the trials that its workers take."""
    return f"{platform.node()}:{os.getpid()}/"
