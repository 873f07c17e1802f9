"""Watching processes that a test has started."""

import signal
import subprocess
import time


def hear_interrupts() -> None:
    """For ``preexec_fn``: a shell starts background jobs, maybe these tests, deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_the_end_of_session(session: int, seconds: float = 10) -> None:
    """Fail if a process of the session outlives its leader for long."""
    deadline = time.monotonic() + seconds
    while subprocess.run(["pgrep", "-s", str(session)], check=False).returncode == 0:
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)
