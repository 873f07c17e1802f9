"""What the terminal shows of a search: how far it is, the best so far, and what runs."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aelab.console.streams import console
from aelab.runs.pool import Event
from aelab.search.config import Search

LINE_SECONDS = 10.0  # without a terminal: lines about trials that change nothing, at most so often


class SearchDisplay:
    """Shows the events of a search: a live table on a terminal, lines elsewhere."""

    def __init__(self, search: Search, *, quiet: bool = False, stderr: bool = False) -> None:
        self.search = search
        self.console = console(quiet=quiet, stderr=stderr)
        self.errors = console(stderr=True)
        self.live = Live(console=self.console, refresh_per_second=4, transient=True)
        self.shown = self.console.is_terminal and not quiet
        self.running: dict[int, str] = {}
        self.counts = dict.fromkeys(("complete", "pruned", "fail"), 0)
        self.best: dict[str, Any] | None = None
        self.said = -LINE_SECONDS
        self.phase = ""
        self.trainings = self.trained = 0

    def __enter__(self) -> Self:
        if self.shown:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.shown:
            self.live.stop()

    def watch(self, event: Event) -> None:
        """Show one event."""
        content = event.content
        said = content if isinstance(content, dict) else {}
        if event.kind == "failed":
            self.errors.print(f"{event.job}: {content}", style="red")
        elif isinstance(content, str):
            self.console.print(content)
        elif "before" in said:
            self._before(said["before"])
        elif "state" in said:
            self._ended(said)
        elif "trial" in said:
            self._goes_on(said)
        elif "phase" in said:
            self._phase(event.job, said["phase"])
        elif "trainings" in said:
            self.trainings, self.trained = said["trainings"], 0
        elif event.kind == "done":
            self.trained += 1
        if self.shown:
            self.live.update(self._table())

    def _before(self, trials: list[dict[str, Any]]) -> None:
        """The trials that had ended when this process took the search up."""
        for trial in trials:
            self._count(trial)
        if not self.shown:
            mark = self._mark(self.best) if self.best else ""
            self.console.print(f"{self._done()} so far{mark}", soft_wrap=True)

    def _goes_on(self, content: dict[str, Any]) -> None:
        text = "starting"
        if "epoch" in content:
            value = "" if content["value"] is None else f"  {self._value(content['value'])}"
            text = f"epoch {content['epoch']}/{content['of']}{value}"
        self.running[content["trial"]] = text

    def _ended(self, content: dict[str, Any]) -> None:
        number, state = content["trial"], content["state"]
        self.running.pop(number, None)
        better = self._count(content)
        if state == "fail":
            self.errors.print(f"trial {number}: {content['reason']}", style="yellow")
        if not self.shown and (better or time.monotonic() - self.said >= LINE_SECONDS):
            self.said = time.monotonic()
            values = ", ".join(self._value(v, k) for k, v in enumerate(content["values"] or ()))
            mark = self._mark(content) if better else ""
            self.console.print(
                f"{self._done()}: trial {number} {state} {values}{mark}", soft_wrap=True
            )

    def _phase(self, job: str, phase: str) -> None:
        self.phase = f"proof {self.trained}/{self.trainings}: {job}, {phase}"
        if not self.shown and time.monotonic() - self.said >= LINE_SECONDS:
            self.said = time.monotonic()
            self.console.print(self.phase)

    def _count(self, content: dict[str, Any]) -> bool:
        """Count a trial that has ended, and keep it if it is the best."""
        state = content["state"]
        self.counts[state] += 1
        better = state == "complete" and len(self.search.goals) == 1 and self._is_best(content)
        if better:
            self.best = content
        return better

    def _mark(self, best: dict[str, Any]) -> str:
        return f"  best so far: {self._value(best['values'][0])}, {told(best['settings'])}"

    def _is_best(self, content: dict[str, Any]) -> bool:
        if self.best is None:
            return True
        new, old = content["values"][0], self.best["values"][0]
        return bool(new < old if self.search.goals[0].better == "lower" else new > old)

    def _value(self, value: float, place: int = 0) -> str:
        unit = self.search.goals[place].unit
        return f"{value:.4g}{' ' + unit if unit else ''}"

    def _done(self) -> str:
        ended = sum(self.counts.values())
        return f"{ended}/{self.search.trials} trials" if self.search.trials else f"{ended} trials"

    def _table(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        ended = sum(self.counts.values())
        if self.search.trials:
            bar = ProgressBar(self.search.trials, ended, width=30)
            table.add_row(self._done(), bar)
        pruned, failed = self.counts["pruned"], self.counts["fail"]
        table.add_row("", Text(f"{pruned} pruned, {failed} failed", "dim"))
        if self.best:
            value = self._value(self.best["values"][0])
            table.add_row(Text(f"best {value}", "bold green"), f"trial {self.best['trial']}")
            table.add_row("", told(self.best["settings"]))
        for number, text in sorted(self.running.items()):
            table.add_row(f"trial {number}", text)
        return Group(table, self.phase) if self.phase else table


def told(settings: dict[str, Any]) -> str:
    """Settings in a line."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.3g}" if isinstance(value, float)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in settings.items()
    )  # fmt: skip
