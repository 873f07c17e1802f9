"""A run folder of every format there was opens in full (`make golden` writes that of a new one)."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from aelab.experiment.presets import validate
from aelab.lab.report import rebuild
from aelab.runs.folder import FORMAT
from aelab.runs.run import Run
from aelab.runs.search import open_folder
from aelab.training.state import load_weights

GOLDEN = Path(__file__).parent / "golden"
FORMATS = sorted(GOLDEN.iterdir())


@pytest.fixture(params=FORMATS, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    path = shutil.copytree(request.param, tmp_path / request.param.name)
    run = open_folder(path)
    assert isinstance(run, Run)
    return run


def test_the_format_that_is_written_has_its_folder() -> None:
    assert {path.name for path in FORMATS} == {f"format-{n}" for n in range(1, FORMAT + 1)}


def test_its_weights_give_the_images_that_it_kept(old: Run) -> None:
    experiment = validate(old.experiment(), str(old.path))
    assert [*experiment.by_key] == ["ae-2", "vae-2"]
    for key in experiment.by_key:
        folder, model = old.model(key), experiment.build(key, (8, 8))
        assert not folder.damaged()
        load_weights(model, safetensors.torch.load(folder.read("weights.safetensors")))
        arrays, model = folder.arrays(), model.eval()
        with torch.inference_mode():
            image = model.reconstruct(torch.from_numpy(arrays["originals"]).float() / 255)
        np.testing.assert_allclose(image * 255, arrays["reconstructions"], atol=0.51)
        assert len(folder.history()) == 3


def test_its_report_is_built_again(old: Run) -> None:
    run = rebuild(old.path)
    assert run.manifest()["format"] == FORMAT
    page = (run.path / "report.html").read_text()
    loss = run.metrics()["models"]["vae-2"]["metrics"]["negative_elbo"]
    assert f"{loss['value']:.2f}" in page
