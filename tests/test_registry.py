import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import aelab
from aelab.cli.doctor import examine
from aelab.cli.options import RunOptions, experiment_and
from aelab.config import registry
from aelab.config.registry import load_plugins, registered_elsewhere
from aelab.console.progress import Display, with_workers
from aelab.errors import AelabError
from aelab.losses import Batch, Loss
from aelab.metrics import METRICS
from aelab.models import MODELS, Autoencoder
from aelab.runs.pool import Event, Watch, check_workers


class SparseAE(Autoencoder):
    """An AE with an L1 penalty on its codes."""

    def encode(self, x_BD: Tensor) -> Tensor:
        z_BZ: Tensor = self.encoder(x_BD)
        return z_BZ

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:  # noqa: ARG002
        return Loss({"sparsity": self.encode(batch.x).abs().sum(-1)}, {})


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """What a test registers is gone after it."""
    before = [(kept, dict(kept)) for kept in (MODELS, METRICS)]
    yield
    for kept, content in before:
        for name in kept.keys() - content.keys():
            del kept[name]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("data", "cannot be named data, which has a meaning of its own in the settings"),
        ("build", "cannot be named build, which"),
        ("pca", "cannot be named pca, which"),
        ("search", "cannot be named search, which"),
        ("vq-vae", "cannot be named 'vq-vae': use lower-case letters, digits and underscores"),
        ("vae", r"There already is a model named vae \(aelab.models.vae.VAE\): choose another"),
    ],
)
def test_a_name_is_checked_where_it_is_registered(name: str, sentence: str) -> None:
    before = list(MODELS)
    with pytest.raises(AelabError, match=sentence):
        aelab.model(name, title="Sparse AE")(SparseAE)
    assert list(MODELS) == before


def test_settings_flags_and_spaces_follow_the_registry() -> None:
    earlier = aelab.preset()
    for _ in range(2):  # a cell of a notebook that runs again
        aelab.model("sparse", title="Sparse AE")(SparseAE)
    changes: dict[str, Any] = {"models": ("sparse",), "latent_dim": (2,), "sparse": {"epochs": 3}}
    experiment = aelab.preset(**changes)
    assert isinstance(experiment, aelab.Experiment)
    assert isinstance(earlier, aelab.Experiment)
    assert isinstance(experiment.build("sparse-2"), SparseAE)
    assert aelab.Experiment(**changes).training("sparse").epochs == 3
    words = ["--models", "sparse", "--latent-dim", "2", "--sparse.epochs", "3"]
    assert experiment_and(RunOptions, "run", words, None)[0] == experiment


def test_what_worker_processes_cannot_import_is_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    aelab.model("sparse", title="Sparse AE")(SparseAE)
    with pytest.raises(
        AelabError, match=r"cannot import the model sparse of tests.test_registry: define it in"
    ):
        aelab.run_lab(aelab.preset("quick"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


PLUGIN = """
import aelab

@aelab.metric("plugged", title="Plugged", family="latent")
def plugged(context):
    "A metric of a plugin."
    return 0.0
"""


def install(folder: Path, name: str, code: str, patch: pytest.MonkeyPatch) -> None:
    (folder / f"{name}.py").write_text(code)
    facts = folder / f"{name}-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(f"[aelab.plugins]\nmine = {name}\n")
    patch.syspath_prepend(folder)
    patch.setattr(registry, "_found", False)


def test_a_plugin_is_loaded_here_and_in_worker_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "aelab_plugged", PLUGIN, monkeypatch)
    assert aelab.METRICS["plugged"].title == "Plugged"
    assert registered_elsewhere() == {"metric plugged": "aelab_plugged"}
    check_workers()


def test_a_plugin_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "aelab_broken", "import aelab_absent", monkeypatch)
    with pytest.raises(
        AelabError, match=r"plugin mine of aelab_broken cannot be loaded \(No module named 'aelab_a"
    ):
        load_plugins()
    monkeypatch.setattr(registry, "_found", False)
    [problem] = [text for text in examine()["problems"] if "plugin" in text]
    assert problem.endswith("repair or uninstall it.")


SCRIPT = """
from pathlib import Path
from aelab.config.registry import Registry
from aelab.errors import AelabError
from aelab.runs.pool import check_workers

def here():
    pass

Registry("metric").register("here", here, here)
if __name__ == "__main__" or Path("unguarded").exists():
    check_workers()
    Path("unguarded").touch()
    try:
        check_workers()
    except AelabError as error:
        print(error)
"""


def test_what_a_script_registers_is_found_if_it_has_a_guard(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Worker processes cannot import the metric here of __main__: ")
    assert len(done.stdout.splitlines()) == 1


@with_workers(Display)
def say(what: str, watch: Watch = lambda event: None) -> str:  # noqa: ARG005
    watch(Event("job", "message", what))
    return what


def test_progress_is_shown_to_whoever_looks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say("nobody") == "nobody"
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    say("a terminal")
    assert "a terminal" in capsys.readouterr().out
    seen: list[Event] = []
    say("somebody", watch=seen.append)
    assert [event.content for event in seen] == ["somebody"]
    assert capsys.readouterr().out == ""
