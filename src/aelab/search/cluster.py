"""A worker on any machine: verify that it may take part, then take trials from the storage."""

import contextlib
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aelab.console.progress import with_workers
from aelab.data.sources import Source, resolve_data
from aelab.errors import RunError, TrainingError
from aelab.lab.data import load
from aelab.runs.creation import kind_of
from aelab.runs.pool import Event, Job, Watch, run_jobs
from aelab.search.config import Search
from aelab.search.progress import SearchDisplay
from aelab.search.storage import storage_at
from aelab.search.trials import WEIGHTS, WORKER, load_study, put_back
from aelab.search.worker import Made, Task, me, require_same_data, work

DEFAULT_WEIGHTS = Path("weights")


@with_workers(lambda address, name, **_: SearchDisplay(search_of(address, name)))
def join_search(
    address: str,
    name: str,
    *,
    data: str | None = None,
    weights: Path | None = None,
    workers: int = 2,
    minutes: float | None = None,
    watch: Watch = lambda event: None,  # noqa: ARG005
) -> list[dict[str, Any]]:
    """Take trials of a search in a shared database until its budget is used; what was done here.

    Raises RunError, in a sentence, if this machine has other data or another version of aelab than
    the search, or if ``weights`` is a run, study or search; DataError if it has no data;
    TrainingError if a worker fails.
    """
    if weights and (kind := kind_of(weights)):
        raise RunError(f"{weights} is the folder of a {kind}: name another --weights.")
    with storage_at(address) as storage:
        study = load_study(storage, name)
        made = Made.of(study)
        source = _verified(made, data, watch)
        task = Task(
            address,
            name,
            source,
            weights or DEFAULT_WEIGHTS / name,
            me(),
            heartbeat=made.heartbeat,
            deadline=time.time() + 60 * minutes if minutes is not None else None,
        )
        jobs = [Job(f"worker {k + 1}", work, (task,)) for k in range(workers)]
        failures = []
        try:
            with contextlib.closing(run_jobs(jobs, workers)) as events:
                for event in events:
                    if event.kind == "failed":
                        failures.append(event.content)
                    watch(event)
        finally:  # of an interrupt too: what was under way waits again, for another worker
            put_back(study, storage, me())
        if failures:
            raise TrainingError(failures[0])
        trials = study.get_trials(deepcopy=False)
        return [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "values": trial.values,
                "weights": trial.user_attrs.get(WEIGHTS),
            }
            for trial in trials
            if str(trial.user_attrs.get(WORKER, "")).startswith(me())
        ]


def _verified(made: Made, data: str | None, watch: Watch) -> Source:
    """The data of this machine, if they and its aelab are those of the search."""
    here = version("aelab")
    if made.aelab != here:
        raise RunError(
            f"This worker has aelab {here} and the search was made with {made.aelab}: install that "
            "version here."
        )
    source = resolve_data(
        data or made.experiment.data,
        on_progress=lambda text: watch(Event("data", "message", text)),
    )
    require_same_data(made.sha256, load(source, made.experiment))
    return source


def search_of(address: str, name: str) -> Search:
    """The settings of a search in a shared database."""
    with storage_at(address) as storage:
        return Made.of(load_study(storage, name)).search
