import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from aelab.errors import TrainingError
from aelab.runs.pool import Event, Job, Send, run_jobs


def double(send: Send, number: int) -> None:
    send({"doubled": 2 * number})


def refuse(send: Send) -> None:
    raise TrainingError("The loss is not finite.")


def stumble(send: Send) -> None:
    raise KeyError("two\nlines")


def hear(send: Send) -> None:
    send(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)


def die(send: Send) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_jobs_send_messages_and_a_dead_one_fails_alone_by_name() -> None:
    jobs = [
        Job("killed", die),
        Job("refused", refuse),
        Job("stumbled", stumble),
        Job("deaf", hear),
        *(Job(f"job {n}", double, (n,)) for n in range(3)),
    ]
    events = list(run_jobs(jobs, workers=2))
    failed = {event.job: event.content for event in events if event.kind == "failed"}
    assert failed["refused"] == "The loss is not finite."
    assert "killed was ended by SIGKILL" in failed["killed"]
    assert failed["stumbled"] == "stumbled: KeyError: 'two\\nlines'"
    assert len(failed) == 3
    assert Event("deaf", "message", True) in events  # the parent decides what SIGHUP means
    for n in range(3):
        assert Event(f"job {n}", "message", {"doubled": 2 * n}) in events
        assert Event(f"job {n}", "done") in events


def test_leaving_early_ends_the_processes() -> None:
    events = run_jobs([Job(f"job {n}", double, (n,)) for n in range(4)], workers=1)
    assert next(events).kind == "started"
    events.close()
    assert list(events) == []


UNGUARDED = """
import os, sys, time
from multiprocessing.util import get_temp_dir
from aelab.runs.pool import Job, run_jobs
from tests.test_pool import double

for event in run_jobs([Job("job", double, (1,))], workers=1):
    pass
print(event.kind, os.environ["OMP_NUM_THREADS"], "MKL_NUM_THREADS" in os.environ, get_temp_dir())
sys.stdout.flush()
time.sleep(60)
"""


def test_a_script_from_standard_input_leaves_its_surroundings_as_they_were(tmp_path: Path) -> None:
    """No guard, a TMPDIR too long for a socket, its own number of threads; and it is killed."""
    temporary = tmp_path / ("long" * 20)
    temporary.mkdir()
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={name: value for name, value in os.environ.items() if name != "MKL_NUM_THREADS"}
        | {"PYTHONPATH": paths, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "3"},
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(UNGUARDED)
        process.stdin.close()
        *facts, folder = process.stdout.readline().split()
        assert facts == ["done", "3", "False"]
        assert Path(folder).is_dir()
        process.kill()
    deadline = time.monotonic() + 30
    while Path(folder).exists():
        assert time.monotonic() < deadline, "the folder of sockets outlived the fork server"
        time.sleep(0.05)
    assert list(temporary.iterdir()) == []


INTERRUPTED = """
import multiprocessing
from multiprocessing.context import ForkServerProcess
from aelab.runs.pool import Job, run_jobs
from tests.test_pool import double

start = ForkServerProcess.start

def interrupted(process):
    start(process)
    raise KeyboardInterrupt

if __name__ == "__main__":
    ForkServerProcess.start = interrupted
    try:
        list(run_jobs([Job("job", double, (1,))], workers=1))
    except KeyboardInterrupt:
        [child] = multiprocessing.active_children()
    child.join()
"""


def test_a_worker_whose_parent_never_knew_of_it_ends_without_a_word(tmp_path: Path) -> None:
    """An interrupt while a process starts leaves nobody to hear it."""
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
