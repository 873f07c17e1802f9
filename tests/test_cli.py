"""The command line without a run: help, arguments, data, doctor, signals."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aelab.cli.app import end_at_signals
from aelab.cli.printing import print_examination
from tests.processes import aelab, aelab_here, restored_signals


def test_data_tells_what_is_here(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [found] = json.loads(aelab_here(capsys, "data", tiny_folder, "--json").stdout)
    assert found["source"] == "folder"
    assert set(found["sha256"]) == set(found["files"])
    here = aelab("data", env={"AELAB_CACHE": str(tmp_path)})
    assert here.returncode == 0
    assert "5,000 bundled digits" in here.stdout
    assert f"not in {tmp_path}" in here.stdout


def test_doctor_tells_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    done = aelab_here(capsys, "doctor", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == bool(found["problems"])
    assert found["packages"]["torch"].startswith("2.")
    assert "kagglehub" in found["extras"]["kaggle"]
    assert "cpu" in found["devices"]
    assert "torch" in aelab_here(capsys, "doctor").stdout


def test_the_brackets_of_an_extra_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "environment": {"aelab": "1", "python": "3", "platform": "x", "matrix_products": "oneDNN"},
        "devices": {}, "packages": {}, "cpus": 2, "threads": 1, "bfloat16": None, "cache": "a[b]c",
        "extras": {"kaggle": {"kagglehub": None}}, "problems": ["pip install 'aelab[onnx]'"],
        "folder": {"path": "d[e]f", "free_gb": 1.0},
    }  # fmt: skip
    print_examination(found)
    said = capsys.readouterr().out
    for text in ("pip install 'aelab[kaggle]'", "a[b]c", "d[e]f", "pip install 'aelab[onnx]'"):
        assert text in said


def test_signals_end_the_command_unless_they_are_ignored() -> None:
    """Under nohup SIGHUP is; otherwise it ends the command as SIGTERM does, and only once."""
    with restored_signals():
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
def test_bad_input_is_one_sentence_and_a_code(
    words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = aelab_here(capsys, *words)
    assert done.returncode == code
    assert sentence in done.stderr + done.stdout


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
