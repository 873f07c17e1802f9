"""Where trials are kept: Optuna's relational storage, in an SQLite file or a PostgreSQL server.

No message repeats a password of an address.
"""

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from aelab.errors import AelabError, RunError, TrainingError, not_installed

RETRIES = 2  # of a trial whose worker died; a trial that kills every worker must come to an end
SQLITE_WAIT = 60.0  # seconds that a writer waits for another one
OUTAGE_SECONDS = 300.0  # that a server may be away before a search or worker gives up
LONGEST_DELAY = 2.0  # seconds between two tries
# Settings of libpq unless the address has its own: a machine that vanishes closes nothing.
SERVER_DEFAULTS = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 30_000}
POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")  # the schemes of an address
optuna.logging.set_verbosity(optuna.logging.ERROR)  # our own events report the trials


def parse_address(text: str) -> URL:
    """The address of a database, its scheme ``postgresql`` or ``sqlite``.

    Raises AelabError, which repeats nothing of it: any part may be a piece of a password.
    """
    with contextlib.suppress(ArgumentError, ValueError):
        url = make_url(text)
        if url.drivername in POSTGRESQL and text.count("@") == (url.username is not None):
            return url.set(drivername="postgresql")
        if url.drivername == "sqlite" and not url.host and url.database not in (None, ":memory:"):
            return url.set(database=str(Path(url.database).absolute()))
    raise AelabError(
        "This is no address of a PostgreSQL or SQLite database: write "
        "postgresql://user@host:port/name or sqlite:///file. In a password, @ is written %40, "
        ": %3A, / %2F, ? %3F, # %23 and % %25."
    )


def file_address(path: Path) -> str:
    """The address of a database in a file. Raises AelabError for a path that is not UTF-8."""
    try:
        return URL.create("sqlite", database=str(path.absolute())).render_as_string()
    except UnicodeEncodeError:
        raise AelabError(
            f"{path.absolute()} cannot hold a search, since its name is not UTF-8: name another "
            "--out."
        ) from None


def without_password(url: str | URL) -> str:
    """The address as it may be written down; libpq finds a password in ~/.pgpass or PGPASSWORD."""
    found = parse_address(url) if isinstance(url, str) else url
    return (
        found._replace(password=None)
        .difference_update_query(("password", "sslpassword"))
        .render_as_string()
    )


class Storage(RDBStorage):
    """Optuna's storage, and how many seconds a new connection waits for an absent server."""

    patience = 0.0

    def __init__(self, url: str, **settings: Any) -> None:
        try:
            super().__init__(url, **settings)
        except Exception:
            if hasattr(self, "engine"):
                self.engine.dispose()  # nobody else could close its connections
            raise


@contextlib.contextmanager
def storage_at(
    url: str, heartbeat: int | None = None, *, create: bool = False
) -> Iterator[Storage]:
    """Open the database at an address; its connections are closed at the end of the block.

    Args:
        url: ``postgresql://user@host/name`` or ``sqlite:///file``.
        heartbeat: Seconds; a trial whose worker has been silent for three of them has failed and
            is entered again.
        create: Whether a missing file or missing tables are made.

    Raises:
        AelabError: If the database cannot be opened.
        TrainingError: If a server is away for more than ``OUTAGE_SECONDS``.
    """
    address = parse_address(url)
    storage = _open(address, heartbeat, create)
    try:
        yield storage
    except StorageInternalError as error:
        raise _lost(address, error) from None
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _open(url: URL, heartbeat: int | None, create: bool) -> Storage:
    local, shown = url.drivername == "sqlite", without_password(url)
    if local and not create and not Path(str(url.database)).is_file():
        raise RunError(f"There is no database {shown}.")
    defaults = {name: value for name, value in SERVER_DEFAULTS.items() if name not in url.query}
    arguments = {
        # A connection that a restart or a firewall has dropped is made again.
        "pool_pre_ping": not local,
        "connect_args": {"timeout": SQLITE_WAIT} if local else defaults,
    }
    driver = url if local else url.set(drivername="postgresql+psycopg")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            storage = Storage(
                driver.render_as_string(hide_password=False),
                engine_kwargs=arguments,
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
        _tune_sqlite(storage)
    else:
        _wait_for_server(storage, url)
    return storage


def _wait_for_server(storage: Storage, url: URL) -> None:
    """Let new connections wait for a server that is away; the pool makes one when it is back."""
    storage.patience = OUTAGE_SECONDS

    def connect(dialect: Any, _: Any, arguments: Any, parameters: Any) -> Any:
        deadline, delay = time.monotonic() + storage.patience, LONGEST_DELAY / 16
        while True:
            try:
                connection = dialect.connect(*arguments, **parameters)
            except dialect.loaded_dbapi.OperationalError as error:
                if time.monotonic() >= deadline:
                    storage.patience = 0.0  # what is called to clean up does not wait again
                    raise _lost(url, error) from None
                if delay == LONGEST_DELAY / 16:
                    logging.getLogger("aelab").warning(
                        "The database does not answer (%s); trying again for %d seconds.",
                        _cause(error), storage.patience,
                    )  # fmt: skip
            else:
                storage.patience = OUTAGE_SECONDS
                return connection
            time.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY)

    event.listen(storage.engine, "do_connect", connect)


def _lost(url: URL, error: Exception) -> TrainingError:
    return TrainingError(
        f"Lost the database {without_password(url)}: {_cause(error)}. No finished trial is lost: "
        "aelab resume and new workers continue when it is back."
    )


def _cause(error: BaseException) -> str:
    """The driver's message, without the statement and its parameters."""
    while error.__cause__:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".?")


def _tune_sqlite(storage: Storage) -> None:
    """Take SQLite's lock at the start of every transaction, and write without waiting for the disk.

    SQLite has no SELECT … FOR UPDATE, on which Optuna relies: of two workers that read that a trial
    waits both would take it; this is SQLAlchemy's recipe. A write-ahead log with NORMAL waits for
    the disk now and then, not thirty times a trial: a power cut may take the last moments with it,
    and the trials that they held run again.
    """

    def prepare(raw: Any, _: Any) -> None:
        raw.isolation_level = None
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = NORMAL")

    engine = storage.engine
    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    engine.dispose()  # connections made before this
