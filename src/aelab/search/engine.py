"""A search from its folder to its report: trials, results, proof; interrupted, it goes on."""

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
from aelab.runs.pool import Event, Job, Watch, run_jobs
from aelab.runs.search import SearchFolder
from aelab.search.addresses import file_address, without_password
from aelab.search.config import Search
from aelab.search.progress import SearchDisplay
from aelab.search.prove import prove
from aelab.search.results import as_csv, as_toml, collect, ranked
from aelab.search.space import Searched, searched
from aelab.search.storage import Storage, storage_at
from aelab.search.trials import LOCAL_NAME, create_study, fail, load_study, plain, put_back
from aelab.search.worker import Task, ended, me, work

HEARTBEAT = 20  # seconds
BYTES_OF_REPORT = 20_000_000
BESIDE = 4  # yardsticks, and trials trained again for their luck, in a proof


@dataclasses.dataclass(frozen=True)
class Shared:
    """A database that several machines work on, and the name of the study in it.

    A worker that misses three heartbeats (seconds) is taken for dead.
    """

    storage: str = dataclasses.field(repr=False)  # it may hold a password
    study: str
    heartbeat: int = HEARTBEAT


@with_workers(lambda search, **_: SearchDisplay(search))
def run_search(
    search: Search,
    experiment: Experiment,
    out: Path | None = None,
    workers: int = 2,
    watch: Watch = lambda event: None,  # noqa: ARG005
    shared: Shared | None = None,
) -> SearchFolder:
    """Search the best settings of a model, prove the winners and write the report.

    The trials are kept in the folder, or in a ``shared`` database that other machines work on too.
    With one worker, the same settings give the same trials and the same winner.
    """
    source = resolve_data(
        experiment.data, on_progress=lambda text: watch(Event("data", "message", text))
    )
    data = load(source, experiment)
    watch(Event("data", "message", f"{data.why} Split: {data.split}."))
    found = searched(experiment, search.model, search.space)
    _require_possible(search, experiment)
    path = out or default_path(f"search-{found.key}")
    require_space(path, _bytes_of_search(search, found, data))
    if shared:
        with storage_at(shared.storage, create=True):  # so is an address that does not answer
            pass
    else:
        file_address(path)  # is refused before anything is made
    folder = SearchFolder.create(
        path,
        search.model_dump(mode="json"),
        experiment.model_dump(mode="json"),
        default="" if out else f"search-{found.key}",
        data=describe(data),
        source=dataclasses.asdict(source),
        storage=without_password(shared.storage) if shared else None,
        study=shared.study if shared else LOCAL_NAME,
        heartbeat=shared.heartbeat if shared else None,
        workers=workers,
    )
    with folder.lock():
        return _Ongoing(folder, shared, workers, watch).finish()


@with_workers(lambda path, **_: SearchDisplay(Search.model_validate(SearchFolder(path).search())))
def resume_search(
    path: Path,
    workers: int | None = None,
    watch: Watch = lambda event: None,  # noqa: ARG005
    data: str | None = None,
    storage: str | None = None,
) -> SearchFolder:
    """Go on with an interrupted search to its budget; a finished one is left as it is.

    It goes on with as many ``workers`` as it began with, unless told otherwise: with one, the
    trials are those of a search that was never interrupted.

    The folder keeps the address of a shared database without its password: libpq looks in
    PGPASSWORD and ~/.pgpass, or ``storage`` gives the address again. ``data`` is where the data
    are now, if they have moved.
    """
    folder = SearchFolder(path)
    with folder.lock():
        facts = folder.manifest()
        finished = facts["status"] == "finished"
        shared = None
        if facts["storage"]:  # aelab 0.1.0 wrote *** in the place of a password
            address = storage or without_password(facts["storage"])
            shared = Shared(address, facts["study"], facts["heartbeat"])
        elif storage:
            raise RunError(f"{path} keeps its trials itself: leave out --storage.")
        if not finished:
            _require_possible(Search.model_validate(folder.search()), experiment_of(folder))
        if data is not None or not finished:
            source, _ = find_data(folder, data)
            folder.note(source=dataclasses.asdict(source))
        if finished:
            return folder
        # A folder from before this was kept does not tell how many there were.
        return _Ongoing(folder, shared, workers or facts.get("workers", 2), watch).finish()


def _require_possible(search: Search, experiment: Experiment) -> None:
    """Raise AelabError if a device, a package, a measure or the cache is missing for the search."""
    experiment.settled()
    search.require_asked(experiment.evaluation)
    if any(g.name in METRICS and METRICS[g.name].family == "generation" for g in search.goals):
        require_cache()  # where the classifier is kept


def _bytes_of_search(search: Search, found: Searched, data: Data) -> int:
    """About what a search will take on disk: the weights of its trials and of the proof.

    By the network that the search starts from, which has to fit the images.
    """
    model = found.base.build(found.key, data.image_size)
    trainings = (search.trials or 0) + (search.proof.top + BESIDE) * search.proof.seeds
    return 4 * trainings * model.parameter_count + BYTES_OF_REPORT


