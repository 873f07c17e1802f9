"""A worker on any machine: check that it may take part, then take trials from the storage."""

import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aelab.console.progress import Display, with_workers
from aelab.errors import RunError, TrainingError
from aelab.lab.data import open_data, require_same_data
from aelab.runs.creation import kind_of
from aelab.runs.pool import Watch, ignore
from aelab.search.storage import storage_at
from aelab.search.trials import WEIGHTS, WORKER, load_study
from aelab.search.worker import Database, Task, me, run_workers, settings_of

DEFAULT_WEIGHTS = Path("weights")


@with_workers(lambda: Display(trials=True))
def join_search(
    address: str,
    name: str,
    *,
    data: str | None = None,
    weights: Path | None = None,
    workers: int = 2,
    minutes: float | None = None,
    watch: Watch = ignore,
) -> list[dict[str, Any]]:
    """Take trials of a search in a shared database until its budget is used.

    Args:
        address: The database.
        name: The study's name in it.
        data: Where the data are on this machine (None: where the search says).
        weights: The folder for the trials' weights (None: ``weights/<name>`` here).
        workers: Trials at a time.
        minutes: No trial begins after so many (None: no limit).
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
        _, experiment = settings_of(study)
        if data:
            experiment = experiment.model_copy(update={"data": data})
        source, found = open_data(experiment, watch)
        require_same_data(found, facts["sha256"], "the search")
        deadline = time.time() + 60 * minutes if minutes is not None else None
        database = Database(address, name, facts["heartbeat"])
        task = Task(database, source, weights or DEFAULT_WEIGHTS / name, me(), deadline)
        if failures := run_workers(task, workers, study, storage, watch):
            raise TrainingError(failures[0])
        return [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "values": trial.values,
                "weights": trial.user_attrs.get(WEIGHTS),
            }
            for trial in study.get_trials(deepcopy=False)
            if str(trial.user_attrs.get(WORKER, "")).startswith(me())
        ]
