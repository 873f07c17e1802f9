"""Write the golden run folder of the current run format, which the tests open.

    make golden

A released format is never written again: delete tests/golden/format-N by hand to renew it.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from tests.idx_files import write_set

from aelab import Run, preset, run_lab
from aelab.runs.folder import FORMAT

ROOT = Path(__file__).parents[1]
SIDE = 8  # pixels: the folder stays small
COUNTS = {"train": 120, "t10k": 40}


def digits(folder: Path) -> None:
    """IDX files of ten classes: a bright row or column on noise."""
    generator, arrays = np.random.default_rng(0), {}
    for prefix, count in COUNTS.items():
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = generator.integers(0, 40, (count, SIDE, SIDE), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            (image if label < 5 else image.T)[label % 5 + 1] = 230
        arrays |= {f"{prefix}-images-idx3-ubyte": images, f"{prefix}-labels-idx1-ubyte": labels}
    write_set(folder, arrays)


def golden(out: Path, work: Path) -> Run:
    """A finished run of a pair, without the files that can be made again."""
    digits(work / "digits")
    experiment = preset(
        data=str(work / "digits"), latent_dim=(2,), network={"hidden": (8,)}, validation=20,
        baselines=("pca",), ae={"epochs": 3}, vae={"epochs": 3}, evaluation={"pairs": 20},
    )  # fmt: skip
    run = run_lab(experiment, out)
    for name in [*run.manifest()["files"]]:
        if name.startswith("figures/") or name.endswith(".html"):
            run.remove(name)
    shutil.rmtree(out / "figures")
    (out / ".lock").unlink()
    return run


if __name__ == "__main__":
    place = ROOT / "tests" / "golden" / f"format-{FORMAT}"
    with tempfile.TemporaryDirectory() as work:
        made = golden(place, Path(work))
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    sys.stdout.write(f"{made.path}: {size / 1000:.0f} kB\n")
