"""An output that cannot be written fails before anything is trained, in one sentence."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from aelab.cli.doctor import examine, look_at_data
from aelab.data import cache
from aelab.errors import RunError
from aelab.experiment.presets import preset
from aelab.lab.run import run_lab
from aelab.runs.run import Run
from aelab.search import Search, run_search
from aelab.studies.study import run_study
from tests.idx_files import make_set, write_set

#: The tests run as root, who may write anywhere: the attempt is made by another user.
SCRIPT = """
import os, sys
# The other user may not reach the packages.
import aelab.console.progress, aelab.lab.run, aelab.search, aelab.studies.study
from aelab.cli.app import main
if os.getuid() == 0:
    os.setuid(65534)
main(sys.argv[1:])
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter; the parents of tmp_path are closed to others."""
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        yield Path(root)
        for folder in Path(root).rglob("*"):
            folder.chmod(0o755)


def refused(folder: Path, *words: str | Path) -> str:
    """The one sentence that aelab has for a user who may not write there, before any training."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        capture_output=True, text=True, check=False, cwd=folder,
        env={
            **os.environ, "PYTHONPATH": os.pathsep.join(sys.path),
            "AELAB_CACHE": tempfile.gettempdir(),
        },
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert "epoch" not in done.stderr + done.stdout
    [said] = [line for line in done.stderr.splitlines() if line.startswith("aelab: ")]
    return said


@pytest.mark.parametrize(("mode", "below"), [(0o555, "run"), (0o555, "a/b/run"), (0o000, "run")])
def test_a_folder_without_permission(open_folder: Path, mode: int, below: str) -> None:
    closed = open_folder / "closed"
    closed.mkdir()
    closed.chmod(mode)
    write_set(open_folder / "digits", make_set())
    said = refused(open_folder, "run", "--data", open_folder / "digits", "--out", closed / below)
    assert f"Cannot make the run folder {closed / below}: Permission denied" in said
    assert list(closed.iterdir()) == []


def test_somebody_elses_run(open_folder: Path) -> None:
    run = Run.create(open_folder / "run", preset().model_dump(mode="json"))
    before = sorted(run.path.rglob("*"))
    assert f"Cannot write in {run.path}: Permission denied." in refused(
        open_folder, "resume", run.path
    )
    assert sorted(run.path.rglob("*")) == before


def test_a_disk_without_room(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5_000_000))
    experiment = preset(data=str(tiny_folder), latent_dim=(3,), network={"hidden": (16,)})
    for begin in (run_lab, run_study, partial(run_search, Search())):
        with pytest.raises(RunError, match=r"about \d+ MB, and its disk has 5 MB free: make room"):
            begin(experiment, tmp_path / "new" / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("home", ["/dev/null", None])
def test_a_cache_that_cannot_be_written_is_told_first(
    home: str | None, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a home folder platformdirs raises, as it does for a user that nobody knows."""

    def no_home(_: str) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("AELAB_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if home:
        monkeypatch.setenv("HOME", home)
    else:
        monkeypatch.setattr(cache, "user_cache_dir", no_home)
    experiment = preset(data=str(tiny_folder), latent_dim=(2,))
    search = Search(model="ae", goal="coverage_gaussian", trials=1)
    for begin in (run_lab, run_study, partial(run_search, search)):
        with pytest.raises(RunError, match=r"cache.*: set AELAB_CACHE to a folder that can be wri"):
            begin(experiment, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    assert [text for text in examine()["problems"] if "set AELAB_CACHE" in text]
    assert look_at_data(None, print)[1]["name"] == "MNIST"
