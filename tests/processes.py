"""Start the command line in a process, and watch the processes that a test has started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def hear_interrupts() -> None:
    """For ``preexec_fn``: enable SIGINT, which a shell disables for background jobs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_the_end_of_session(session: int, seconds: float = 10) -> None:
    """Fail if a process of the session outlives its leader for long."""
    deadline = time.monotonic() + seconds
    while subprocess.run(["pgrep", "-s", str(session)], check=False).returncode == 0:
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)
