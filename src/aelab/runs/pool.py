"""Jobs in processes of their own, a few at a time, with messages back to the parent.

A pool of the standard library breaks when one of its workers dies. Here that fails one job, by
name, and the others continue.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.util import get_temp_dir
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from aelab.config.registry import load_plugins, registered_elsewhere
from aelab.errors import AelabError

LONGEST_TEMPORARY = 70  # bytes; the path of a socket in it, at most 104 on macOS, takes 32 more
SERVER = "aelab.runs.server"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MAIN = ("__main__", "__mp_main__")  # the name of a main module in its own process, in a worker
SECONDS_TO_END = 30.0  # for writing the state of the last whole epoch
Send = Callable[[Any], None]
Watch = Callable[["Event"], None]
Kind = Literal["started", "message", "done", "failed"]


@dataclass(frozen=True)
class Job:
    """A function of this package to call as ``function(send, *arguments)`` in a process."""

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...] = field(default=())


@dataclass(frozen=True)
class Event:
    """What happened in a job; the content of ``failed`` is a sentence."""

    job: str
    kind: Kind
    content: Any = None


def ignore(event: Event) -> None:
    """The ``watch`` of a caller that wants no events."""


def start_server(preload: str = "aelab.lab.preload") -> None:
    """Start the fork server, if there can be one and none runs, which loads a module meanwhile.

    Processes that it starts have the module loaded, and share the memory that it takes.
    """
    if "forkserver" in multiprocessing.get_all_start_methods():
        multiprocessing.get_context("forkserver").set_forkserver_preload([SERVER, preload])
        with _environment_of_workers(()):
            forkserver.ensure_running()


def run_jobs(jobs: Sequence[Job], workers: int) -> Generator[Event, None, None]:
    """Run the jobs in order, ``workers`` at a time, and yield what happens until all have ended.

    When the generator is closed early (an interrupt), every process is sent SIGTERM, has time to
    write a last checkpoint, and is then killed. Raises AelabError if ``workers`` is below 1.
    """
    if workers < 1:
        raise AelabError(f"The number of workers must be at least 1, not {workers}.")
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if jobs:  # a worker that runs none must not start a server: it would have that of its parent
        start_server()
    modules = dict.fromkeys(registered_elsewhere().values())
    waiting = list(jobs)
    running: dict[Connection, tuple[Job, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(  # type: ignore[attr-defined]  # typeshed: BaseContext
                    target=_work, args=(sender, job, tuple(modules)), name=f"aelab {job.name}",
                    daemon=True,
                )  # fmt: skip
                with _environment_of_workers(modules):
                    process.start()
                sender.close()
                running[receiver] = (job, process)
                yield Event(job.name, "started")
            ready = wait(list(running))
            for receiver in [pipe for pipe in running if pipe in ready]:
                job, process = running[receiver]
                try:
                    event: Event = receiver.recv()
                except EOFError:  # it died
                    process.join()
                    event = Event(job.name, "failed", _death(job.name, process.exitcode))
                if event.kind in ("done", "failed"):
                    del running[receiver]
                    receiver.close()
                    process.join()
                yield event
    finally:
        _end(running)


def run_all(jobs: Sequence[Job], workers: int, watch: Watch, count: bool = False) -> dict[str, str]:
    """Run the jobs to their end, each event passed to ``watch``; why those failed that did.

    ``count``: report after each job how many have ended.
    """
    failures: dict[str, str] = {}
    ended = 0
    with contextlib.closing(run_jobs(jobs, workers)) as events:  # an interrupt ends the workers
        for event in events:
            if event.kind == "failed":
                failures[event.job] = event.content
            watch(event)
            if count and event.kind in ("done", "failed"):
                ended += 1
                text = f"{event.job}: {event.kind}, {ended} of {len(jobs)} jobs."
                watch(Event("jobs", "message", text))
    return failures


def check_workers() -> None:
    """Check, before anything is written, that jobs can run.

    Raises AelabError if there is no folder for their sockets, or if what is registered here cannot
    be imported there.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.exit("A worker process imports this script: start runs under if __name__ == '__main__'")
    _socket_folder()
    start_server()  # which loads torch while the caller reads the data
    here = registered_elsewhere()
    found: set[str] = set()
    if here:
        for event in run_jobs([Job("check", _list_registered)], workers=1):
            found.update(event.content if event.kind == "message" else ())
    if missing := [f"the {what} of {where}" for what, where in here.items() if what not in found]:
        raise AelabError(
            f"Worker processes cannot import {', '.join(missing)}: define it in a module (a .py "
            "file) and import that, or in a script that starts runs only under "
            "if __name__ == '__main__'."
        )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread within it, as workers do: the same bits, and no threads that spin.

    It holds for the libraries that are loaded.
    """
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")  # which the drawing of figures does not load
    threads = torch and torch.get_num_threads()
    if torch:
        torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        if torch:
            torch.set_num_threads(threads)


def _list_registered(send: Send) -> None:
    send(list(registered_elsewhere()))


def shared_folder() -> Path:
    """A folder that a process and its workers share until it ends."""
    return Path(os.environ.get("AELAB_SOCKETS") or _socket_folder())


def _socket_folder() -> str:
    """The folder of multiprocessing's sockets, in /tmp if its path would be too long elsewhere."""
    try:
        before = tempfile.gettempdir()
        if len(os.fsencode(before)) <= LONGEST_TEMPORARY:
            return get_temp_dir()
        tempfile.tempdir = "/tmp"
        try:
            return get_temp_dir()
        finally:
            tempfile.tempdir = before
    except OSError as error:
        raise AelabError(
            f"Cannot make a temporary folder ({error}): set TMPDIR to a folder that can be "
            f"written, whose path has at most {LONGEST_TEMPORARY} characters."
        ) from None


