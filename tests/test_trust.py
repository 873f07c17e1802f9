"""A few of the trials that ``make torture`` runs by the thousand (docs/reliability.md)."""

import json
import os
import re
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import aelab
from aelab.errors import RunError
from aelab.lab.jobs import train_and_evaluate
from aelab.runs.run import Run
from aelab.training.optimizer import Adam
from tests.processes import wait_for_the_end_of_session
from tests.torture import KEY, TRIALS, Ground, check_the_end, new_run

TIMES = {
    "killed_at_a_failpoint": 8,
    "killed_at_a_moment": 3,
    "ended_by_sigterm": 3,
    "not_finite": 2,
    "full_disk": 4,
    "strange_checkpoint": 6,
    "damaged_file": 60,
    "bad_idx": 200,
    "impossible_data": 40,
    "one_bad_copy": 40,
    "bad_toml": 200,
}


@pytest.mark.parametrize("name", TRIALS)
def test_nothing_is_lost(name: str, ground: Ground) -> None:
    outcomes = [TRIALS[name](ground, np.random.default_rng([seed])) for seed in range(TIMES[name])]
    assert len(outcomes) == TIMES[name]


def test_a_model_whose_loss_is_not_finite_fails_by_name_and_the_others_go_on(
    tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-m", "aelab", "run", "--data", tiny_folder, "--out", out,
         "--latent-dim", "2", "--network.hidden", "16", "--ae.epochs", "4", "--vae.epochs", "2",
         "--ae.learning-rate", "1e30", "--evaluation.pairs", "50"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert "not finite at step" in done.stderr
    assert "with learning rate 1e+30" in done.stderr
    run = Run(out)
    assert run.manifest()["status"] == "failed"
    assert set(run.manifest()["failures"]) == {"ae-2"}
    assert not run.model("ae-2").has("weights.safetensors")  # never called trained
    assert run.model("vae-2").has("metrics.json")


def test_a_lock_left_by_a_dead_process_is_no_obstacle(ground: Ground) -> None:
    """Held by a living process it is refused; when that is killed, the folder is free again."""
    path = ground.folder / "reference"
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from aelab.runs.run import Run\n"
         "with Run(sys.argv[1]).lock(): print('held', flush=True); sys.stdin.read()", path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(RunError, match=f"process {holder.pid}"), Run(path).lock():
        pass
    holder.kill()
    holder.communicate()
    with Run(path).lock():
        pass


def test_a_pickle_under_an_accepted_name_is_never_run(ground: Ground, tmp_path: Path) -> None:
    """Even with a checksum that fits: the formats themselves cannot run code."""
    import pickle

    from aelab.lab.jobs import load_model

    canary = tmp_path / "canary"

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {canary}",)

    run = Run(ground.folder / "reference")
    folder = run.model("vae-3")
    sound = {name: folder.read(name) for name in ("weights.safetensors", "arrays.npz")}
    for name in sound:
        folder.write(name, pickle.dumps(Bomb()))
    try:
        with pytest.raises(RunError, match="holds no tensors"):
            load_model(run, "vae-3")
        with pytest.raises(RunError, match="does not hold arrays"):
            folder.arrays()
    finally:
        for name, data in sound.items():
            folder.write(name, data)
    assert not canary.exists()


def test_no_array_of_the_package_may_be_a_pickle() -> None:
    """NumPy can write and read them; the linter knows no rule for it."""
    for path in Path(aelab.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        calls = len(re.findall(r"np\.(?:load|save|savez|savez_compressed)\(", text))
        assert text.count("allow_pickle=False") == calls, path


def test_sigterm_writes_the_state_of_the_last_whole_epoch(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, train_step, steps = new_run(ground, "stopped", checkpoint_epochs=9), Adam.step, count()
    heard: list[str] = []

    def step(optimizer: Adam, rate: float) -> None:
        train_step(optimizer, rate)
        if next(steps) == 14:  # six steps are an epoch
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Adam, "step", step)
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("SIGTERM"))
    try:
        with pytest.raises(SystemExit, match="143"):
            train_and_evaluate(lambda _: None, path, KEY, ground.source)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == ["SIGTERM"]
    assert list(Run(path).model(KEY).checkpoints()) == [2]
    check_the_end(ground, path, [{"epoch": 2}])


def test_sigterm_ends_with_143_and_no_orphan(tiny_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "aelab", "run", "--data", tiny_folder, "--out", out, "--latent-dim",
         "2", "--network.hidden", "16", "--ae.epochs", "100000", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 1/" in line:
            break
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert stdout == ""
    wait_for_the_end_of_session(process.pid)
    assert json.loads((out / "manifest.json").read_text())["status"] == "running"
