"""What the terminal gets, whatever the data hold and whatever it is connected to."""

import pytest
from rich.table import Table

from aelab.console import console


def test_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "runs/[red]x[/]:smile:"
    table = Table(title=evil)
    table.add_column(evil)
    table.add_row(evil)
    console(40).print(table)
    console().print(evil, style="bold")
    assert capsys.readouterr().out.count(evil) == 4
