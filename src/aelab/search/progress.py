"""What the terminal shows of a search: a line a trial, and what each worker does."""

from rich.progress import SpinnerColumn, TextColumn

from aelab.console.progress import Display


class SearchDisplay(Display):
    """Lines about trials, and on a terminal what each worker does now."""

    def __init__(self, *, quiet: bool = False, stderr: bool = False) -> None:
        super().__init__(None, quiet=quiet, stderr=stderr)
        self.console.soft_wrap = True  # a trial is one line, also in a file
        self.progress.columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", style="bold", markup=False),
            TextColumn("{task.fields[state]}", markup=False),
        )
