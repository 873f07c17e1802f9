"""The scripts of examples/ run as they are, and stay short."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHOWN = {
    "arrays": r"VAE: MSE per pixel 0\.0\d+",
    "claim": r"sharper images than the VAE: inconclusive",
    "loop": r"epoch 3: reconstruction \d+\.\d, kl \d+\.\d",
    "metric": r"AE: 0\.\d+, 95% interval",
    "model": r"report\.html",
    "network": r"epoch 5: −ELBO \d+",
    "prior": r"epoch 5: −ELBO \d+",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    assert len(example.read_text(encoding="utf-8").splitlines()) < 60
    done = subprocess.run(
        [sys.executable, "-X", "utf8", str(example)],
        cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(SHOWN[example.stem], done.stdout), done.stdout
    assert example.name in (ROOT / "README.md").read_text(encoding="utf-8")
