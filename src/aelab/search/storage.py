"""Where trials are kept: Optuna's relational storage, with the budget as trials that wait.

A trial of the budget is entered as waiting when the search is made. A worker takes waiting trials
and makes none, so that any number of workers, on any number of machines, stop at the same count;
a trial that a dead worker leaves behind waits again.
"""

import contextlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

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

    def __init__(self, url: str, **settings: Any) -> None:
        try:
            super().__init__(url, **settings)
        except Exception:
            if hasattr(self, "engine"):
                self.engine.dispose()  # nobody else could close its connections
            raise

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
def storage_at(
    url: str, heartbeat: int | None = None, *, create: bool = False
) -> Iterator[Storage]:
    """The database at an address; its connections are closed at the end of the block.

    Args:
        url: ``postgresql://user@host/name`` or ``sqlite:///file``.
        heartbeat: Seconds; a trial whose worker has been silent for three of them is given up and
            waits again.
        create: Whether a missing file or missing tables are made.

    Raises:
        AelabError: in a sentence, if it cannot be opened.
    """
    storage = _open(parse_address(url), heartbeat, create)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def parse_address(text: str) -> URL:
    """The address of a database, its scheme ``postgresql`` or ``sqlite``.

    Raises AelabError, which repeats nothing of it: any part may be a piece of a password.
    """
    scheme = re.match(r"([\w.+-]+)://", text)
    name = {"postgres": "postgresql", "postgresql+psycopg": "postgresql"}
    if scheme and (found := name.get(scheme[1], scheme[1])) not in ("postgresql", "sqlite"):
        raise AelabError(
            f"A search is kept in PostgreSQL (postgresql://user@host/name) or in a file of SQLite "
            f"(sqlite:///file), not in {found}."
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url and url.drivername == "sqlite":
        if not url.host and url.database and url.database != ":memory:":
            return url.set(database=str(Path(url.database).absolute()))
    elif url and text.count("@") == (url.username is not None):
        return url.set(drivername="postgresql")
    raise AelabError(
        "This is no address of a database: write postgresql://user@host:port/name or "
        "sqlite:///file. In a password, @ is written %40, : %3A, / %2F, ? %3F, # %23 and % %25."
    )


def file_address(path: Path) -> str:
    """The address of a database in a file."""
    return URL.create("sqlite", database=str(path.absolute())).render_as_string()


def _open(url: URL, heartbeat: int | None, create: bool) -> Storage:
    local = url.drivername == "sqlite"
    shown = without_password(url)
    if local and not create and not Path(str(url.database)).is_file():
        raise RunError(f"There is no database {shown}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            storage = Storage(
                (url if local else url.set(drivername="postgresql+psycopg")).render_as_string(
                    hide_password=False
                ),
                engine_kwargs=_engine(url),
                heartbeat_interval=heartbeat,
                grace_period=3 * heartbeat if heartbeat else None,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(RETRIES),
                skip_table_creation=not create,
            )
    except ImportError:
        raise not_installed("A shared database", "psycopg", "cluster") from None
    except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:  # of another Optuna
        cause = _cause(error)
        if "version_info" in cause:  # the first table that Optuna reads
            raise RunError(f"The database {shown} holds no search.") from None
        hint = " PGPASSWORD, ~/.pgpass and --storage give a password." * ("password" in cause)
        raise AelabError(f"Cannot open the database {shown}: {cause}.{hint}") from None
    if local:
        _tune_sqlite(storage.engine)
    return storage


def _cause(error: BaseException) -> str:
    """What the driver says, without the statement and its parameters."""
    while error.__cause__:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".?")


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


def _engine(url: URL) -> dict[str, Any]:
    if url.drivername == "sqlite":
        return {"connect_args": {"timeout": SQLITE_WAIT}}
    return {"pool_pre_ping": True}  # a connection that a firewall has dropped is made again


def without_password(url: str | URL) -> str:
    """The address as it may be written down; libpq finds a password in ~/.pgpass or PGPASSWORD."""
    found = parse_address(url) if isinstance(url, str) else url
    return (
        found._replace(password=None)
        .difference_update_query(("password", "sslpassword"))
        .render_as_string()
    )


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
