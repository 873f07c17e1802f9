"""A search from its folder to its report: trials, results, proof; an interrupted one is resumed."""

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from aelab.console.progress import Display, with_workers
from aelab.data.cache import require_cache
from aelab.data.sources import Source
from aelab.errors import AelabError, RunError, TrainingError
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.lab.data import describe, find_data, open_data
from aelab.metrics import METRICS
from aelab.runs.creation import default_path, require_space
from aelab.runs.pool import Event, Watch, ignore
from aelab.runs.search import SearchFolder
from aelab.search.config import Search
from aelab.search.prove import prove
from aelab.search.results import as_csv, as_toml, collect, progress
from aelab.search.space import ResolvedSpace, resolve_space
from aelab.search.storage import Storage, file_address, storage_at, without_password
from aelab.search.trials import LOCAL_NAME, REASON, create_study, load_study, release_trials
from aelab.search.worker import Database, Task, has_unfinished, me, run_workers

BYTES_OF_REPORT = 20_000_000
BESIDE = 4  # baselines, and trials trained again for their luck, in a proof


@with_workers(lambda: Display(trials=True))
def run_search(
    search: Search,
    experiment: Experiment,
    out: Path | None = None,
    workers: int = 2,
    watch: Watch = ignore,
    shared: Database | None = None,
) -> SearchFolder:
    """Search the best settings of a model, prove them and write the report.

    With one worker, the same settings give the same trials and the same winner.

    Args:
        search: The settings of the search.
        experiment: What it starts from.
        out: The folder to make (None: in ``runs``).
        workers: Trials at a time, each in a process.
        watch: Called with every event.
        shared: A database that other machines work on too (None: a file in the folder).

    Raises:
        AelabError: If the search is not possible here; nothing is written then.
        TrainingError: If no trial completes, or the database is lost.
    """
    source, data = open_data(experiment, watch)
    space = resolve_space(experiment, search.model, search.space)
    _require_possible(search, experiment)
    name = f"search-{space.key}"
    path = out or default_path(name)
    # The weights of the trials and of the proof, by the network that the search starts from, which
    # has to fit the images.
    trainings = (search.trials or 0) + (search.proof.top + BESIDE) * search.proof.seeds
    parameters = space.base.build(space.key, data.image_size).parameter_count
    require_space(path, 4 * trainings * parameters + BYTES_OF_REPORT)
    if shared:
        with storage_at(shared.address, create=True):  # refuses an address that does not answer
            pass
    else:
        file_address(path)  # refuses a name that no database can have
    folder = SearchFolder.create(
        path,
        search.model_dump(mode="json"),
        experiment.model_dump(mode="json"),
        default="" if out else name,
        data=describe(data),
        source=dataclasses.asdict(source),
        storage=without_password(shared.address) if shared else None,
        study=shared.study if shared else LOCAL_NAME,
        heartbeat=shared.heartbeat if shared else None,
        workers=workers,
    )
    with folder.lock():
        return _finish(folder, shared, workers, watch)


@with_workers(lambda: Display(trials=True))
def resume_search(
    path: Path,
    workers: int | None = None,
    watch: Watch = ignore,
    data: str | None = None,
    storage: str | None = None,
) -> SearchFolder:
    """Resume an interrupted search up to its budget; a finished one is left as it is.

    Args:
        path: The folder.
        workers: Trials at a time (None: as many as it began with; with one, the trials are those
            of a search that was never interrupted).
        watch: Called with every event.
        data: Where the data are now, if they have moved.
        storage: The address of the shared database, with its password; the folder keeps it
            without, and libpq looks in PGPASSWORD and ~/.pgpass.
    """
    folder = SearchFolder(path)
    with folder.lock():
        facts = folder.manifest()
        finished = facts["status"] == "finished"
        shared = None
        if facts["storage"]:  # aelab 0.1.0 wrote *** in the place of a password
            address = storage or without_password(facts["storage"])
            shared = Database(address, facts["study"], facts["heartbeat"])
        elif storage:
            raise RunError(f"{path} keeps its trials itself: leave out --storage.")
        if not finished:
            _require_possible(Search.model_validate(folder.search()), experiment_of(folder))
        if data is not None or not finished:
            source, _ = find_data(folder, data)
            folder.note(source=dataclasses.asdict(source))
        if finished:
            return folder
        # A folder from before this was kept does not have the number.
        return _finish(folder, shared, workers or facts.get("workers", 2), watch)


