"""Devices by name; on a machine that has no other than the CPU, training elsewhere is untried."""

import pytest
import torch

from aelab.config.device import evaluation_device, find_device
from aelab.data.dataset import Data
from aelab.errors import AelabError
from aelab.experiment.presets import preset
from aelab.training.loop import fit
from aelab.training.records import Epoch
from aelab.training.stacked import StackMember, fit_stacked


@pytest.fixture
def cpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize("name", ["cuda", "mps"])
@pytest.mark.usefixtures("cpu_only")
def test_a_device_that_is_not_here_is_refused_with_what_is(name: str) -> None:
    with pytest.raises(AelabError, match=f"no {name} device here .* --device cpu always works"):
        preset(device=name).resolved()


@pytest.mark.usefixtures("cpu_only")
def test_what_was_trained_on_a_gpu_is_measured_without_one() -> None:
    assert evaluation_device("cuda") == evaluation_device("mps") == torch.device("cpu")


@pytest.mark.usefixtures("cpu_only")
def test_auto_is_decided_once() -> None:
    assert preset().resolved().device == "cpu"


def test_auto_prefers_cuda_and_takes_mps_only_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto").type == "cpu"
    assert find_device("mps").type == "mps"
    assert evaluation_device("mps").type == "cpu"  # which has float64
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_device("auto").type == evaluation_device("cuda").type == "cuda"


if HERE := [name for name in ("cuda", "mps") if getattr(torch, name).is_available()]:

    @pytest.mark.parametrize("name", HERE)
    def test_training_there_comes_to_what_the_cpu_does(name: str, tiny_data: Data) -> None:
        """Other noise, and the same objective: the two are within a tenth."""
        experiment = preset(latent_dim=(3,), network={"hidden": (16,)}, vae={"epochs": 3})
        totals = []
        for device in ("cpu", name):
            model = experiment.build("vae-3", tiny_data.image_size)
            epochs = fit(model, tiny_data, experiment.training("vae"), seed=0, device=device)
            totals.append([*epochs][-1].validation.total)
        assert totals[1] == pytest.approx(totals[0], rel=0.1)

    @pytest.mark.parametrize("name", HERE)
    def test_models_train_there_at_once_as_one_by_one(name: str, tiny_data: Data) -> None:
        experiments = [
            preset(seed=seed, latent_dim=(3,), network={"hidden": (16,)}, vae={"epochs": 2})
            for seed in (0, 1)
        ]
        members = [StackMember(e.build("vae-3"), e.training("vae"), e.seed) for e in experiments]
        for own, found in zip(
            members, [*fit_stacked(members, tiny_data, device=name)][-1], strict=True
        ):
            assert isinstance(found, Epoch)
            model = experiments[own.seed].build("vae-3")
            epochs = fit(model, tiny_data, own.config, seed=own.seed, device=name)
            assert found.validation.total == pytest.approx([*epochs][-1].validation.total, rel=1e-3)
