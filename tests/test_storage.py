"""Addresses of databases: which are taken, and that none gives its password away."""

import os
from pathlib import Path

import pytest

from aelab.cli.options import parse
from aelab.cli.search_options import SearchOptions, WorkerOptions
from aelab.data.sources import Source
from aelab.errors import AelabError
from aelab.search.storage import file_address, parse_address, storage_at, without_password
from aelab.search.worker import Database, Task

SECRET = "SECRET"
UNKNOWN = "This is no address of a PostgreSQL or SQLite database"
UNENCODED = "In a password, @ is written %40"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("mysql://u:SECRET@h/x", UNKNOWN),
        ("mariadbx://u:SECRET@h/x", UNKNOWN),
        ("postgresql+psycopg2://u:SECRET@h/x", UNKNOWN),
        ("postgresql://u:SE@SECRET@h/x", UNENCODED),
        ("postgresql://u:SE@SE:SECRET@h/x", UNENCODED),
        ("postgresql://u/s:SECRET@h/x", UNENCODED),
        ("postgresql://u:SECRET/x", UNENCODED),
        ("postgresql://u@h:SECRET/x", UNENCODED),
        ("postgresql:/u:SECRET@h/x", UNENCODED),
        ("elsewhere", "sqlite:///file"),
        ("sqlite://", "sqlite:///file"),
        ("sqlite:///:memory:", "sqlite:///file"),
    ],
)
def test_a_wrong_address_is_refused_without_repeating_it(address: str, sentence: str) -> None:
    with pytest.raises(AelabError) as refused:
        parse_address(address)
    assert sentence in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgres://u:SECRET@h/x", "postgresql://u@h/x"),
        ("postgresql+psycopg://u:SECRET@h:5/x", "postgresql://u@h:5/x"),
        ("postgresql://u:%40SECRET@h/x", "postgresql://u@h/x"),
        ("postgresql://u:SEC/#RET@h/x", "postgresql://u@h/x"),
        ("postgresql://u:***@h/x", "postgresql://u@h/x"),
        ("postgresql://u@h/x?password=SECRET&sslmode=prefer", "postgresql://u@h/x?sslmode=prefer"),
    ],
)
def test_an_address_is_kept_without_its_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


def test_records_do_not_show_the_address() -> None:
    address = "postgresql://u:SECRET@h/x"
    task = Task(Database(address, "aelab"), Source("bundled", "", "", {}, {}), Path(), "me")
    assert SECRET not in f"{task} {SearchOptions(storage=address)} {WorkerOptions(storage=address)}"


def test_words_that_are_not_understood_are_repeated_without_a_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse(WorkerOptions, "worker", ["--storag", "postgres://u:SECRET@h/x"])
    told = capsys.readouterr().err
    assert "postgres://u:***" in told
    assert SECRET not in told


def test_any_path_has_an_address(tmp_path: Path) -> None:
    path = tmp_path / "a%41 ?{b}#@.db"
    with storage_at(file_address(path), create=True):
        pass
    assert [found.name for found in tmp_path.glob("*.db")] == [path.name]


def test_a_path_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(AelabError, match=r"its name is not UTF-8: name another --out\.$"):
        file_address(Path(os.fsdecode(b"caf\xe9")))
