"""Progress of a run or study on the terminal: one live display over all models."""

import functools
import inspect
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from aelab.console.streams import console
from aelab.runs.pool import Event, check_workers

QUIET_SECONDS = 10.0  # without a terminal: the shortest time between two lines of one model


class Display:
    """Shows the events of jobs: bars of those that run on a terminal, lines elsewhere.

    Args:
        trials: The jobs run the trials of a search: each has its state, and no bar.
        quiet: Print nothing but warnings and failures.
        stderr: Print to stderr.
    """

    def __init__(self, *, trials: bool = False, quiet: bool = False, stderr: bool = False) -> None:
        self.console = console(quiet=quiet, stderr=stderr)
        self.errors = console(stderr=True)
        self.trials = trials
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
        self.bars: dict[str, TaskID] = {}  # of the jobs that run
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

    def watch(self, event: Event) -> None:
        """Show one event."""
        job, content = event.job, event.content
        if event.kind == "started":
            self.bars[job] = self.progress.add_task(job, total=1, state="starting", start=False)
        elif event.kind in ("done", "failed"):
            if job in self.bars:
                self.progress.remove_task(self.bars.pop(job))
            if event.kind == "failed":
                self.errors.print(f"{job}: {content}", style="red")
            elif self.live and not self.trials:
                self.console.print(f"{job}: done", style="dim")
        elif isinstance(content, str):
            self.console.print(content)
        elif "epoch" in content:
            self._epoch(job, content)
        elif "resumed" in content:
            self.console.print(f"{job}: resumed after epoch {content['resumed']}.")
        elif "warning" in content:
            self.errors.print(f"{job}: {content['warning']}", style="yellow")
        elif job in self.bars:
            self.progress.update(self.bars[job], state=content["phase"])

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


P = ParamSpec("P")
T = TypeVar("T")


def with_workers(display: Callable[[], Display]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function whose jobs run in worker processes.

    The workers are checked first. Without a ``watch``, progress is shown on a terminal and in a
    notebook, by what ``display`` gives.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            check_workers()
            out, given = console(), signature.bind(*args, **kwargs).arguments
            if "watch" in given or not (out.is_terminal or out.is_jupyter):
                return function(*args, **kwargs)
            with display() as shown:
                kwargs["watch"] = shown.watch
                return function(*args, **kwargs)

        return called

    return decorate
