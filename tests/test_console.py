"""What the terminal gets, whatever the data hold and whatever it is connected to."""

import io
import os
import sys
from pathlib import Path

import pytest
from rich.table import Table

from aelab.console.streams import console, standard_streams


def test_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "runs/[red]x[/]:smile:"
    table = Table(title=evil)
    table.add_column(evil)
    table.add_row(evil)
    console(40).print(table)
    console().print(evil, style="bold")
    assert capsys.readouterr().out.count(evil) == 4


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", "−ELBO ≥ é ".encode() + b"caf\xe9"),
        ("cp1252", b"?ELBO ? \xe9 caf\xe9"),
        ("ascii", b"?ELBO ? ? caf\xe9"),
    ],
)
def test_every_encoding_will_do(
    encoding: str, written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lacks is replaced; the bytes of a name that is no text stay what they are."""
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding))
    with standard_streams():
        console().print("−ELBO ≥ é " + os.fsdecode(b"caf\xe9"))
    assert buffer.getvalue() == written + b"\n"


def lost(stream: io.TextIOWrapper, code: int, monkeypatch: pytest.MonkeyPatch) -> object:
    """The exit code of a command that ends with ``code`` after printing to ``stream``."""
    monkeypatch.setattr(sys, "stdout", stream)
    work = []

    def command() -> None:
        with standard_streams():
            for step in range(3):
                console().print("epoch", step)
                sys.stdout.write("x" * 100_000)
                work.append(step)
            sys.exit(code)

    with pytest.raises(SystemExit) as end:
        command()
    assert work == [0, 1, 2]
    return end.value.code


@pytest.mark.parametrize(("code", "exit_code"), [(0, 141), (5, 5)])
def test_a_reader_that_goes_stops_no_work(
    code: int, exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        assert lost(stream, code, monkeypatch) == exit_code


def test_a_full_disk_is_told_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as stream:
        told = lost(stream, 0, monkeypatch)
    assert told == "aelab: cannot write the output: No space left on device."


def test_closed_streams_are_silent(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with standard_streams():
        sys.stdout.write("out")
        sys.stdout.flush()
        sys.stderr.write("err")
        console(stderr=True).print("err")
    sys.stdout.close()
    sys.stderr.close()
    monkeypatch.undo()
    assert capfd.readouterr() == ("", "")
