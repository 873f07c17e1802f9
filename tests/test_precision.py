"""The precision of training: chosen once, kept in the run, and the same bits every time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from aelab.data.dataset import Data
from aelab.errors import AelabError
from aelab.experiment.presets import experiment_of, preset
from aelab.nets import matmul
from aelab.nets.precision import Resolved, find_precision
from aelab.training.arithmetic import arithmetic
from aelab.training.loop import fit
from aelab.training.records import State

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Makes torch describe another processor."""

    def describe(name: str, *units: str, capability: str = "AVX512") -> None:
        found = {"cpu_name": name, **dict.fromkeys(units, True)}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
        matmul.by_onednn.cache_clear()

    monkeypatch.setattr(matmul, "by_onednn", matmul.by_onednn)  # cleared below, in this order
    yield describe
    monkeypatch.undo()
    matmul.by_onednn.cache_clear()


def test_auto_takes_bfloat16_where_it_is_measured_to_be_faster(
    processor: Callable[..., None],
) -> None:
    processor("Intel Xeon", "avx512_bf16", "amx_bf16")
    assert find_precision("auto", CPU) == find_precision("bfloat16", CPU) == "bfloat16"
    assert find_precision("float32", CPU) == "float32"
    processor("AMD EPYC", "avx512_bf16")
    assert find_precision("auto", CPU) == "float32"
    assert find_precision("bfloat16", CPU) == "bfloat16"


@pytest.mark.parametrize("name", ["Intel Xeon", "AMD EPYC"])
def test_what_the_machine_does_not_have_is_refused_before_training(
    name: str, processor: Callable[..., None]
) -> None:
    processor(name, "avx512_bf16", "amx_bf16", capability="AVX2")
    assert preset().resolved().precision == "float32"
    with pytest.raises(AelabError, match=r"does not multiply bfloat16 .* --precision float32"):
        preset(precision="bfloat16").resolved()


class Older:
    """The folder of a run from before there was a precision."""

    path = Path("runs/older")

    def experiment(self) -> dict[str, object]:
        return {"preset": "recipe"}


def test_an_older_run_goes_on_in_float32() -> None:
    assert experiment_of(Older()).precision == "float32"
    assert preset().precision == "auto"


def trained(data: Data, key: str, kind: str, precision: Resolved, start: State | None) -> State:
    network = {"kind": kind, "hidden": (4, 8) if kind == "conv" else (400,)}
    experiment = preset(latent_dim=(3,), network=network, ae={"epochs": 2}, vae={"epochs": 2})
    model = experiment.build(f"{key}-3", data.image_size)
    epochs = fit(model, data, experiment.training(key), seed=0, start=start, precision=precision)
    return next(epochs).state


@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_bits_in_each_precision(
    kind: str, precision: Resolved, tiny_data: Data
) -> None:
    first, again = (trained(tiny_data, "vae", kind, precision, None) for _ in "ab")
    assert same(first, again)
    resumed, later = (trained(tiny_data, "vae", kind, precision, first) for _ in "ab")
    assert resumed.epoch == 2
    assert same(resumed, later)
    assert all(value.dtype == torch.float32 for value in resumed.tensors.values())


def test_bfloat16_rounds_and_learns_the_same(
    tiny_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matmul, "by_onednn", lambda: True)  # where the rounding needs no unit
    totals: dict[str, list[float]] = {}
    for precision in ("float32", "bfloat16"):
        experiment = preset(latent_dim=(3,), ae={"epochs": 3})
        model = experiment.build("ae-3", tiny_data.image_size)
        epochs = fit(model, tiny_data, experiment.training("ae"), seed=0, precision=precision)
        totals[precision] = [epoch.validation.total for epoch in epochs]
    assert totals["float32"] != totals["bfloat16"]
    assert totals["float32"] == pytest.approx(totals["bfloat16"], rel=0.01)


def test_the_settings_of_torch_are_put_back_after_every_epoch(tiny_data: Data) -> None:
    experiment = preset(latent_dim=(3,), ae={"epochs": 2})
    model = experiment.build("ae-3", tiny_data.image_size)
    before = matmul.BACKEND.fp32_precision
    epochs = fit(model, tiny_data, experiment.training("ae"), seed=0, precision="bfloat16")
    next(epochs)
    assert matmul.BACKEND.fp32_precision == before
    assert half_of_the_smallest().item() > 0
    with arithmetic("bfloat16"):
        assert matmul.BACKEND.fp32_precision == "bf16"
        assert half_of_the_smallest().item() == 0
    assert matmul.BACKEND.fp32_precision == before
    assert half_of_the_smallest().item() > 0


def same(a: State, b: State) -> bool:
    return all(torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors)


def half_of_the_smallest() -> Tensor:
    return torch.full((), torch.finfo(torch.float32).tiny) / 2
