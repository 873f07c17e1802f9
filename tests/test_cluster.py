"""Workers on a real PostgreSQL server: every trial ends, none is lost, none is run twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import quote

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import Connection, event

from aelab.errors import AelabError, DataError, RunError, TrainingError
from aelab.experiment.presets import preset
from aelab.runs.folder import Folder
from aelab.runs.pool import Event
from aelab.runs.search import SearchFolder, trial_folder
from aelab.search import Database, ProofSettings, Search, resume_search, run_search
from aelab.search.space import resolve_space
from aelab.search.storage import storage_at
from aelab.search.trial import take_trials
from aelab.search.trials import RETRIED, WEIGHTS, WORKER, Trials, load_study
from aelab.search.worker import join_search, settings_of
from tests import postgres
from tests.processes import aelab_here

TRIALS, EPOCHS = 12, 40
SETTINGS: list[str | Path] = [
    *("--model", "ae", "--latent-dim", "3", "--validation", "60", "--network.hidden", "16"),
    *("--space.hidden", "16", "--space.activation", "relu", "--space.batch-size", "8"),
    *("--trial-epochs", str(EPOCHS), "--pruner.kind", "none", "--sampler.start", "4"),
    *("--proof.top", "0"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    if postgres.programs() is None:
        pytest.skip("no PostgreSQL server (Debian's package postgresql)")
    with postgres.server() as running:
        yield running


@pytest.fixture(scope="module")
def database(server: postgres.Server) -> str:
    return server.address


def start(*words: str | Path, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "aelab", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=cwd,
    )  # fmt: skip


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
    return found


@contextmanager
def started(*commands: list[str | Path], cwd: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that do not outlive the block."""
    processes = [start(*words, cwd=cwd) for words in commands]
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def test_a_killed_worker_loses_nothing_and_nothing_is_run_twice(
    database: str, tiny_folder: Path, tmp_path: Path
) -> None:
    out, weights = tmp_path / "search", tmp_path / "shared-weights"
    shared: list[str | Path] = ["--storage", database, "--study", "kill", "--workers", "1"]
    search = ["search", "--data", tiny_folder, "--out", out, "--trials", str(TRIALS),
              "--heartbeat", "1", *shared, *SETTINGS]  # fmt: skip
    worker = ["worker", *shared, "--weights", weights, "--json"]
    with (
        started(search, cwd=tmp_path) as [head],
        storage_at(database, create=True) as storage,
    ):
        wait_for(lambda: SearchFolder.is_at(out) and Folder(out).manifest().get("entered"))
        study = load_study(storage, "kill")
        with started(worker, worker, cwd=tmp_path) as workers:
            victim, lost = wait_for(lambda: just_begun(study, workers))
            os.killpg(victim.pid, signal.SIGKILL)
            victim.communicate()
            [other] = [process for process in workers if process is not victim]
            done, err = other.communicate(timeout=180)
        _, complaint = head.communicate(timeout=180)
        trials = study.get_trials()
    assert head.returncode == 0, complaint
    assert other.returncode == 0, err

    again = [trial for trial in trials if lost in trial.system_attrs.get(RETRIED, [])]
    assert trials[lost].state == TrialState.FAIL
    assert [trial.state for trial in again] == [TrialState.COMPLETE]
    assert trials[lost].params.items() <= again[0].params.items()
    ended = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(ended) == TRIALS
    assert len(trials) == TRIALS + 1
    # Nothing was run twice to its end: what was suggested differs from trial to trial.
    assert len({tuple(trial.params.values()) for trial in ended}) == TRIALS

    listed = json.loads(done)
    assert listed, "the other worker did nothing"
    by_workers = {trial.number for trial in ended if str(weights) in trial.user_attrs[WEIGHTS]}
    assert {trial["trial"] for trial in listed if trial["state"] == "complete"} <= by_workers
    for number in by_workers:
        folder = trial_folder(weights, number)
        assert len(folder.history()) == EPOCHS
        assert folder.read("weights.safetensors")


