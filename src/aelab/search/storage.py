"""Where trials are kept: Optuna's relational storage, with the budget as trials that wait.

A trial of the budget is entered as waiting when the search is made. A worker takes waiting trials
and makes none, so that any number of workers, on any number of machines, stop at the same count;
a trial that a dead worker leaves behind waits again.
"""

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from aelab.errors import AelabError, RunError, not_installed
from aelab.search.config import Search
from aelab.search.space import Stored

LOCAL_NAME = "search"  # the study's name in a database of its own
RETRIES = 2  # of a trial whose worker died; a trial that kills every worker must come to an end
SQLITE_WAIT = 60.0  # seconds that a writer waits for another one
REASON, WORKER, WEIGHTS, RETRIED = "reason", "worker", "weights", "retry_history"

optuna.logging.set_verbosity(optuna.logging.ERROR)  # what trials do is told by our own events


class BudgetUsed(Exception):  # noqa: N818  (the end of a queue, not an error)
    """No trial waits."""


class Storage(RDBStorage):
    """A storage in which a new trial is one that was entered before, if the budget is counted."""

    counted = True

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        # Study.ask comes here when it has found no trial that waits. To look first and ask then
        # would be a race between workers.
        if template_trial is None and self.counted:
            raise BudgetUsed
        return super()._create_new_trial(study_id, template_trial)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """As Optuna's; a trial that was put back must not begin with its last worker's heartbeat,
        or it would be given up before its first.
        """
        if state == TrialState.RUNNING and self.heartbeat_interval is not None:
            self.record_heartbeat(trial_id)
        return super().set_trial_state_values(trial_id, state, values)


@contextlib.contextmanager
def storage_at(url: str, heartbeat: int | None = None) -> Iterator[Storage]:
    """The database at an address; its connections are closed at the end of the block.

    Raises AelabError in a sentence if it cannot be reached.

    With a ``heartbeat`` (seconds), a trial whose worker has been silent for three of them is given
    up and waits again.
    """
    storage = _open(url, heartbeat)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _open(url: str, heartbeat: int | None) -> Storage:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            storage = Storage(
                str(_driver(url).render_as_string(hide_password=False)),
                engine_kwargs=_engine(url),
                heartbeat_interval=heartbeat,
                grace_period=3 * heartbeat if heartbeat else None,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(RETRIES),
            )
        if url.startswith("sqlite"):
            _tune_sqlite(storage.engine)
        return storage
    except ImportError:
        raise not_installed("A shared database", "psycopg", "cluster") from None
    except (ArgumentError, NoSuchModuleError):
        raise AelabError(
            f"{url} is no address of a database: write postgresql://user@host/name."
        ) from None
    except SQLAlchemyError as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise AelabError(f"Cannot open the database {without_password(url)}: {cause}.") from None


def _tune_sqlite(engine: Engine) -> None:
    """Let every transaction take SQLite's lock when it begins, and write ahead without waiting.

    SQLite has no SELECT … FOR UPDATE, on which Optuna relies: of two workers that read that a trial
    waits both would take it; this is SQLAlchemy's recipe. A write-ahead log with NORMAL waits for
    the disk now and then, not thirty times a trial: a power cut may take the last moments with it,
    and the trials that they held run again.
    """

    def prepare(raw: Any, _: Any) -> None:
        raw.isolation_level = None
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = NORMAL")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    engine.dispose()  # connections made before this


def _driver(url: str) -> URL:
    found = make_url(url)
    return found.set(drivername="postgresql+psycopg") if found.drivername == "postgresql" else found


def _engine(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": SQLITE_WAIT}}
    return {"pool_pre_ping": True}  # a connection that a firewall has dropped is made again


def without_password(url: str) -> str:
    """The address as it may be written down; libpq finds a password in ~/.pgpass or PGPASSWORD."""
    return make_url(url).set(password=None).render_as_string()


def create_study(
    storage: Storage, name: str, search: Search, facts: Mapping[str, Any], queue: list[Stored]
) -> optuna.Study:
    """Make the study with all that a worker must know, and enter its trials.

    ``queue`` holds the first trials' settings; the others are the sampler's.
    """
    try:
        study = optuna.create_study(storage=storage, study_name=name, directions=search.directions)
    except optuna.exceptions.DuplicatedStudyError:
        raise RunError(
            f"The database has a study {name} already: name another --study, or join it by "
            "aelab worker."
        ) from None
    for key, fact in facts.items():
        study.set_user_attr(key, fact)
    waiting: list[Stored] = [*queue, *({} for _ in range((search.trials or 0) - len(queue)))]
    for settings in waiting[: search.trials]:
        study.enqueue_trial(settings)
    study.set_user_attr("ready", True)
    return study


def load_study(storage: Storage, name: str) -> optuna.Study:
    """The study of that name. Raises RunError if there is none, or it is not one of aelab's."""
    try:
        study = optuna.load_study(storage=storage, study_name=name)
    except KeyError:
        raise RunError(f"The database has no study {name}: see --study of aelab search.") from None
    if not study.user_attrs.get("ready"):
        raise RunError(f"The study {name} was not made, or not to its end, by aelab search.")
    return study


def put_back(study: optuna.Study, storage: Storage, worker: str = "") -> int:
    """Let the running trials of a stopped ``worker`` wait again, under their numbers; their count.

    Without a name those of all: for a search that has just been taken up, when none runs.
    """
    left = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if str(trial.user_attrs.get(WORKER, "")).startswith(worker)
    ]
    for trial in left:
        storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    return len(left)


def fail(storage: Storage, trial: FrozenTrial, reason: str) -> None:
    """End a trial whose process died, with the reason."""
    storage.set_trial_user_attr(trial._trial_id, REASON, reason)
    storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def plain(value: Any) -> Any:
    """A record as JSON types, the way it comes back from the database."""
    return json.loads(json.dumps(value))
