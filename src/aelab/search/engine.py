"""A search from its folder to its report: trials, results, proof; an interrupted one is resumed."""

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any, final

import optuna
from optuna.trial import TrialState

from aelab.console.progress import with_workers
from aelab.data.cache import require_cache
from aelab.data.dataset import Data
from aelab.data.sources import Source, resolve_data
from aelab.errors import RunError, TrainingError
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.lab.data import describe, find_data, load
from aelab.metrics import METRICS
from aelab.runs.creation import default_path, require_space
from aelab.runs.pool import Event, Watch
from aelab.runs.search import SearchFolder
from aelab.search.addresses import file_address, without_password
from aelab.search.config import Search
from aelab.search.progress import SearchDisplay
from aelab.search.prove import prove
from aelab.search.results import as_csv, as_toml, collect, progress, ranked
from aelab.search.space import ResolvedSpace, resolve_space
from aelab.search.storage import Storage, storage_at
from aelab.search.trials import LOCAL_NAME, create_study, fail_trial, load_study, release_trials
from aelab.search.worker import Database, Task, has_unfinished, me, run_workers

BYTES_OF_REPORT = 20_000_000
BESIDE = 4  # baselines, and trials trained again for their luck, in a proof


@with_workers(lambda *_, **__: SearchDisplay())
def run_search(
    search: Search,
    experiment: Experiment,
    out: Path | None = None,
    workers: int = 2,
    watch: Watch = lambda event: None,  # noqa: ARG005
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
    source = resolve_data(
        experiment.data, on_progress=lambda text: watch(Event("data", "message", text))
    )
    data = load(source, experiment)
    watch(Event("data", "message", f"{data.why} Split: {data.split}."))
    space = resolve_space(experiment, search.model, search.space)
    _require_possible(search, experiment)
    path = out or default_path(f"search-{space.key}")
    require_space(path, _bytes_of_search(search, space, data))
    if shared:
        with storage_at(shared.address, create=True):  # refuses an address that does not answer
            pass
    else:
        file_address(path)  # refuses a name that no database can have
    folder = SearchFolder.create(
        path,
        search.model_dump(mode="json"),
        experiment.model_dump(mode="json"),
        default="" if out else f"search-{space.key}",
        data=describe(data),
        source=dataclasses.asdict(source),
        storage=without_password(shared.address) if shared else None,
        study=shared.study if shared else LOCAL_NAME,
        heartbeat=shared.heartbeat if shared else None,
        workers=workers,
    )
    with folder.lock():
        return _SearchInFolder(folder, shared, workers, watch).finish()


@with_workers(lambda *_, **__: SearchDisplay())
def resume_search(
    path: Path,
    workers: int | None = None,
    watch: Watch = lambda event: None,  # noqa: ARG005
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
        return _SearchInFolder(folder, shared, workers or facts.get("workers", 2), watch).finish()


def _require_possible(search: Search, experiment: Experiment) -> None:
    """Raise AelabError if a device, a package, a metric or the cache is missing for the search."""
    experiment.resolved()
    search.require_asked(experiment.evaluation)
    if any(g.name in METRICS and METRICS[g.name].family == "generation" for g in search.goals):
        require_cache()  # where the classifier is kept


def _bytes_of_search(search: Search, space: ResolvedSpace, data: Data) -> int:
    """About what a search takes on disk: the weights of its trials and of the proof.

    By the network that the search starts from, which has to fit the images.
    """
    model = space.base.build(space.key, data.image_size)
    trainings = (search.trials or 0) + (search.proof.top + BESIDE) * search.proof.seeds
    return 4 * trainings * model.parameter_count + BYTES_OF_REPORT


@final
class _SearchInFolder:
    """One process's work on a search folder."""

    def __init__(
        self, folder: SearchFolder, shared: Database | None, workers: int, watch: Watch
    ) -> None:
        self.folder, self.workers, self.watch = folder, workers, watch
        self.is_shared = shared is not None
        self.database = shared or Database(file_address(folder.database), LOCAL_NAME, None)
        self.search = Search.model_validate(folder.search())
        self.space = resolve_space(experiment_of(folder), self.search.model, self.search.space)
        self.source = Source(**folder.manifest()["source"])

    def finish(self) -> SearchFolder:
        """Do what is left: trials, proof, report."""
        entered = bool(self.is_shared and self.folder.manifest().get("entered"))
        with storage_at(self.database.address, create=not entered) as storage:
            study = self._study(storage, entered)
            best = self._finish_trials(study, storage)
        if self.search.proof.top and len(self.search.goals) == 1:  # a front has no winner
            proof = prove(
                self.folder, self.search, self.space, self.source, self.workers, self.watch
            )
            best = next(c for c in proof["contenders"] if c["name"] == proof["chosen"])["settings"]
            self.folder.write_proof(proof)
        self.folder.write_best(as_toml(best, self.search.model))
        from aelab.report.search import build_search_report  # matplotlib is slow to load

        build_search_report(self.folder)
        self.folder.note(status="finished")
        return self.folder

    def _study(self, storage: Storage, entered: bool) -> optuna.Study:
        """The study of the folder; made, if no earlier process has made it to its end."""
        name = self.database.study
        facts: dict[str, Any] = {
            "search": self.folder.search(),
            "experiment": self.folder.experiment(),
        }
        if entered:
            study = load_study(storage, name)
            if any(study.user_attrs[key] != facts[key] for key in facts):
                raise RunError(f"The study {name} there is of another search.")
            return study
        if not self.is_shared:
            with contextlib.suppress(RunError):
                study = load_study(storage, name)
                release_trials(study, storage)
                return study
            with contextlib.suppress(KeyError):  # made, but not to its end
                optuna.delete_study(storage=storage, study_name=name)
        manifest = self.folder.manifest()
        facts |= {
            "sha256": manifest["data"]["sha256"],
            "aelab": manifest["environment"]["aelab"],
            "heartbeat": self.database.heartbeat,
        }
        start = self.space.start()
        queue = [start] if start else []
        queue += self.space.quasi_random(self.search.sampler.start)
        study = create_study(storage, name, self.search, facts, queue)
        self.folder.note(entered=True)
        return study

    def _finish_trials(self, study: optuna.Study, storage: Storage) -> dict[str, Any]:
        """Run the trials and write their results; gives the experiment of the best one."""
        began = time.perf_counter()
        try:
            self._run_trials(study, storage)
        finally:  # also of an interrupt: --minutes counts the whole
            spent = self.folder.manifest().get("seconds", 0.0) + time.perf_counter() - began
            self.folder.note(seconds=spent)
        results = collect(study, self.search, self.space) | {"data": self.folder.manifest()["data"]}
        self.folder.write_results(results, as_csv(results))
        best = ranked(study)
        if not best:
            raise TrainingError(
                f"No trial came to its end; trials.csv in {self.folder.path} tells why of each. "
                "Narrow the space, or give more trials."
            )
        return self.space.experiment(best[0].params).model_dump(mode="json")

    def _run_trials(self, study: optuna.Study, storage: Storage) -> None:
        if any(t.state.is_finished() for t in study.get_trials(deepcopy=False)):
            self.watch(Event("trials", "message", f"Resumed: {progress(study, self.search)}."))
        deadline = None
        if self.search.minutes is not None:
            spent: float = self.folder.manifest().get("seconds", 0.0)
            deadline = time.time() + 60 * self.search.minutes - spent
        task = Task(
            self.database, self.source, self.folder.trials.path, me(), deadline
        )  # fmt: skip
        while (deadline is None or time.time() < deadline) and (
            self.search.trials is None or has_unfinished(study)
        ):
            failures = run_workers(task, self.workers, study, storage, self.watch)
            left = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if not self.is_shared:
                for trial in left:
                    fail_trial(storage, trial, "Its process was ended from outside: out of memory?")
            if failures and not left:  # not a death within a trial, and it would come again
                raise TrainingError(" ".join(dict.fromkeys(failures)))
            if self.search.trials is None:
                return