def just_begun(
    study: optuna.Study, workers: list[subprocess.Popen[str]]
) -> tuple[subprocess.Popen[str], int] | None:
    """A worker in the first half of a trial, and the trial's number."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        for process in workers:
            mine = f":{process.pid}/" in trial.user_attrs.get(WORKER, "")
            if mine and 0 < len(trial.intermediate_values) < EPOCHS / 2:
                return process, trial.number
    return None


@pytest.fixture(scope="module")
def entered(
    database: str, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[optuna.Study]:
    """A search of two trials, done."""
    place = tmp_path_factory.mktemp("entered")
    done = start("search", "--data", tiny_folder, "--out", place / "search", "--trials", "2",
                 "--storage", database, "--study", "small", *SETTINGS, cwd=place)  # fmt: skip
    _, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    with storage_at(database) as storage:
        yield load_study(storage, "small")


def test_other_data_are_refused(entered: optuna.Study, database: str) -> None:
    with pytest.raises(DataError, match=r"not the data of the search: the checksums differ"):
        join_search(database, "small", data="bundled")


def test_another_version_is_refused(
    entered: optuna.Study, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aelab.search.worker.version", lambda _: "9.9")
    with pytest.raises(RunError, match=r"This worker has aelab 9\.9 .* install that version"):
        join_search(database, "small")


def test_an_ended_search_has_nothing_to_do_for_a_late_worker(
    entered: optuna.Study, database: str, tmp_path: Path
) -> None:
    assert join_search(database, "small", workers=1, weights=tmp_path) == []
    assert len(entered.trials) == 2


def test_a_worker_that_is_stopped_puts_its_trial_back(
    entered: optuna.Study, database: str, tmp_path: Path
) -> None:
    entered.enqueue_trial({})
    number = len(entered.trials) - 1
    words: list[str | Path] = ["worker", "--storage", database, "--study", "small"]
    with started([*words, "--workers", "1"], cwd=tmp_path) as [worker]:
        wait_for(lambda: just_begun(entered, [worker]))
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=60)
    stopped = entered.trials[number]
    assert stopped.state == TrialState.WAITING
    [again] = join_search(database, "small", workers=1, weights=tmp_path)
    assert (again["trial"], again["state"]) == (number, "complete")
    assert entered.trials[number].params == stopped.params
    assert len(entered.trials) == number + 1


def stop_while_in_use(server: postgres.Server) -> None:
    with storage_at(server.address) as storage:
        server.stop()
        storage.get_all_studies()


def test_a_worker_survives_a_restart_of_the_server_and_the_death_of_its_parent(
    entered: optuna.Study, server: postgres.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restart costs nothing, and SIGKILL of ``aelab worker`` none of a trial's two retries."""
    entered.enqueue_trial({})
    number = len(entered.trials) - 1
    words: list[str | Path] = ["worker", "--storage", server.address, "--study", "small"]
    with started([*words, "--workers", "1"], cwd=tmp_path) as [worker]:
        wait_for(lambda: just_begun(entered, [worker]))
        with monkeypatch.context() as patched:
            patched.setattr("aelab.search.storage.OUTAGE_SECONDS", 0.2)
            with pytest.raises(TrainingError, match=r"^Lost the database .*: connection .* resume"):
                stop_while_in_use(server)
        server.start()
        epochs = len(entered.trials[number].intermediate_values)
        wait_for(lambda: len(entered.trials[number].intermediate_values) > epochs)
        worker.kill()
        wait_for(lambda: entered.trials[number].state == TrialState.WAITING)
        _, err = worker.communicate(timeout=60)
    assert "Traceback" not in err
    assert "The database does not answer" in err


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_trial_whose_transaction_is_cut_waits_again_and_is_run_to_its_end(
    entered: optuna.Study, database: str
) -> None:
    entered.enqueue_trial({})
    count = len(entered.trials)
    cut = False

    def end_the_connection(connection: Connection) -> None:
        nonlocal cut
        if cut:
            cut = False
            own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with other.engine.connect() as second:
                second.exec_driver_sql(f"SELECT pg_terminate_backend({own}, 5000)")

    class Runner:
        worker = "here:1/2"
        numbers: ClassVar[list[int]] = []

        def send(self, content: Any) -> None:
            assert "complete" in content

        def __call__(self, trial: optuna.Trial) -> float:
            nonlocal cut
            trial.set_user_attr(WORKER, self.worker)
            self.numbers.append(trial.number)
            cut = len(self.numbers) == 1
            trial.report(1e9, 10_000)
            return 1e9

    runner = cast(Any, Runner())
    with storage_at(database) as storage, storage_at(database) as other:
        study = load_study(storage, "small")
        runner.search, experiment = settings_of(study.user_attrs)
        runner.space = resolve_space(experiment, "ae", runner.search.space)
        event.listen(storage.engine, "commit", end_the_connection)
        take_trials(Trials(storage, study), runner)
    first, second, *others = runner.numbers  # others: what an earlier test has left waiting
    assert first == second
    assert first not in others
    assert entered.trials[first].state == TrialState.COMPLETE
    assert len(entered.trials) == count


def test_a_search_is_resumed_by_an_address_without_its_password(
    database: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    out = tmp_path / "search"
    search = Search(model="ae", trials=2, proof=ProofSettings(top=0))
    experiment = preset(data=str(tiny_folder), latent_dim=(3,), validation=60)
    shared = Database(database, "interrupted")
    assert quote(postgres.PASSWORD, safe="") not in repr(shared)

    def interrupt(event: Event) -> None:
        if event.kind == "started":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(search, experiment, out, 1, interrupt, shared)
    address = SearchFolder(out).manifest()["storage"]
    assert address == database.replace(":s%40cr%2Ft@", "@")
    SearchFolder(out).note(storage=address.replace("aelab@", "aelab:***@"))  # as 0.1.0 wrote it
    with pytest.raises(AelabError, match=r"no password supplied.* --storage give a password"):
        resume_search(out, 1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        resume_search(out, 1, interrupt, storage=database)
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
    with pytest.raises(KeyboardInterrupt):
        resume_search(out, 1, interrupt)


@pytest.mark.parametrize(
    ("address", "study", "sentence"),
    [
        (None, "none", "The database has no study none"),
        ("postgresql://aelab:SECRET@127.0.0.1:1/x", "none",
         r"Cannot open the database postgresql://aelab@127\.0\.0\.1:1/x: connection failed"),
        ("sqlite:///none.db", "none", r"There is no database sqlite:///.*none\.db\."),
    ],
)  # fmt: skip
def test_a_worker_without_a_search_is_told_so(
    address: str | None, study: str, sentence: str, entered: optuna.Study, database: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AelabError, match=sentence):
        join_search(address or database, study)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_makes_no_tables(entered: optuna.Study, database: str) -> None:
    with storage_at(database) as storage, storage.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("CREATE DATABASE empty")
    address = database.replace("/postgres", "/empty")
    for _ in range(2):
        with pytest.raises(RunError, match="holds no search"):
            join_search(address, "aelab")


def test_a_name_that_is_taken_is_refused(
    entered: optuna.Study, database: str, tiny_folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    done = aelab_here(capsys, "search", "--data", tiny_folder, "--out", tmp_path / "s",
                      "--storage", database, "--study", "small", *SETTINGS)  # fmt: skip
    assert done.returncode == 4
    assert "has a study small already" in done.stderr
