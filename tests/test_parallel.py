import os
import signal

from aelab.errors import TrainingError
from aelab.parallel import Event, Job, Send, run_jobs


def double(send: Send, number: int) -> None:
    send({"doubled": 2 * number})


def refuse(send: Send) -> None:
    raise TrainingError("The loss is not finite.")


def die(send: Send) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_jobs_send_messages_and_a_dead_one_fails_alone_by_name() -> None:
    jobs = [
        Job("killed", die),
        Job("refused", refuse),
        *(Job(f"job {n}", double, (n,)) for n in range(3)),
    ]
    events = list(run_jobs(jobs, workers=2))
    failed = {event.job: event.content for event in events if event.kind == "failed"}
    assert failed["refused"] == "The loss is not finite."
    assert "killed was ended by SIGKILL" in failed["killed"]
    assert len(failed) == 2
    for n in range(3):
        assert Event(f"job {n}", "message", {"doubled": 2 * n}) in events
        assert Event(f"job {n}", "done") in events


def test_leaving_early_ends_the_processes() -> None:
    events = run_jobs([Job(f"job {n}", double, (n,)) for n in range(4)], workers=1)
    assert next(events).kind == "started"
    events.close()
    assert list(events) == []
