"""Shared fixtures: tiny synthetic data, MNIST if it is there; slow files first, no silent skips."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import filelock
import numpy as np
import pytest

from aelab.data.dataset import Data, Split
from aelab.lab.run import run_lab
from aelab.runs.pool import one_thread
from aelab.runs.run import Run
from aelab.runs.search import SearchFolder
from tests.torture import Ground, prepare

MNIST = Path(__file__).parents[2] / "shared" / "mnist"


@pytest.fixture(scope="session", autouse=True)
def single_thread() -> Iterator[None]:
    """One thread, as in the lab's workers: bits depend on it, and threads that wait spin."""
    with one_thread():
        yield


#: Files that take longest: they start first, so that no worker ends with a long one alone.
SLOW_FILES = (
    "test_cli_run.py", "test_study.py", "test_search.py", "test_explorer_page.py",
    "test_notebook.py", "test_examples.py", "test_cluster.py", "test_explorer_views.py",
    "test_cli_training.py", "test_trust.py", "test_gates.py", "test_readme.py",
    "test_interfaces.py", "test_arrays.py", "test_report.py", "test_export.py", "test_repair.py",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Keep pytest-xdist from starting the files with most tests first."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files by SLOW_FILES."""
    place = {name: number for number, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: place.get(item.path.name, len(SLOW_FILES)))


def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all worker processes of a session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """A copy of a folder that one worker process makes and the others wait for."""
    folder = session_folder(tmp_path_factory) / name
    finished = folder.with_suffix(".finished")
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            finished.touch()
    return Path(shutil.copytree(folder, tmp_path_factory.mktemp(name) / name))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of this session, so that the user's is neither read nor written.

    All worker processes share it: each digit classifier is trained once. What the tests start has
    one thread, as two files run at a time and threads that wait for each other spin.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AELAB_CACHE", str(session_folder(tmp_path_factory) / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder with all of MNIST; tests that need it skip where it is absent."""
    if not MNIST.is_dir():
        pytest.skip(f"no MNIST at {MNIST}")
    return MNIST


def tiny_split(count: int, seed: int, size: int = 784) -> Split:
    """Images of ten learnable classes: a bright block whose place is the label, and noise."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    images = generator.integers(0, 40, (count, size), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[label * (size // 10) : (label + 1) * (size // 10)] = 230
    return Split(images, labels.astype(np.int64))


@pytest.fixture(scope="session")
def tiny_data() -> Data:
    """200 / 50 / 50 synthetic images of 28 × 28."""
    return Data(
        train=tiny_split(200, 1),
        validation=tiny_split(50, 2),
        test=tiny_split(50, 3),
        name="tiny",
        source="folder",
        why="Synthetic images of the tests.",
        image_size=(28, 28),
        classes=10,
        label_names=tuple("0123456789"),
        sha256={},
        split="200 / 50 / 50",
    )


def write_idx(path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """IDX files of 400 training and 100 test images."""
    folder = tmp_path_factory.mktemp("tiny-digits")
    for prefix, count, seed in (("train", 400, 1), ("t10k", 100, 2)):
        split = tiny_split(count, seed)
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", split.images.reshape(-1, 28, 28))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", split.labels.astype(np.uint8))
    return folder


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """One tiny model, trained and measured, that accidents are compared with."""
    return prepare(tmp_path_factory.mktemp("torture"))


@pytest.fixture(scope="session")
def whole(ground: Ground) -> Run:
    """The finished run of that model, with its report; whoever changes it takes a copy."""
    return run_lab(ground.experiment, ground.folder / "whole")


@pytest.fixture(scope="session")
def proved(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchFolder:
    """A small search of the VAE with its proof, by the command line and a TOML file."""
    folder = made_once(tmp_path_factory, "proved", lambda place: prove(place, tiny_folder))
    return SearchFolder(folder / "out")


def prove(place: Path, tiny_folder: Path) -> SearchFolder:
    """Run the search of ``proved``."""
    (place / "search.toml").write_text(
        f'data = "{tiny_folder}"\nlatent_dim = [4]\nvalidation = 60\n[network]\nhidden = [32]\n'
        "[vae]\nepochs = 8\nlearning_rate = 1e-3\n[search]\ntrials = 30\ntrial_epochs = 3\n"
        "[search.space]\nhidden = 32\nlearning_rate = [1e-4, 1e-2]\n[search.proof]\nseeds = 3\n"
    )
    flags = ["--trials", "5", "--proof.top", "2", "--space.activation", "relu", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "aelab", "search", "--config", place / "search.toml",
         "--out", place / "out", *flags],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = SearchFolder(place / "out")
    printed = json.loads(done.stdout)
    assert printed == {"search": str(folder.path), "proof": folder.proof()} | folder.results()
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip is a failure: there everything is present that a test may need."""
    report = yield
    if report.skipped and os.environ.get("AELAB_NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
    return report
