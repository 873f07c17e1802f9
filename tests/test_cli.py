"""The commands as a person calls them: in processes of their own, on tiny data."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

from aelab import Run, load_exported, load_model, load_run_data
from aelab.cli.app import end_at_signals
from aelab.cli.printing import print_examination
from tests.processes import hear_interrupts, wait_for_the_end_of_session

FEW = ["--evaluation.pairs", "50"]  # thousands of pairs of a hundred images would only take longer
TINY = ["--latent-dim", "3", "2", "--network.hidden", "16", "--validation", "60", *FEW]
EPOCHS = ["--ae.epochs", "3", "--vae.epochs", "3"]


def aelab(
    *words: str | Path, timeout: float = 600, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aelab", *map(str, words)],
        capture_output=True, text=True, timeout=timeout, check=False, env=os.environ | (env or {}),
    )  # fmt: skip


@pytest.fixture(scope="session")
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
    finished: Path, tmp_path: Path
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
    done = aelab("run", "--config", config, "--out", tmp_path / "again", "--workers", "1")
    assert done.returncode == 0, done.stderr
    first, again = Run(finished), Run(tmp_path / "again")
    for key in first.model_keys():
        assert first.model(key).read("weights.safetensors") == again.model(key).read(
            "weights.safetensors"
        )
    assert first.metrics()["differences"] == again.metrics()["differences"]


def test_resume_after_a_kill_ends_with_the_same_bits(
    finished: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    # So many epochs that the kill falls into the training.
    epochs = ["--ae.epochs", "60", "--vae.epochs", "60"]
    words: list[str | Path] = ["run", "--data", tiny_folder, "--out", out, *TINY, *epochs]
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

    resumed = aelab("resume", out)
    assert resumed.returncode == 0, resumed.stderr
    assert "vae-3: resumed after epoch" in resumed.stdout

    whole = tmp_path / "whole"
    words[words.index(out)] = whole
    assert aelab(*words).returncode == 0
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
    words: list[str], tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = aelab("run", "--data", tiny_folder, "--out", out, "--latent-dim", "2", *FEW, *words)
    assert done.returncode == 0, done.stderr
    run = Run(out)
    if "ae" in run.experiment()["models"]:
        rows = run.history("ae-2")
        totals = [row["validation"]["total"] for row in rows]
        assert len(rows) < 30  # it stopped, one epoch after the best
        assert len(rows) == 1 + 1 + totals.index(min(totals))


def test_a_walk_through_a_real_run_on_the_bundled_digits(tmp_path: Path) -> None:
    out = tmp_path / "bundled"
    done = aelab("run", "--preset", "quick", "--out", out, "--latent-dim", "2",
                 "--ae.epochs", "5", "--vae.epochs", "5", "--evaluation.pairs", "500")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "5,000 bundled digits: 500 test images" in done.stdout
    run = Run(out)
    metrics = run.metrics()
    assert metrics["data"]["counts"] == {"train": 4000, "validation": 500, "test": 500}
    for key in ("ae-2", "vae-2"):  # better than no knowledge of the digit, worse than its floor
        assert 45 < metrics["models"][key]["metrics"]["reconstruction_nll"]["value"] < 200
        assert metrics["models"][key]["metrics"]["knn_accuracy"]["value"] > 0.2
    assert "5,000 bundled digits" in (out / "report.html").read_text()


def test_resuming_a_finished_run_leaves_it_alone(finished: Path) -> None:
    before = (finished / "manifest.json").read_bytes()
    assert aelab("resume", finished).returncode == 0
    assert (finished / "manifest.json").read_bytes() == before


def test_python_reads_what_the_command_wrote(finished: Path) -> None:
    run = Run(finished)
    model = load_model(run, "vae-2")
    data = load_run_data(run)
    assert len(data.test) == 100
    assert model.architecture.latent_dim == 2
    np.testing.assert_allclose(run.arrays("vae-2")["codes"].std(0) > 0, [True, True])


def test_show_and_report(finished: Path) -> None:
    shown = aelab("show", finished, env={"PYTHONIOENCODING": "cp1252"})  # a redirect on Windows
    assert shown.returncode == 0, shown.stderr
    assert "MSE per pixel" in shown.stdout
    assert "?ELBO" in shown.stdout
    again = aelab("report", finished)
    assert again.returncode == 0, again.stderr


def test_json_is_the_whole_of_the_output_and_quiet_leaves_the_path(finished: Path) -> None:
    printed = json.loads(aelab("show", finished, "--json").stdout)
    assert printed == {"run": str(finished)} | Run(finished).metrics()
    assert aelab("show", finished, "--quiet").stdout == f"{finished}\n"


def test_evaluating_again_gives_the_same_numbers_and_trains_nothing(
    finished: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    run = Run(copy)
    weights = run.model("vae-3").path / "weights.safetensors"
    written, metrics = weights.stat().st_mtime_ns, run.metrics()
    run.model("vae-3").write_json("metrics.json", {})  # what is there must not be believed
    source = run.manifest()["source"]
    run.note(source=source | {"files": dict.fromkeys(source["files"], "/gone/file")})
    done = aelab("evaluate", copy, "--json", "--data", tiny_folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"run": str(copy)} | metrics
    assert weights.stat().st_mtime_ns == written
    assert run.manifest()["status"] == "finished"
    assert run.manifest()["source"]["files"] == source["files"]


def test_annealing_checks_every_vae_and_is_kept(finished: Path, tmp_path: Path) -> None:
    copy = Run(shutil.copytree(finished, tmp_path / "copy"))
    done = aelab("evaluate", copy.path, "--ais", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"vae-3", "vae-2"}
    for key, one in found.items():
        assert one["lower"] - 1 < one["importance"] < one["upper"] + 1
        assert copy.model(key).read_json("ais.json") == one


def test_a_run_that_is_not_trained_is_not_evaluated(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    Run(copy).model("ae-2").remove("weights.safetensors")
    done = aelab("evaluate", copy)
    assert done.returncode == 4
    assert "no weights of ae-2, or damaged ones: run aelab resume first" in done.stderr


def test_data_tells_what_is_here(tiny_folder: Path, tmp_path: Path) -> None:
    [found] = json.loads(aelab("data", tiny_folder, "--json").stdout)
    assert found["source"] == "folder"
    assert set(found["sha256"]) == set(found["files"])
    here = aelab("data", env={"AELAB_CACHE": str(tmp_path)})
    assert here.returncode == 0
    assert "5,000 bundled digits" in here.stdout
    assert f"not in {tmp_path}" in here.stdout


def test_doctor_tells_what_is_installed() -> None:
    done = aelab("doctor", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == bool(found["problems"])
    assert found["packages"]["torch"].startswith("2.")
    assert "kagglehub" in found["extras"]["kaggle"]
    assert "cpu" in found["devices"]
    assert "torch" in aelab("doctor").stdout


def test_the_brackets_of_an_extra_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "environment": {"aelab": "1", "python": "3", "platform": "x", "matrix_products": "oneDNN"},
        "devices": {}, "packages": {}, "cpus": 2, "threads": 1, "cache": "a[b]c",
        "extras": {"kaggle": {"kagglehub": None}}, "problems": ["pip install 'aelab[onnx]'"],
        "folder": {"path": "d[e]f", "free_gb": 1.0},
    }  # fmt: skip
    print_examination(found)
    said = capsys.readouterr().out
    for text in ("pip install 'aelab[kaggle]'", "a[b]c", "d[e]f", "pip install 'aelab[onnx]'"):
        assert text in said


def test_signals_end_the_command_unless_they_are_ignored() -> None:
    """Under nohup SIGHUP is; otherwise it ends the command as SIGTERM does, and only once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        end_at_signals()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        end_at_signals()
        for number, code in ((signal.SIGHUP, 129), (signal.SIGTERM, 143)):
            with pytest.raises(SystemExit) as end:
                signal.raise_signal(number)
            assert end.value.code == code
            signal.raise_signal(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_doctor_reports_a_torch_that_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text('raise ImportError("libtorch.so: cannot open")')
    done = aelab("doctor", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1, done.stderr
    assert "an import fails (libtorch.so: cannot open): install aelab again." in done.stdout
    assert "Nothing is wrong" not in done.stdout
    assert "torch 2." in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["fly"], 2, "there is no command fly"),
        (["run", "--preset", "nope"], 2, "There is no preset nope"),
        (["run", "--config", "absent.toml"], 2, "Cannot read absent.toml"),
        (["run", "--vae.betta", "2"], 2, "betta"),
        (["run", "--vae.beta", "-2"], 2, "vae.beta: input should be greater than or equal to 0"),
        (["run", "--workers", "0"], 2, "workers: input should be greater than or equal to 1"),
        (["run", "--models", "gan"], 2, "no model is named gan; there are ae, "),
        (["run", "--data", "/nonexistent/folder"], 3, "/nonexistent/folder"),
        (["resume", "/nonexistent/run"], 4, "not a run folder"),
        (["show", "/"], 4, "not a run folder"),
        (["data", "/nonexistent/folder"], 3, "/nonexistent/folder"),
    ],
)
def test_bad_input_is_one_sentence_and_a_code(words: list[str], code: int, sentence: str) -> None:
    done = aelab(*words)
    assert done.returncode == code
    assert sentence in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_an_existing_out_is_refused_and_untouched(finished: Path, tiny_folder: Path) -> None:
    before = (finished / "manifest.json").read_bytes()
    done = aelab("run", "--data", tiny_folder, "--out", finished, *TINY, *EPOCHS)
    assert done.returncode == 4
    assert "exists: name another --out" in done.stderr
    assert (finished / "manifest.json").read_bytes() == before


