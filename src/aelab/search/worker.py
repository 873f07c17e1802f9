"""Processes that take the trials of a search: on its own machine, and on any other."""

import os
import platform
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning

from aelab.console.progress import Display, with_workers
from aelab.data.sources import Source
from aelab.errors import RunError, TrainingError
from aelab.experiment.presets import validate
from aelab.experiment.settings import Experiment
from aelab.lab.data import load, open_data, require_same_data
from aelab.runs.creation import kind_of
from aelab.runs.pool import Job, Send, Watch, ignore, run_all
from aelab.search.config import Search
from aelab.search.space import resolve_space
from aelab.search.storage import storage_at
from aelab.search.trial import TrialRunner, take_trials
from aelab.search.trials import WEIGHTS, WORKER, Trials, load_study

HEARTBEAT = 20  # seconds
DEFAULT_WEIGHTS = Path("weights")


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
    worker: str = field(default_factory=lambda: f"{platform.node()}:{os.getpid()}/")


def settings_of(facts: Mapping[str, Any]) -> tuple[Search, Experiment]:
    """What a study with these attributes searches, and what it starts from."""
    experiment = validate(facts["experiment"], "the study's experiment")
    return Search.model_validate(facts["search"]), experiment


def run_workers(task: Task, workers: int, trials: Trials, watch: Watch) -> list[str]:
    """Run worker processes until they end; gives the messages of those that failed.

    At an interrupt the trials that they leave wait again.
    """
    try:
        jobs = [Job(f"worker {k + 1}", work, (task,)) for k in range(workers)]
        return list(run_all(jobs, workers, watch).values())
    except BaseException:
        trials.storage.patience = 0.0  # whoever ends does not wait for a server
        trials.release(task.worker)
        raise


def work(send: Send, task: Task) -> None:
    """Run trials until the budget is used; the function of a worker process."""
    with storage_at(task.database.address, task.database.heartbeat) as storage:
        study = load_study(storage, task.database.study)
        trials, name = Trials(storage, study), f"{task.worker}{os.getpid()}"
        search, experiment = settings_of(study.user_attrs)
        data = load(task.source, experiment)
        require_same_data(data, study.user_attrs["sha256"], "the search")

        def report(content: Any) -> None:
            try:
                send(content)
            except SystemExit:  # raised by the pool when the parent is gone
                storage.patience = 0.0
                trials.release(f"{name}/")
                os._exit(1)

        space = resolve_space(experiment, search.model, search.space)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            take_trials(trials, TrialRunner(search, space, data, report, task.weights, name))


@with_workers(lambda: Display(trials=True))
def join_search(
    address: str,
    name: str,
    *,
    data: str | None = None,
    weights: Path | None = None,
    workers: int = 2,
    watch: Watch = ignore,
) -> list[dict[str, Any]]:
    """Take trials of a search in a shared database until its budget is used.

    Args:
        address: The database.
        name: The study's name in it.
        data: Where the data are on this machine (None: where the search says).
        weights: The folder for the trials' weights (None: ``weights/<name>`` here).
        workers: Trials at a time.
        watch: Called with every event.

    Returns:
        The trials that were taken here: ``trial``, ``state``, ``values`` and ``weights``.

    Raises:
        RunError: If this machine has another version of aelab than the search, or ``weights`` is a
            run, study or search.
        DataError: If it has no data, or other data than the search.
        TrainingError: If a worker fails.
    """
    if weights and (kind := kind_of(weights)):
        raise RunError(f"{weights} is the folder of a {kind}: name another --weights.")
    with storage_at(address) as storage:
        study = load_study(storage, name)
        facts, here = study.user_attrs, version("aelab")
        if facts["aelab"] != here:
            raise RunError(
                f"This worker has aelab {here} and the search was made with {facts['aelab']}: "
                "install that version here."
            )
        _, experiment = settings_of(facts)
        if data:
            experiment = experiment.model_copy(update={"data": data})
        source, found = open_data(experiment, watch)
        require_same_data(found, facts["sha256"], "the search")
        database = Database(address, name, facts["heartbeat"])
        task, trials = (
            Task(database, source, weights or DEFAULT_WEIGHTS / name),
            Trials(storage, study),
        )
        if failures := run_workers(task, workers, trials, watch):
            raise TrainingError(failures[0])
        return [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "values": trial.values,
                "weights": trial.user_attrs.get(WEIGHTS),
            }
            for trial in trials()
            if str(trial.user_attrs.get(WORKER, "")).startswith(task.worker)
        ]
