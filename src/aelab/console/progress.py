"""Progress of a run or study on the terminal: one live display over all models."""

import functools
import inspect
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from aelab.console.streams import console
from aelab.runs.pool import Event, check_workers

QUIET_SECONDS = 10.0  # without a terminal: the shortest time between two lines of one model


class Display:
    """Shows the events of a run: bars on a terminal, lines elsewhere, warnings always.

    Args:
        keys: The jobs that have a bar; None for a study, where only the running jobs have one.
        trials: The jobs run the trials of a search: each has its state, and no bar.
        quiet: Print nothing but warnings and failures.
        stderr: Print to stderr.
    """

    def __init__(
        self, keys: Iterable[str] | None, *, trials: bool = False, quiet: bool = False,
        stderr: bool = False,
    ) -> None:  # fmt: skip
        self.console = console(quiet=quiet, stderr=stderr)
        self.errors = console(stderr=True)
        self.console.soft_wrap = trials  # a trial is one line, also in a file
        self.live = self.console.is_terminal
        bar = BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f} epochs")
        self.progress = Progress(
            TextColumn("{task.description:>8}", style="bold", markup=False),
            *(() if trials else bar),
            TextColumn("{task.fields[state]}", markup=False),
            *(() if trials else (TimeRemainingColumn(compact=True),)),
            console=self.console,
            disable=quiet or not self.live,
        )
        self.only_running = keys is None
        self.bars = {key: self._bar(key, "waiting") for key in keys or ()}
        self.printed: dict[str, float] = {}  # when a line of a job was last printed

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def _bar(self, key: str, state: str) -> TaskID:
        return self.progress.add_task(key, total=1, state=state, start=False)

    def watch(self, event: Event) -> None:
        """Show one event."""
        if self.only_running and event.kind == "started":
            self.bars[event.job] = self._bar(event.job, "starting")
        self._show(event)
        if self.only_running and event.kind in ("done", "failed") and event.job in self.bars:
            self.progress.remove_task(self.bars.pop(event.job))

    def _show(self, event: Event) -> None:
        content = event.content
        if event.kind == "failed":
            self._state(event.job, "failed")
            self.errors.print(f"{event.job}: {content}", style="red")
        elif event.kind == "done":
            self._state(event.job, "done", last=True)
        elif event.kind == "started":
            self._state(event.job, "starting")
        elif isinstance(content, str):
            self.console.print(content)
        elif "epoch" in content:
            self._epoch(event.job, content)
        elif "resumed" in content:
            self.console.print(f"{event.job}: resumed after epoch {content['resumed']}.")
        elif "warning" in content:
            self.errors.print(f"{event.job}: {content['warning']}", style="yellow")
        else:
            self._state(event.job, content["phase"])

    def _epoch(self, job: str, content: dict[str, Any]) -> None:
        row = content["row"]
        state = (
            f"train {row['train']['total']:.2f}  validation {row['validation']['total']:.2f} nats"
            f"  {row['images_per_second']:,.0f} images/s"
        )
        bar = self.bars[job]
        self.progress.start_task(bar)  # the first epoch starts the clock, not the waiting
        self.progress.update(bar, completed=content["epoch"], total=content["epochs"], state=state)
        quiet = time.monotonic() - self.printed.get(job, -QUIET_SECONDS) < QUIET_SECONDS
        if not self.live and (not quiet or content["epoch"] == content["epochs"]):
            self.printed[job] = time.monotonic()
            self.console.print(f"{job}: epoch {content['epoch']}/{content['epochs']}  {state}")

    def _state(self, job: str, state: str, last: bool = False) -> None:
        if job in self.bars:
            self.progress.update(self.bars[job], state=state)
            if last:
                [total] = [t.total for t in self.progress.tasks if t.id == self.bars[job]]
                self.progress.update(self.bars[job], completed=total)
        elif self.live and not last:
            self.console.print(f"{job}: {state}", style="dim")


P = ParamSpec("P")
T = TypeVar("T")


def with_workers(display: Callable[..., Any]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function whose jobs run in worker processes.

    The workers are checked first. Without a ``watch``, progress is shown on a terminal and in a
    notebook, by the display that ``display`` makes of the function's arguments.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            check_workers()
            out, given = console(), signature.bind(*args, **kwargs).arguments
            if "watch" in given or not (out.is_terminal or out.is_jupyter):
                return function(*args, **kwargs)
            with display(**given) as shown:
                kwargs["watch"] = shown.watch
                return function(*args, **kwargs)

        return called

    return decorate
