"""What the README shows works as it stands there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import aelab

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
PYTHON_USE = [block for block in BLOCKS if '"""' not in block.splitlines()[0]]
NEW_FILES = [block for block in BLOCKS if block not in PYTHON_USE]


def test_the_python_use_runs(tmp_path: Path) -> None:
    assert len(PYTHON_USE) == 2
    script = tmp_path / "use.py"
    # The loop is shown whole in the README; two epochs of it are enough here.
    loop = PYTHON_USE[1].replace(
        "terms)  # nats per image", "terms)\n    if epoch.index == 2: break"
    )
    assert "break" in loop
    script.write_text(f"{PYTHON_USE[0].replace('5}', '2}')}\n{loop}")
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "'value':" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("2 {'reconstruction':")


def test_a_new_model_and_a_new_measure_are_one_file_each(tmp_path: Path, tiny_folder: Path) -> None:
    model, measure = NEW_FILES
    package = tmp_path / "aelab"
    shutil.copytree(Path(aelab.__file__).parent, package)
    (package / "models" / "sparse.py").write_text(model)
    (package / "metrics" / "robust.py").write_text(measure)
    words = ["run", "--data", tiny_folder, "--models", "ae", "sparse", "--sparse.strength", "1",
             "--latent-dim", "2", "--network.hidden", "16", "--sparse.epochs", "2",
             "--ae.epochs", "2", "--evaluation.pairs", "50", "--out", "out"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "aelab", *map(str, words)],
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