@contextlib.contextmanager
def _environment_of_workers(modules: Collection[str]) -> Iterator[None]:
    """Set what a process that is started within it inherits.

    One thread, so that results do not depend on the number of workers or cores: libraries read the
    number when they are loaded, in the fork server, which starts with the first process. The main
    module is hidden unless something is registered in it: the process would import it, and a script
    without a guard would start itself again.
    """
    changed = {**dict.fromkeys(THREADS, "1"), "AELAB_SOCKETS": _socket_folder()}
    before = {name: os.environ.get(name) for name in changed}
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    importable = main.__spec__ is not None or (file is not None and Path(file).is_file())
    os.environ.update(changed)
    if not (importable and set(MAIN) & set(modules)):
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end(running: dict[Connection, tuple[Job, Any]]) -> None:
    for _, process in running.values():
        process.terminate()
    deadline = time.monotonic() + SECONDS_TO_END
    for receiver, (_, process) in running.items():
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()
        process.join()
        receiver.close()


def _work(sender: Connection, job: Job, modules: Sequence[str]) -> None:
    for name in ("SIGINT", "SIGHUP"):  # for the parent to handle; Windows has no SIGHUP
        if number := getattr(signal, name, None):
            signal.signal(number, signal.SIG_IGN)

    def send(kind: Kind, content: Any = None) -> None:
        try:
            sender.send(Event(job.name, kind, content))
        except BrokenPipeError:  # the parent has ended, or was interrupted before it knew of us
            sys.exit(1)

    try:
        os.environ.update(dict.fromkeys(THREADS, "1"))  # in case the caller has started the server
        with one_thread():
            load_plugins()
            for name in set(modules) - set(MAIN):  # a main module has been imported before
                importlib.import_module(name)
            job.function(lambda content: send("message", content), *job.arguments)
    except AelabError as error:
        send("failed", str(error))
    except Exception as error:
        traceback.print_exc()  # here only; what is reported is one line
        send("failed", " ".join(f"{job.name}: {type(error).__name__}: {error}".split()))
    else:
        send("done")


def _death(name: str, code: int | None) -> str:
    how = (
        f"was ended by {signal.Signals(-code).name}" if code and code < 0 else f"exited with {code}"
    )
    return f"The process of {name} {how}; what it had saved is kept: run aelab resume."
