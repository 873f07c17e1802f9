"""A PostgreSQL server of the tests' own: a free port, a temporary folder, an unprivileged user."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "postgres"  # Debian's package makes it; the server refuses to run as root


def programs() -> Path | None:
    """The newest server's folder of programs, which Debian leaves out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    if found:
        return found[-1].parent
    other = shutil.which("initdb")
    return Path(other).parent if other else None


@contextmanager
def server() -> Iterator[str]:
    """Run a server for the length of the block; gives the address of an empty database."""
    there = programs()
    assert there is not None, "install the package postgresql"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="aelab-postgres-"))
    as_root = os.geteuid() == 0
    if as_root:
        shutil.chown(folder, USER)
    user = pwd.getpwnam(USER).pw_name if as_root else pwd.getpwuid(os.geteuid()).pw_name

    def run(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words,
            user=user if as_root else None,
            group=user if as_root else None,
            extra_groups=[] if as_root else None,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    made = run(str(there / "initdb"), "--pgdata", "data", "--auth", "trust", "--username", "aelab",
               "--no-sync", "--encoding", "UTF8")  # fmt: skip
    _, complaint = made.communicate()
    assert made.returncode == 0, complaint.decode()
    process = run(
        str(there / "postgres"), "-D", "data", "-p", str(port), "-k", str(folder),
        "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
    )  # fmt: skip
    try:
        _wait_until_ready(there, port, process)
        yield f"postgresql://aelab@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(there: Path, port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    ready = [str(there / "pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-q"]
    while subprocess.run(ready, check=False).returncode != 0:
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server never was ready"
        time.sleep(0.1)
