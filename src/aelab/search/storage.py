"""Where trials are kept: Optuna's relational storage, with the budget as trials that wait.

A trial of the budget is entered as waiting when the search is made. A worker takes waiting trials
and makes none, so that any number of workers, on any number of machines, stop at the same count;
a trial that a dead worker leaves behind waits again.
"""

import contextlib
import functools
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, ExceptionContext
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from aelab.errors import AelabError, RunError, TrainingError, not_installed
from aelab.search.addresses import parse_address, without_password

T = TypeVar("T")
RETRIES = 2  # of a trial whose worker died; a trial that kills every worker must come to an end
SQLITE_WAIT = 60.0  # seconds that a writer waits for another one
OUTAGE_SECONDS = 300.0  # that a server may be away before a search or worker gives up
LONGEST_DELAY = 2.0  # seconds between two tries; below the three heartbeats of a dead worker
# Settings of libpq unless the address has its own: a machine that vanishes closes nothing.
SERVER_DEFAULTS = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 30_000}
optuna.logging.set_verbosity(optuna.logging.ERROR)  # what trials do is told by our own events


class BudgetUsed(Exception):  # noqa: N818  (the end of a queue, not an error)
    """No trial waits."""


class Outage(Exception):  # noqa: N818  (handled by the storage; no bad input)
    """The database did not answer; ``committing``: it is unknown whether a commit took place."""

    def __init__(self, committing: bool) -> None:
        super().__init__(committing)
        self.committing = committing


class Storage(RDBStorage):
    """A storage in which a new trial is one that was entered before, if the budget is counted.

    Every method of Optuna's interface is called again while the server is away.
    """

    counted = True
    impatient = False  # the next call that meets an outage raises it at once
    last_outage = -1e9  # seconds of the monotonic clock

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
            super().record_heartbeat(trial_id)
        return super().set_trial_state_values(trial_id, state, values)

    def record_heartbeat(self, trial_id: int) -> None:
        """As Optuna's; one that is missed is followed by the next, and must not end its thread."""
        try:
            super().record_heartbeat(trial_id)
        except Outage:
            self.last_outage = time.monotonic()

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        # After an outage every trial looks stale until its worker has sent a heartbeat again.
        if time.monotonic() - self.last_outage < (self.grace_period or 0):
            return []
        return super()._get_stale_trial_ids(study_id)


def _retried(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method of a storage, called again while the server is away.

    Each is one transaction. One that was not committed is safe to repeat; so is one that was, for
    it finds what it would have written, unless it adds a study or a trial.
    """
    adds = "create" in method.__name__

    @functools.wraps(method)
    def call(storage: Storage, *args: Any, **kwargs: Any) -> Any:
        local = storage.engine.dialect.name == "sqlite"  # which waits for locks itself

        def is_final(outage: Outage) -> bool:
            storage.last_outage = time.monotonic()
            return local or storage.impatient or (adds and outage.committing)

        try:
            result = _patiently(lambda: method(storage, *args, **kwargs), is_final)
        except Outage:
            storage.impatient = True  # what is called to clean up does not wait again
            raise
        storage.impatient = False
        return result

    return call


def _patiently(call: Callable[[], T], is_final: Callable[[Outage], bool]) -> T:
    began, delay = time.monotonic(), LONGEST_DELAY / 16
    while True:
        try:
            return call()
        except Outage as outage:
            if is_final(outage) or time.monotonic() - began >= OUTAGE_SECONDS:
                raise
            if delay < LONGEST_DELAY / 8:  # once
                logging.getLogger("aelab").warning(
                    "The database does not answer (%s); trying again for %d seconds.",
                    _cause(outage), OUTAGE_SECONDS,
                )  # fmt: skip
        time.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)


# Optuna's cache calls some methods by their private names.
for _name in (*BaseStorage.__abstractmethods__, "_create_new_trial", "_get_trials",
              "_set_trial_param", "_get_best_trial_id", "_get_stale_trial_ids"):  # fmt: skip
    setattr(Storage, _name, _retried(getattr(Storage, _name)))


def _raise_outage(context: ExceptionContext) -> None:
    lost = isinstance(context.sqlalchemy_exception, OperationalError) or context.is_disconnect
    if lost and not context.is_pre_ping:  # after that one a new connection is made
        raise Outage(context.connection is not None and context.statement is None)


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
        TrainingError: if it is away for more than ``OUTAGE_SECONDS``.
    """
    address, storage = parse_address(url), None
    try:
        storage = _patiently(lambda: _open(address, heartbeat, create), lambda _: False)
        yield storage
    except Exception as error:
        found: BaseException | None = error
        while found and not isinstance(found, Outage):  # Optuna may stumble over it
            found = found.__context__
        if not found:
            raise
        raise TrainingError(
            f"Lost the database {without_password(address)}: {_cause(found)}. No finished trial is "
            "lost: aelab resume and new workers continue when it is back."
        ) from None
    finally:
        if storage:
            storage.remove_session()
            storage.engine.dispose()


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
        if heartbeat and any(isinstance(e, OperationalError) for e in (error, error.__cause__)):
            raise Outage(committing=False) from error  # whoever started this worker had reached it
        cause = _cause(error)
        if "version_info" in cause:  # the first table that Optuna reads
            raise RunError(f"The database {shown} holds no search.") from None
        hint = " PGPASSWORD, ~/.pgpass and --storage give a password." * ("password" in cause)
        raise AelabError(f"Cannot open the database {shown}: {cause}.{hint}") from None
    if local:
        _tune_sqlite(storage.engine)
    event.listen(storage.engine, "handle_error", _raise_outage)
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
    defaults = {name: value for name, value in SERVER_DEFAULTS.items() if name not in url.query}
    # pool_pre_ping: a connection that a firewall has dropped is made again
    return {"pool_pre_ping": True, "connect_args": defaults}
