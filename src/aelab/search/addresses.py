"""Addresses of databases; no message repeats a password."""

import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from aelab.errors import AelabError


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
