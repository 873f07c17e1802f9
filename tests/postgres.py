"""A PostgreSQL server of the tests' own: a free port, a temporary folder, an unprivileged user."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

PASSWORD = "s@cr/t"
USER = "postgres"  # Debian's package makes it; the server refuses to run as root


def programs() -> Path | None:
    """The newest server's folder of programs, which Debian leaves out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    if found:
        return found[-1].parent
    other = shutil.which("initdb")
    return Path(other).parent if other else None


class Server:
    """A server that can be stopped and started again; ``address`` is that of an empty database."""

    def __init__(self, folder: Path) -> None:
        there = programs()
        assert there is not None, "install the package postgresql"
        self.there, self.folder = there, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        place = f"127.0.0.1:{self.port}/postgres"
        self.address = f"postgresql://aelab:{quote(PASSWORD, safe='')}@{place}"
        as_root = os.geteuid() == 0
        if as_root:
            shutil.chown(folder, USER)
        self.user = USER if as_root else None
        (folder / "password").write_text(PASSWORD)
        made = self._run("initdb", "--pgdata", "data", "--auth", "scram-sha-256", "--pwfile",
                         "password", "--username", "aelab", "--no-sync", "--encoding",
                         "UTF8")  # fmt: skip
        _, complaint = made.communicate()
        assert made.returncode == 0, complaint.decode()

    def start(self) -> None:
        self.process = self._run(
            "postgres", "-D", "data", "-p", str(self.port), "-k", str(self.folder),
            "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
        )  # fmt: skip
        deadline = time.monotonic() + 30
        ready = [str(self.there / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        while subprocess.run(ready, check=False).returncode != 0:
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server never was ready"
            time.sleep(0.1)

    def stop(self) -> None:
        """End it, and every connection to it."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def _run(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self.there / program), *words],
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


@contextmanager
def server() -> Iterator[Server]:
    """Run a server for the length of the block."""
    folder = Path(tempfile.mkdtemp(prefix="aelab-postgres-"))
    try:
        running = Server(folder)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
