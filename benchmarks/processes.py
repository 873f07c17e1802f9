"""Worker processes of the benchmark, and the memory of a tree of processes."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self


class Worker:
    """A contestant's process; ``absent`` says why it could not start."""

    def __init__(self, name: str, data: str, images: int, cpus: Sequence[int]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, data, str(images),
             ",".join(map(str, cpus))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.absent = ""
        self.complaints: list[str] = []
        # Read continuously, so that a verbose library is never blocked by a full pipe.
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.complaints = [*self.complaints[-20:], line.strip()]

    def wait_until_ready(self) -> bool:
        """Whether it started; if not, ``absent`` says why."""
        answer = self.answer()
        self.absent = str(answer.get("absent", ""))
        return not self.absent

    def ask(self, question: str) -> None:
        """Send a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Its next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.process.wait()
        last = self.complaints[-1] if self.complaints else f"exit {self.process.returncode}"
        return {"absent": last}

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


class PeakMemory:
    """The largest proportional set size of a process and all below it, in GB (Linux)."""

    def __init__(self, pid: int, every: float = 0.1) -> None:
        self.pid, self.every = pid, every
        self.peak = 0.0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.stop.is_set():
            self.peak = max(self.peak, sum(map(proportional_set, tree(self.pid))))
            time.sleep(self.every)


def tree(root: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def proportional_set(pid: int) -> float:
    """Memory in GB, with shared pages divided among processes (Pss)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    kilobytes = [int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")]
    return sum(kilobytes) * 1024 / 1e9
