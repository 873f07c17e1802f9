"""A search from its folder to its report: trials, results, proof; an interrupted one is resumed."""

import dataclasses
import time
import uuid
from pathlib import Path

from optuna.trial import TrialState
from pydantic import ValidationError

from aelab.config.base import sentence
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
from aelab.runs.search_results import load
from aelab.search.config import Search
from aelab.search.proof import prove
from aelab.search.results import as_csv, as_toml, collect, progress
from aelab.search.space import resolve_space
from aelab.search.storage import file_address, storage_at, without_password
from aelab.search.trials import LOCAL_NAME, Trials, create_study, load_study
from aelab.search.worker import Database, Task, run_workers

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

    Returns:
        The finished search.

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
    trainings = search.trials + (search.proof.top + BESIDE) * search.proof.seeds
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
        id=uuid.uuid4().hex,  # by which an interrupted search knows its study again
        data=describe(data),
        source=dataclasses.asdict(source),
        storage=without_password(shared.address) if shared else None,
        study=shared.study if shared else LOCAL_NAME,
        heartbeat=shared.heartbeat if shared else None,
        workers=workers,
    )
    with folder.lock():
        database = _database(folder, shared.address if shared else None)
        return _finish(folder, database, workers, watch)


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

    Returns:
        The finished search.

    Raises:
        AelabError: If the search cannot be resumed here.
        TrainingError: If no trial completes, or the database is lost.
    """
    folder = SearchFolder(path)
    with folder.lock():
        facts = folder.manifest()
        finished, database = facts["status"] == "finished", _database(folder, storage)
        if not finished:
            _require_possible(_settings(folder), experiment_of(folder))
        if data is not None or not finished:
            source, _ = find_data(folder, experiment_of(folder), data)
            folder.note(source=dataclasses.asdict(source))
        if finished:
            return folder
        return _finish(folder, database, workers or facts["workers"], watch)


def rebuild_search(path: Path, watch: Watch = ignore) -> SearchFolder:
    """Build the report of a search again; files of its proof that are damaged are reported."""
    folder = SearchFolder(path)
    with folder.lock():
        if proof := load(folder).proof:
            for contender in proof.contenders:
                for seed in proof.seeds:
                    try:
                        for name in ("metrics.json", "weights.safetensors"):
                            folder.retrained(contender.name, seed).read(name)
                    except RunError as error:
                        watch(Event("proof", "message", {"warning": str(error)}))
        _report(folder)
    return folder


def _report(folder: SearchFolder) -> None:
    from aelab.report.search import build_search_report  # matplotlib is slow to load

    build_search_report(folder)


def _database(folder: SearchFolder, address: str | None) -> Database:
    """Where the trials are; ``address`` is that of a shared database, with its password."""
    facts = folder.manifest()
    if facts["storage"]:
        address = address or without_password(facts["storage"])
        return Database(address, facts["study"], facts["heartbeat"])
    if address:
        raise RunError(f"{folder.path} keeps its trials itself: leave out --storage.")
    return Database(file_address(folder.database), LOCAL_NAME, None)


def _settings(folder: SearchFolder) -> Search:
    """The settings of a search. Raises RunError for those of another version."""
    try:
        return Search.model_validate(folder.search())
    except ValidationError as error:
        raise RunError(
            f"Another version of aelab has made {folder.path}: resume it with that one, since "
            f"{sentence(error)}"
        ) from None


def _require_possible(search: Search, experiment: Experiment) -> None:
    """Raise AelabError if a device, a package, a metric or the cache is missing for the search."""
    experiment.resolved()
    goal = search.target
    if not goal.asked(experiment.evaluation):
        raise AelabError(
            f"The goal {goal.name} is not evaluated with these settings: see --evaluation.flow and "
            "--evaluation.samples."
        )
    if goal.name in METRICS and METRICS[goal.name].family == "generation":
        require_cache()  # where the classifier is kept


def _finish(folder: SearchFolder, database: Database, workers: int, watch: Watch) -> SearchFolder:
    """Do what is left: trials, proof, report."""
    manifest, search = folder.manifest(), _settings(folder)
    space = resolve_space(experiment_of(folder), search.model, search.space)
    source = Source(**manifest["source"])
    entered = manifest.get("entered", False)
    with storage_at(database.address, create=not entered) as storage:
        if entered:
            study = load_study(storage, database.study, manifest["id"])
        else:
            facts = {
                "id": manifest["id"],
                "search": folder.search(),
                "experiment": folder.experiment(),
                "sha256": manifest["data"]["sha256"],
                "aelab": manifest["environment"]["aelab"],
                "heartbeat": database.heartbeat,
            }
            first = space.first(search.sampler.start)
            study = create_study(storage, database.study, search, facts, first)
            folder.note(entered=True)
        trials = Trials(storage, study)
        if database.heartbeat is None:
            trials.release()
        if any(trial.state.is_finished() for trial in trials()):
            watch(Event("trials", "message", f"Resumed: {progress(study, search)}."))
        began = time.perf_counter()
        try:
            _run_trials(trials, Task(database, source, folder.own("trials")), workers, watch)
        finally:  # an interrupted search has taken its time too
            folder.note(seconds=manifest.get("seconds", 0.0) + time.perf_counter() - began)
        results = collect(study, search, space) | {"data": manifest["data"]}
    folder.write_text("trials.csv", as_csv(results))
    folder.write_json("results.json", results)
    if not results["best"]:
        raise TrainingError(
            f"No trial came to its end; trials.csv in {folder.path} tells why of each. Narrow the "
            "space, or give more trials."
        )
    if search.proof.top:
        proof = prove(folder, search, space, source, workers, watch)
        settings = next(c for c in proof["contenders"] if c["name"] == proof["chosen"])["settings"]
        folder.write_json("proof.json", proof)
    else:
        best = space.experiment(results["trials"][results["best"][0]]["settings"])
        settings = best.model_dump(mode="json")
    folder.write_text("best.toml", as_toml(settings, search.model))
    _report(folder)
    folder.note(status="finished")
    return folder


def _run_trials(trials: Trials, task: Task, workers: int, watch: Watch) -> None:
    """Run worker processes until every trial has ended, here or elsewhere."""
    while trials.unfinished:
        failures = run_workers(task, workers, trials, watch)
        left = trials(TrialState.RUNNING)
        if task.database.heartbeat is None:  # no heartbeat tells of a death
            for trial in left:
                trials.fail(trial.number, "Its process was ended from outside: out of memory?")
        if failures and not left:  # not a death within a trial, and it would come again
            raise TrainingError(" ".join(dict.fromkeys(failures)))
