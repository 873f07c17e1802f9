"""Worker processes: claim waiting trials until none is left, or the time is up."""

import contextlib
import os
import platform
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState

from aelab.data.dataset import Data
from aelab.data.sources import Source
from aelab.errors import AelabError, RunError
from aelab.experiment.presets import validate
from aelab.experiment.settings import Experiment
from aelab.lab.data import load
from aelab.runs.pool import Job, Send, Watch, run_jobs
from aelab.runs.search import TrialFolders
from aelab.search.config import Search
from aelab.search.results import progress
from aelab.search.space import resolve_space
from aelab.search.storage import Storage, is_outage, storage_at
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


@dataclass(frozen=True)
class StudyFacts:
    """What a study was made for, by its attributes."""

    search: Search
    experiment: Experiment
    sha256: Mapping[str, str]
    aelab: str
    heartbeat: int | None

    @classmethod
    def of(cls, study: optuna.Study) -> "StudyFacts":
        """Read them."""
        facts = study.user_attrs
        return cls(
            Search.model_validate(facts["search"]),
            validate(facts["experiment"], "the study's experiment"),
            facts["sha256"],
            facts["aelab"],
            facts["heartbeat"],
        )


def run_workers(
    task: Task, workers: int, study: optuna.Study, storage: Storage, watch: Watch
) -> list[str]:
    """Run worker processes until they end; gives the messages of those that failed.

    At an interrupt the trials that they leave wait again.
    """
    try:
        jobs = [Job(f"worker {k + 1}", work, (task,)) for k in range(workers)]
        return watch_jobs(jobs, workers, watch)
    except BaseException:
        storage.patience = 0.0  # whoever ends does not wait for a server
        release_trials(study, storage, task.worker)
        raise


def watch_jobs(jobs: list[Job], workers: int, watch: Watch) -> list[str]:
    """Run the jobs with all their events watched; gives the messages of those that failed."""
    failures = []
    with contextlib.closing(run_jobs(jobs, workers)) as events:
        for event in events:
            if event.kind == "failed":
                failures.append(event.content)
            watch(event)
    return failures


def work(send: Send, task: Task) -> None:
    """Run trials until the budget is used; the function of a worker process."""
    with storage_at(task.database.address, task.database.heartbeat) as storage:
        study = load_study(storage, task.database.study)
        facts = StudyFacts.of(study)
        data = load(task.source, facts.experiment)
        require_same_data(facts.sha256, data)
        name = f"{task.worker}{os.getpid()}"

        def report(content: Any) -> None:
            try:
                send(content)
            except SystemExit:  # raised by the pool when the parent is gone
                storage.patience = 0.0
                release_trials(study, storage, f"{name}/")
                os._exit(1)

        space = resolve_space(facts.experiment, facts.search.model, facts.search.space)
        folders = TrialFolders(task.weights)
        run = TrialRunner(facts.search, space, data, report, folders, name)
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
                    _run_trial(study, optuna.Trial(study, trial._trial_id), run)
                _report_end(study, trial.number, run.search, run.send)
            elif storage.heartbeat_interval is None or not has_unfinished(study):
                return
            else:  # another worker can still die, and its trial come back
                time.sleep(POLL_SECONDS)
        except UpdateFinishedTrialError:
            continue  # it was silent for so long that its trial was given to another worker
        except StorageInternalError as error:
            if not is_outage(error):
                raise
            release_trials(study, storage, f"{run.worker}/")  # waits until the server is back


def _run_trial(
    study: optuna.Study, trial: optuna.Trial, run: Callable[[optuna.Trial], list[float]]
) -> None:
    """Run a claimed trial and record how it ends."""
    try:
        values = run(trial)
    except (StorageInternalError, UpdateFinishedTrialError):
        raise  # the trial is not at its end, or not this worker's any more
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except Exception as error:
        trial.set_user_attr(REASON, str(error))
        study.tell(trial, state=TrialState.FAIL)
        if not isinstance(error, AelabError):
            raise
    else:
        study.tell(trial, values)


def _report_end(study: optuna.Study, number: int, search: Search, send: Send) -> None:
    trial = study.get_trials(deepcopy=False)[number]
    if trial.state == TrialState.FAIL:
        send({"warning": f"trial {number} failed: {trial.user_attrs.get(REASON)}"})
        return
    values = ", ".join(
        goal.format(value) for goal, value in zip(search.goals, trial.values or (), strict=False)
    )
    send(f"{progress(study, search)}; trial {number} {trial.state.name.lower()} {values}")


def has_unfinished(study: optuna.Study) -> bool:
    """Whether a trial waits or runs."""
    states = (TrialState.RUNNING, TrialState.WAITING)
    return bool(study.get_trials(deepcopy=False, states=states))


def me() -> str:
    """The name of this process, in the trials that its workers take."""
    return f"{platform.node()}:{os.getpid()}/"


def require_same_data(expected: Mapping[str, str], data: Data) -> None:
    """Raise RunError unless the data are those that the study was made for."""
    if dict(expected) != data.sha256:
        raise RunError(
            f"{data.name} here is not the data of the search: the checksums differ; name the same "
            "files by --data."
        )
