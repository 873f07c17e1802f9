"""Jobs in processes of their own, a few at a time, with messages back to the parent.

A pool of the standard library dies as a whole with one of its workers; here a worker that dies
fails its own job, by name, and the others go on.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

from aelab.errors import AelabError

SECONDS_TO_END = 30.0  # for the step that is being done, and for writing the state after it
Send = Callable[[Any], None]
Kind = Literal["started", "message", "done", "failed"]


@dataclass(frozen=True)
class Job:
    """A function of this package to call as ``function(send, *arguments)`` in a process."""

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...] = field(default=())


@dataclass(frozen=True)
class Event:
    """Something a job said; ``failed`` carries a sentence."""

    job: str
    kind: Kind
    content: Any = None


def run_jobs(jobs: Sequence[Job], workers: int) -> Generator[Event, None, None]:
    """Run the jobs in order, ``workers`` at a time; ends when all have ended.

    When the caller leaves early (an interrupt), every process is told to end by SIGTERM, has time
    to leave a last checkpoint, and is then killed. Raises AelabError if ``workers`` is below 1.
    """
    if workers < 1:
        raise AelabError(f"The number of workers must be at least 1, not {workers}.")
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    # One thread a process: results then don't depend on the number of workers or cores. The
    # libraries read these when they are loaded, that is, in the fork server.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(["aelab.work"])
    waiting = list(jobs)
    running: dict[Connection, tuple[Job, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(  # type: ignore[attr-defined]  # typeshed: BaseContext
                    target=_work, args=(sender, job), name=f"aelab {job.name}", daemon=True
                )
                process.start()
                sender.close()
                running[receiver] = (job, process)
                yield Event(job.name, "started")
            ready = wait(list(running))
            for receiver in [pipe for pipe in running if pipe in ready]:
                job, process = running[receiver]
                try:
                    event: Event = receiver.recv()
                except EOFError:  # it died without a word
                    process.join()
                    event = Event(job.name, "failed", _death(job.name, process.exitcode))
                if event.kind in ("done", "failed"):
                    del running[receiver]
                    receiver.close()
                    process.join()
                yield event
    finally:
        _end(running)


def _end(running: dict[Connection, tuple[Job, Any]]) -> None:
    for _, process in running.values():
        process.terminate()
    deadline = time.monotonic() + SECONDS_TO_END
    for receiver, (_, process) in running.items():
        # Whoever waits for room in its pipe can't leave a checkpoint, so all of them are heard out.
        with contextlib.suppress(EOFError, OSError):
            while (left := deadline - time.monotonic()) > 0 and receiver.poll(left):
                receiver.recv()
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()
        process.join()
        receiver.close()


def _work(sender: Connection, job: Job) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    import torch

    def say(kind: Kind, content: Any = None) -> None:
        try:
            sender.send(Event(job.name, kind, content))
        except BrokenPipeError:  # the parent has gone, or was interrupted before it knew of us
            sys.exit(1)

    torch.set_num_threads(1)
    try:
        job.function(lambda content: say("message", content), *job.arguments)
    except AelabError as error:
        say("failed", str(error))
    except Exception as error:
        traceback.print_exc()  # once; what is reported and kept is one line
        say("failed", " ".join(f"{job.name}: {type(error).__name__}: {error}".split()))
    else:
        say("done")


def _death(name: str, code: int | None) -> str:
    how = (
        f"was ended by {signal.Signals(-code).name}" if code and code < 0 else f"exited with {code}"
    )
    return f"The process of {name} {how}; what it had saved is kept, aelab resume goes on."