@final
class _Ongoing:
    """One process's work on a search folder."""

    def __init__(
        self, folder: SearchFolder, shared: Shared | None, workers: int, watch: Watch
    ) -> None:
        self.folder, self.shared, self.workers, self.watch = folder, shared, workers, watch
        self.search = Search.model_validate(folder.search())
        self.experiment = experiment_of(folder)
        self.found: Searched = searched(self.experiment, self.search.model, self.search.space)
        self.source = Source(**folder.manifest()["source"])
        self.url = shared.storage if shared else file_address(folder.database)
        self.study_name = shared.study if shared else LOCAL_NAME

    @property
    def _is_entered(self) -> bool:
        """Whether the shared database holds the study already."""
        return bool(self.shared and self.folder.manifest().get("entered"))

    def finish(self) -> SearchFolder:
        """Whatever is left to do."""
        with storage_at(self.url, create=not self._is_entered) as storage:
            best = self._finish_trials(storage)
        if self.search.proof.top and len(self.search.goals) == 1:  # a front has no winner
            proof = prove(
                self.folder, self.search, self.found, self.source, self.workers, self.watch
            )
            best = next(c for c in proof["contenders"] if c["name"] == proof["chosen"])["settings"]
            self.folder.write_proof(proof)
        self.folder.write_best(as_toml(best, self.search.model))
        from aelab.report.search import build_search_report  # matplotlib is slow to load

        build_search_report(self.folder)
        self.folder.note(status="finished")
        return self.folder

    def _finish_trials(self, storage: Storage) -> dict[str, Any]:
        """Take the trials and keep what they say; the experiment of the best one."""
        study = self._study(storage)
        began = time.perf_counter()
        try:
            self._take_trials(study, storage)
        finally:  # also of an interrupt: --minutes counts the whole
            spent = self.folder.manifest().get("seconds", 0.0) + time.perf_counter() - began
            self.folder.note(seconds=spent)
        results = collect(study, self.search, self.found) | {"data": self.folder.manifest()["data"]}
        self.folder.write_results(results, as_csv(results))
        best = ranked(study)
        if not best:
            raise TrainingError(
                f"No trial came to its end; trials.csv in {self.folder.path} tells why of each. "
                "Narrow the space, or give more trials."
            )
        return self.found.experiment(best[0].params).model_dump(mode="json")

    def _study(self, storage: Storage) -> optuna.Study:
        """The study of the folder, made if an earlier process did not come to it."""
        if not self.shared:
            with contextlib.suppress(RunError):
                study = load_study(storage, self.study_name)
                put_back(study, storage)
                return study
            with contextlib.suppress(KeyError):  # made, but not to its end
                optuna.delete_study(storage=storage, study_name=self.study_name)
        facts = {
            "search": self.folder.search(),
            "experiment": self.folder.experiment(),
            "sha256": self.folder.manifest()["data"]["sha256"],
            "aelab": self.folder.manifest()["environment"]["aelab"],
            "heartbeat": self.shared.heartbeat if self.shared else None,
        }
        if self._is_entered:
            study = load_study(storage, self.study_name)
            if any(study.user_attrs[key] != plain(facts[key]) for key in ("search", "experiment")):
                raise RunError(f"The study {self.study_name} there is of another search.")
            return study
        start = self.found.start()
        queue = [start] if start else []
        queue += self.found.quasi_random(self.search.sampler.start)
        study = create_study(storage, self.study_name, self.search, plain(facts), queue)
        self.folder.note(entered=True)
        return study

    def _take_trials(self, study: optuna.Study, storage: Storage) -> None:
        task = Task(
            self.url,
            self.study_name,
            self.source,
            self.folder.trials.path,
            me(),
            heartbeat=self.shared.heartbeat if self.shared else None,
            deadline=self._deadline(),
        )
        jobs = [Job(f"worker {k + 1}", work, (task,)) for k in range(self.workers)]
        if before := [ended(t) for t in study.get_trials(deepcopy=False) if t.state.is_finished()]:
            self.watch(Event("trials", "message", {"before": before}))
        while self._has_more(study, task):
            failures: dict[str, str] = {}
            try:
                with contextlib.closing(run_jobs(jobs, self.workers)) as events:
                    for event in events:
                        if event.kind == "failed":
                            failures[event.job] = event.content
                        self.watch(event)
            except BaseException:  # an interrupt has ended the workers within their trials
                put_back(study, storage, me())
                raise
            storage.impatient = bool(failures)  # a worker that fails has waited for the server
            left = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if not self.shared:
                for trial in left:
                    fail(storage, trial, "Its process was ended from outside: out of memory?")
            if failures and not left:  # not a death within a trial, and it would come again
                raise TrainingError(" ".join(dict.fromkeys(failures.values())))
            if self.search.trials is None:
                break

    def _deadline(self) -> float | None:
        if self.search.minutes is None:
            return None
        spent: float = self.folder.manifest().get("seconds", 0.0)
        return time.time() + 60 * self.search.minutes - spent

    def _has_more(self, study: optuna.Study, task: Task) -> bool:
        if task.deadline is not None and time.time() >= task.deadline:
            return False
        states = (TrialState.WAITING, TrialState.RUNNING)
        return self.search.trials is None or bool(study.get_trials(deepcopy=False, states=states))
