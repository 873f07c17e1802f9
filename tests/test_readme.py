"""The code and commands of the README work as printed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import aelab
from aelab import Run

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples have run; ``output.txt`` is what they printed."""
    assert len(BLOCKS) == 2
    folder = tmp_path_factory.mktemp("readme")
    script = folder / "use.py"
    # Two epochs of the loop are enough here.
    loop = BLOCKS[1].replace("terms)  # nats per image", "terms)\n    if epoch.index == 2: break")
    assert "break" in loop
    script.write_text(f"{BLOCKS[0]}\n{loop}")
    done = subprocess.run(
        [sys.executable, script.name], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (folder / "output.txt").write_text(done.stdout)
    return folder


def test_the_python_use_runs(folder: Path) -> None:
    output = (folder / "output.txt").read_text()
    assert "'value':" in output
    assert output.splitlines()[-1].startswith("2 {'reconstruction':")


def test_a_run_on_the_bundled_digits(folder: Path) -> None:
    [path] = (folder / "runs").iterdir()
    run = Run(path)
    metrics = run.metrics()
    assert metrics["data"]["counts"] == {"train": 4000, "validation": 500, "test": 500}
    for key in ("ae-2", "vae-2"):  # above the minimum of grey images, below independent pixels
        assert 45 < metrics["models"][key]["metrics"]["reconstruction_nll"]["value"] < 200
        assert metrics["models"][key]["metrics"]["knn_accuracy"]["value"] > 0.2
    assert "5,000 bundled digits" in (path / "report.html").read_text()


def test_a_new_model_network_and_metric_are_one_file_each(
    tmp_path: Path, tiny_folder: Path
) -> None:
    package = tmp_path / "aelab"
    shutil.copytree(Path(aelab.__file__).parent, package)
    for name, folder in (("model", "models"), ("network", "nets"), ("metric", "metrics")):
        shutil.copy(ROOT / "examples" / f"{name}.py", package / folder / "example.py")
    arguments = ["run", "--data", tiny_folder, "--models", "ae", "sparse", "--sparse.strength", "1",
                 "--latent-dim", "2", "--network.kind", "residual", "--network.hidden", "16",
                 "--sparse.epochs", "2", "--ae.epochs", "2", "--evaluation.pairs", "50",
                 "--out", "out"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "aelab", *map(str, arguments)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Sparse AE" in report
    assert "MAE per pixel" in report
    assert "sparsity" in report.lower()


@pytest.mark.parametrize("verb", ["lab", "test", "check", "reproduce"])
def test_every_make_command_of_the_docs_exists(verb: str) -> None:
    assert re.search(rf"^{verb}:.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
