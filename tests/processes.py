"""Run the command line in a process or in this one, and watch the processes that a test starts."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aelab.cli.app import main

FEW = ["--evaluation.pairs", "50"]  # the default of thousands is too many for a hundred images
TINY = ["--latent-dim", "3", "2", "--network.hidden", "16", "--validation", "60", *FEW]
EPOCHS = ["--ae.epochs", "3", "--vae.epochs", "3"]


def aelab(
    *arguments: str | Path, timeout: float = 600, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; ``env`` is added to the environment."""
    return subprocess.run(
        [sys.executable, "-m", "aelab", *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout, check=False, env=os.environ | (env or {}),
    )  # fmt: skip


def aelab_here(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which saves seconds of imports."""
    capsys.readouterr()
    code = 0
    with restored_signals():
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    said = capsys.readouterr()
    return subprocess.CompletedProcess(arguments, code, said.out, said.err)


@contextlib.contextmanager
def restored_signals() -> Iterator[None]:
    """Put back the signal handlers that the command sets."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hear_interrupts() -> None:
    """For ``preexec_fn``: enable SIGINT, which a shell disables for background jobs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_the_end_of_session(session: int, seconds: float = 10) -> None:
    """Fail if a process of the session outlives its leader for long."""
    deadline = time.monotonic() + seconds
    while subprocess.run(["pgrep", "-s", str(session)], check=False).returncode == 0:
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)