def test_help_is_whole_and_does_not_load_torch() -> None:
    done = aelab("--help")
    assert done.returncode == 0
    assert "resume" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    probe = (
        "import sys; from aelab.cli.app import main; main(['--help']); "
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
    flags = aelab("run", "--help", env={"PYTHONIOENCODING": "ascii"}).stdout
    for flag in ("--preset", "--config", "--out", "--workers", "--latent-dim", "--vae.beta",
                 "--vae.learning-rate", "--data"):  # fmt: skip
        assert flag in flags


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


def test_export_writes_models_that_load_back(finished: Path, tmp_path: Path) -> None:
    done = aelab(
        "export", finished, "--format", "hub", "--models", "vae-2", "--out", tmp_path / "o"
    )
    assert done.stdout.splitlines() == [str(tmp_path / "o")]
    model, again = load_model(Run(finished), "vae-2"), load_exported(tmp_path / "o" / "vae-2")
    x = torch.rand(3, 784)
    assert torch.equal(model.reconstruct(x), again.reconstruct(x))
    assert aelab("export", finished, "--models", "vae-7").returncode == 4
    assert aelab("export", finished, "--out", tmp_path / "o").returncode == 2


def test_without_its_data_a_run_keeps_its_report(
    finished: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved"
    shutil.copytree(finished, run)
    away = tiny_folder.rename(moved)
    try:
        Run(run).remove("explorer.html")
        done = aelab("report", run)
        assert done.returncode == 0, done.stderr
        assert "explorer.html" not in (run / "report.html").read_text(encoding="utf-8")
        assert aelab("explore", run, "--serve").returncode == 3
    finally:
        away.rename(tiny_folder)
