"""The commands that use a finished run, in processes, on a tiny data set."""

import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

from aelab import Run, load_exported, load_model, load_run_data
from tests.processes import EPOCHS, TINY, aelab, aelab_here, hear_interrupts


@pytest.fixture(scope="module")
def finished(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four tiny models, done by the command line with two workers."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    done = aelab("run", "--data", tiny_folder, "--out", out, *TINY, *EPOCHS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out)
    assert "not defined" in done.stdout
    return out


def test_a_run_leaves_everything_that_it_should(finished: Path) -> None:
    run = Run(finished)
    assert run.manifest()["status"] == "finished"
    assert (finished / "report.html").stat().st_size > 10_000
    metrics = run.metrics()
    assert list(metrics["models"]) == ["ae-3", "vae-3", "ae-2", "vae-2"]
    assert set(metrics["baselines"]) == {"pca-3", "pca-2", "pixels"}
    assert metrics["models"]["ae-3"]["metrics"]["negative_elbo"] is None
    elbo = {n: metrics["models"]["vae-3"]["metrics"][n]["value"]
            for n in ("negative_elbo", "elbo_reconstruction", "kl")}  # fmt: skip
    assert elbo["negative_elbo"] == pytest.approx(elbo["elbo_reconstruction"] + elbo["kl"])
    beside = metrics["baseline_differences"]["vae-3"]
    assert set(beside) == {"pca-3", "pixels"}
    model, pca = (metrics[kind][key]["metrics"]["mse"]["value"]
                  for kind, key in (("models", "vae-3"), ("baselines", "pca-3")))  # fmt: skip
    assert beside["pca-3"]["mse"]["value"] == pytest.approx(model - pca, rel=1e-4)
    assert beside["pca-3"]["mse"]["low"] < beside["pca-3"]["mse"]["high"]
    assert "mse" not in beside["pixels"]
    assert "knn_accuracy" in beside["pixels"]
    assert {p.suffix for p in (finished / "figures").iterdir()} == {".svg", ".png"}
    for folder in (run, *(run.model(key) for key in run.model_keys())):
        for name in folder.manifest()["files"]:
            folder.read(name)  # every checksum holds
    assert not [p for p in finished.rglob("*") if p.suffix in (".pt", ".pth", ".pkl")]


def test_the_resolved_experiment_runs_again_with_the_same_bits(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also with another number of workers: nothing depends on it."""
    settings = json.loads((finished / "experiment.json").read_text())
    lines = [f"{k} = {json.dumps(v)}" for k, v in settings.items()
             if v is not None and not isinstance(v, dict)]  # fmt: skip
    for name, table in settings.items():
        if isinstance(table, dict):
            lines.append(f"[{name}]")
            lines += [f"{k} = {json.dumps(v)}" for k, v in table.items() if v is not None]
    config = tmp_path / "again.toml"
    config.write_text("\n".join(lines))
    done = aelab_here(
        capsys, "run", "--config", config, "--out", tmp_path / "again", "--workers", "1"
    )
    assert done.returncode == 0, done.stderr
    first, again = Run(finished), Run(tmp_path / "again")
    for key in first.model_keys():
        assert first.model(key).read("weights.safetensors") == again.model(key).read(
            "weights.safetensors"
        )
    assert first.metrics()["differences"] == again.metrics()["differences"]


def test_resuming_a_finished_run_leaves_it_alone(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / "manifest.json").read_bytes()
    assert aelab_here(capsys, "resume", finished).returncode == 0
    assert (finished / "manifest.json").read_bytes() == before


def test_python_reads_what_the_command_wrote(finished: Path) -> None:
    run = Run(finished)
    model = load_model(run, "vae-2")
    data = load_run_data(run)
    assert len(data.test) == 100
    assert model.architecture.latent_dim == 2
    np.testing.assert_allclose(run.arrays("vae-2")["codes"].std(0) > 0, [True, True])


def test_show_and_report(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = aelab("show", finished, env={"PYTHONIOENCODING": "cp1252"})  # a redirect on Windows
    assert shown.returncode == 0, shown.stderr
    assert "MSE per pixel" in shown.stdout
    assert "?ELBO" in shown.stdout
    again = aelab_here(capsys, "report", finished)
    assert again.returncode == 0, again.stderr


def test_json_is_the_whole_of_the_output_and_quiet_leaves_the_path(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = json.loads(aelab_here(capsys, "show", finished, "--json").stdout)
    assert printed == {"run": str(finished)} | Run(finished).metrics()
    assert aelab_here(capsys, "show", finished, "--quiet").stdout == f"{finished}\n"


def test_evaluating_again_gives_the_same_numbers_and_trains_nothing(
    finished: Path, tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    run = Run(copy)
    weights = run.model("vae-3").path / "weights.safetensors"
    written, metrics = weights.stat().st_mtime_ns, run.metrics()
    run.model("vae-3").write_json("metrics.json", {})  # what is there must not be believed
    source = run.manifest()["source"]
    run.note(source=source | {"files": dict.fromkeys(source["files"], "/gone/file")})
    done = aelab_here(capsys, "evaluate", copy, "--json", "--data", tiny_folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"run": str(copy)} | metrics
    assert weights.stat().st_mtime_ns == written
    assert run.manifest()["status"] == "finished"
    assert run.manifest()["source"]["files"] == source["files"]


def test_annealing_checks_every_vae_and_is_kept(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Run(shutil.copytree(finished, tmp_path / "copy"))
    done = aelab_here(capsys, "evaluate", copy.path, "--ais", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"vae-3", "vae-2"}
    for key, one in found.items():
        assert one["lower"] - 1 < one["importance"] < one["upper"] + 1
        assert copy.model(key).read_json("ais.json") == one


def test_a_run_that_is_not_trained_is_not_evaluated(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    Run(copy).model("ae-2").remove("weights.safetensors")
    done = aelab_here(capsys, "evaluate", copy)
    assert done.returncode == 4
    assert "no weights of ae-2, or damaged ones: run aelab resume first" in done.stderr


def test_an_existing_out_is_refused_and_untouched(
    finished: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / "manifest.json").read_bytes()
    done = aelab_here(capsys, "run", "--data", tiny_folder, "--out", finished, *TINY, *EPOCHS)
    assert done.returncode == 4
    assert "exists: name another --out" in done.stderr
    assert (finished / "manifest.json").read_bytes() == before


def test_explore_serves_the_page_of_a_run(finished: Path) -> None:
    """The page is there since the run; the server says where, gives it, and ends politely."""
    assert "explorer.html" in (finished / "report.html").read_text(encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "aelab", "explore", str(finished), "--serve"],
        stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(address, timeout=30) as response:
            assert response.read() == (finished / "explorer.html").read_bytes()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        process.stdout.close()


def test_export_writes_models_that_load_back(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = aelab_here(
        capsys, "export", finished, "--format", "hub", "--models", "vae-2", "--out", tmp_path / "o"
    )
    assert done.stdout.splitlines() == [str(tmp_path / "o")]
    model, again = load_model(Run(finished), "vae-2"), load_exported(tmp_path / "o" / "vae-2")
    x = torch.rand(3, 784)
    assert torch.equal(model.reconstruct(x), again.reconstruct(x))
    assert aelab_here(capsys, "export", finished, "--models", "vae-7").returncode == 4
    assert aelab_here(capsys, "export", finished, "--out", tmp_path / "o").returncode == 2


def test_without_its_data_a_run_keeps_its_report(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(shutil.copytree(finished, tmp_path / "run"))
    source = run.manifest()["source"]
    run.note(source=source | {"files": dict.fromkeys(source["files"], "/gone/file")})
    run.remove("explorer.html")
    done = aelab_here(capsys, "report", run.path)
    assert done.returncode == 0, done.stderr
    assert "explorer.html" not in (run.path / "report.html").read_text(encoding="utf-8")
    assert aelab_here(capsys, "explore", run.path, "--serve").returncode == 3