def _require_possible(search: Search, experiment: Experiment) -> None:
    """Raise AelabError if a device, a package, a metric or the cache is missing for the search."""
    experiment.resolved()
    for goal in search.goals:
        if not goal.asked(experiment.evaluation):
            raise AelabError(
                f"The goal {goal.name} is not evaluated with these settings: see "
                "--evaluation.flow and --evaluation.samples."
            )
        if goal.name in METRICS and METRICS[goal.name].family == "generation":
            require_cache()  # where the classifier is kept


def _finish(
    folder: SearchFolder, shared: Database | None, workers: int, watch: Watch
) -> SearchFolder:
    """Do what is left: trials, proof, report."""
    database = shared or Database(file_address(folder.database), LOCAL_NAME, None)
    search = Search.model_validate(folder.search())
    space = resolve_space(experiment_of(folder), search.model, search.space)
    source = Source(**folder.manifest()["source"])
    task = Task(database, source, folder.own("trials"), me())
    entered = bool(shared and folder.manifest().get("entered"))
    with storage_at(database.address, create=not entered) as storage:
        study = _study(folder, search, space, database, storage)
        began = time.perf_counter()
        try:
            _run_trials(folder, search, study, storage, task, workers, watch)
        finally:  # also of an interrupt: --minutes counts the whole
            spent = folder.manifest().get("seconds", 0.0) + time.perf_counter() - began
            folder.note(seconds=spent)
        results = collect(study, search, space) | {"data": folder.manifest()["data"]}
    folder.write_text("trials.csv", as_csv(results))
    folder.write_json("results.json", results)
    if not results["best"]:
        raise TrainingError(
            f"No trial came to its end; trials.csv in {folder.path} tells why of each. Narrow the "
            "space, or give more trials."
        )
    best = space.experiment(results["trials"][results["best"][0]]["settings"])
    settings = best.model_dump(mode="json")
    if search.proof.top and len(search.goals) == 1:  # a front has no winner
        proof = prove(folder, search, space, source, workers, watch)
        settings = next(c for c in proof["contenders"] if c["name"] == proof["chosen"])["settings"]
        folder.write_json("proof.json", proof)
    folder.write_text("best.toml", as_toml(settings, search.model))
    from aelab.report.search import build_search_report  # matplotlib is slow to load

    build_search_report(folder)
    folder.note(status="finished")
    return folder


def _study(
    folder: SearchFolder, search: Search, space: ResolvedSpace, database: Database, storage: Storage
) -> optuna.Study:
    """The study of the folder; made, if no earlier process has made it to its end."""
    manifest = folder.manifest()
    is_shared = manifest["storage"] is not None
    facts: dict[str, Any] = {"search": folder.search(), "experiment": folder.experiment()}
    if is_shared and manifest.get("entered"):
        study = load_study(storage, database.study)
        if any(study.user_attrs[key] != facts[key] for key in facts):
            raise RunError(f"The study {database.study} there is of another search.")
        return study
    if not is_shared:
        with contextlib.suppress(RunError):
            study = load_study(storage, database.study)
            release_trials(study, storage)
            return study
        with contextlib.suppress(KeyError):  # made, but not to its end
            optuna.delete_study(storage=storage, study_name=database.study)
    facts |= {
        "sha256": manifest["data"]["sha256"],
        "aelab": manifest["environment"]["aelab"],
        "heartbeat": database.heartbeat,
    }
    start = space.start()
    queue = [*([start] if start else []), *space.quasi_random(search.sampler.start)]
    study = create_study(storage, database.study, search, facts, queue)
    folder.note(entered=True)
    return study


def _run_trials(
    folder: SearchFolder,
    search: Search,
    study: optuna.Study,
    storage: Storage,
    task: Task,
    workers: int,
    watch: Watch,
) -> None:
    if any(t.state.is_finished() for t in study.get_trials(deepcopy=False)):
        watch(Event("trials", "message", f"Resumed: {progress(study, search)}."))
    deadline = None
    if search.minutes is not None:
        spent: float = folder.manifest().get("seconds", 0.0)
        deadline = time.time() + 60 * search.minutes - spent
    task = dataclasses.replace(task, deadline=deadline)
    while (deadline is None or time.time() < deadline) and (
        search.trials is None or has_unfinished(study)
    ):
        failures = run_workers(task, workers, study, storage, watch)
        left = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if folder.manifest()["storage"] is None:  # no heartbeat tells of a death
            for trial in left:
                reason = "Its process was ended from outside: out of memory?"
                storage.set_trial_user_attr(trial._trial_id, REASON, reason)
                storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        if failures and not left:  # not a death within a trial, and it would come again
            raise TrainingError(" ".join(dict.fromkeys(failures)))
        if search.trials is None:
            return
