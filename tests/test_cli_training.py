"""Training from the command line: interrupts, kills, and every optional setting."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aelab import Run
from tests.processes import FEW, TINY, aelab_here, hear_interrupts, wait_for_the_end_of_session


def test_resume_after_a_kill_ends_with_the_same_bits(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "killed"
    # So many epochs that the kill falls into the training.
    changes = ["--latent-dim", "3", "--ae.epochs", "60", "--vae.epochs", "60"]
    words: list[str | Path] = ["run", "--data", tiny_folder, "--out", out, *TINY, *changes]
    process = subprocess.Popen(
        [sys.executable, "-m", "aelab", *map(str, words)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    history = out / "models" / "vae-3" / "history.jsonl"
    deadline = time.monotonic() + 60
    while not (history.exists() and len(history.read_text().splitlines()) >= 5):
        assert time.monotonic() < deadline, "training never began"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(history.read_text().splitlines()) < 60

    resumed = aelab_here(capsys, "resume", out)
    assert resumed.returncode == 0, resumed.stderr
    assert "vae-3: resumed after epoch" in resumed.stdout

    whole = tmp_path / "whole"
    words[words.index(out)] = whole
    assert aelab_here(capsys, *words).returncode == 0
    for key in Run(whole).model_keys():
        killed, straight = Run(out).model(key), Run(whole).model(key)
        assert killed.read("weights.safetensors") == straight.read("weights.safetensors")
        timeless = [
            [row | {"seconds": 0, "images_per_second": 0} for row in folder.history()]
            for folder in (killed, straight)
        ]
        assert timeless[0] == timeless[1]


def test_an_interrupt_ends_every_process_and_says_how_to_go_on(
    tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "interrupted"
    words = ["run", "--data", tiny_folder, "--out", out, *TINY, "--ae.epochs", "5000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "aelab", *map(str, words)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=hear_interrupts,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (out / "models" / "ae-3" / "history.jsonl").exists():
            assert time.monotonic() < deadline, "training never began"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert process.returncode == 130
    assert "aelab resume" in stderr
    assert "Traceback" not in stderr
    wait_for_the_end_of_session(process.pid)


@pytest.mark.parametrize(
    "words",
    [
        ["--network.kind", "conv", "--network.hidden", "4", "8", "--pixels", "static",
         "--vae.kl-warmup", "2", "--ae.early-stopping", "1", "--ae.epochs", "30",
         "--ae.learning-rate", "0.05", "--vae.epochs", "3"],
        ["--likelihood", "continuous-bernoulli", "--network.activation", "tanh",
         "--network.hidden", "16", "8", "--models", "vae", "--vae.schedule", "cosine",
         "--vae.warmup-epochs", "1", "--vae.weight-decay", "0.01", "--vae.beta", "4",
         "--vae.epochs", "3", "--pixels", "grey"],
    ],
    ids=["conv-static-stopping", "continuous-cosine-alone"],
)  # fmt: skip
def test_every_optional_objective_runs_to_its_report(
    words: list[str], tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    done = aelab_here(
        capsys, "run", "--data", tiny_folder, "--out", out, "--latent-dim", "2", *FEW, *words
    )
    assert done.returncode == 0, done.stderr
    run = Run(out)
    if "ae" in run.experiment()["models"]:
        rows = run.history("ae-2")
        totals = [row["validation"]["total"] for row in rows]
        assert len(rows) < 30  # it stopped, one epoch after the best
        assert len(rows) == 1 + 1 + totals.index(min(totals))
