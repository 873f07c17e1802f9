"""Watching processes that a test has started."""

import subprocess
import time


def wait_for_the_end_of_session(session: int, seconds: float = 10) -> None:
    """Fail if a process of the session outlives its leader for long."""
    deadline = time.monotonic() + seconds
    while subprocess.run(["pgrep", "-s", str(session)], check=False).returncode == 0:
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)
