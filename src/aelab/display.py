"""What the terminal shows: one live display over all models, and the table of results."""

import functools
import inspect
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from aelab.console import console
from aelab.parallel import Event, check_workers
from aelab.summary import summary

if TYPE_CHECKING:  # torch is not imported here, so that aelab doctor can report its absence
    from aelab.runs import Run

QUIET_SECONDS = 10.0  # without a terminal: a line a model at most so often


class Display:
    """Shows the events of a run: bars on a terminal, lines elsewhere, warnings always.

    ``keys`` are the jobs that have a bar; of a study (None), whose jobs are many, those at work.
    """

    def __init__(
        self, keys: Iterable[str] | None, *, quiet: bool = False, stderr: bool = False
    ) -> None:
        self.console = console(quiet=quiet, stderr=stderr)
        self.errors = console(stderr=True)
        self.live = self.console.is_terminal
        self.progress = Progress(
            TextColumn("{task.description:>8}", style="bold", markup=False),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
            TextColumn("{task.fields[state]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=self.console,
            disable=quiet or not self.live,
        )
        self.passing = keys is None
        self.bars: dict[str, TaskID] = {key: self._bar(key, "waiting") for key in keys or ()}
        self.said: dict[str, float] = {}

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

    def _task(self, key: str) -> Task:
        return next(task for task in self.progress.tasks if task.id == self.bars[key])

    def watch(self, event: Event) -> None:
        """Show one event."""
        if self.passing and event.kind == "started":
            self.bars[event.job] = self._bar(event.job, "starting")
        self._show(event)
        if self.passing and event.kind in ("done", "failed") and event.job in self.bars:
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
            epochs, steps = content["resumed"], content["step"]
            place = f"step {steps} of epoch {epochs + 1}" if steps else f"epoch {epochs}"
            self.console.print(f"{event.job}: resumed after {place}.")
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
        if not self._task(job).started:
            self.progress.start_task(bar)
        self.progress.update(bar, completed=content["epoch"], total=content["epochs"], state=state)
        quiet = time.monotonic() - self.said.get(job, -QUIET_SECONDS) < QUIET_SECONDS
        if not self.live and (not quiet or content["epoch"] == content["epochs"]):
            self.said[job] = time.monotonic()
            self.console.print(f"{job}: epoch {content['epoch']}/{content['epochs']}  {state}")

    def _state(self, job: str, state: str, last: bool = False) -> None:
        if job in self.bars:
            self.progress.update(self.bars[job], state=state)
            if last:
                self.progress.update(self.bars[job], completed=self._task(job).total)
        elif self.live and not last:
            self.console.print(f"{job}: {state}", style="dim")


def results_table(run: "Run") -> None:
    """Print the main metrics of a run."""
    console(80).print(summary(run.metrics()))


P = ParamSpec("P")
T = TypeVar("T")


def with_workers(display: Callable[..., Any]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """For functions whose jobs run in worker processes: check first that these can do them.

    Without a ``watch``, progress is shown on a terminal and in a notebook, by the display that
    ``display`` makes of the arguments.
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


def print_presets(name: str | None) -> None:
    """The presets with a line each, or one of them whole, as TOML."""
    from aelab.experiment import PRESET_HELP, PRESETS, preset, to_toml

    out = console()
    if name is None:
        for key in PRESETS:
            out.print(Text.assemble((f"{key:<8}", "bold"), f" {PRESET_HELP[key]}"))
        return
    out.print(to_toml(preset(name).model_dump(mode="json")))


def print_data(found: list[dict[str, Any]]) -> None:
    """What each source of digits holds, or why it holds none."""
    out = console()
    for data in found:
        out.print(data["name"], style="bold")
        if "problem" in data:
            out.print(f"  {data['problem']}", soft_wrap=True)
            continue
        height, width = data["image_size"]
        labels = ", ".join(data["label_names"])
        lines = {
            "source": data["why"],
            "images": f"{height} × {width}, {data['classes']} classes: {labels}",
            "split": data["split"],
            **{f"SHA-256 {name}": digest for name, digest in data["sha256"].items()},
            **{f"file {name}": path for name, path in data["files"].items()},
        }
        widest = max(map(len, lines))
        for name, text in lines.items():
            out.print(f"  {name:<{widest}}  {text}", soft_wrap=True)


def print_examination(found: dict[str, Any]) -> None:
    """What the machine has, then what is wrong with it."""
    out = console()
    table = Table.grid(padding=(0, 2))
    if environment := found.get("environment"):
        table.add_row("aelab", f"{environment['aelab']}, Python {environment['python']}")
        table.add_row("machine", environment["platform"])
        table.add_row(
            "devices", ", ".join(f"{name} ({what})" for name, what in found["devices"].items())
        )
        table.add_row(
            "processors", f"{found['cpus'] or environment['cpus']}; torch takes {found['threads']} "
            f"threads, a worker of a run one; dense layers by {environment['matrix_products']}",
        )  # fmt: skip
    table.add_row("packages", ", ".join(f"{n} {v}" for n, v in found["packages"].items()))
    for extra, packages in found["extras"].items():
        missing = [name for name, there in packages.items() if there is None]
        table.add_row(
            f"extra {extra}",
            f"missing {', '.join(missing)}: pip install 'aelab[{extra}]'"
            if missing
            else "installed",
        )
    table.add_row("cache", found["cache"])
    table.add_row("folder", f"{found['folder']['path']}, {found['folder']['free_gb']:g} GB free")
    out.print(table)
    for problem in found["problems"]:
        out.print(Text.assemble(("problem", "red"), f"  {problem}"), soft_wrap=True)
    if not found["problems"]:
        out.print("Nothing is wrong.", style="green")
