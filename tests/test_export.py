"""Exports: ONNX gives PyTorch's numbers, a folder loads back as it was, names stay text."""

import json
import re
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

import aelab
from aelab.errors import AelabError
from aelab.export import FORMATS, Format, config, describe, write_models
from aelab.models import MODELS, Architecture, Autoencoder, DiagonalNormal, Variational
from aelab.models.base import Likelihood
from aelab.nets.network import Network
from aelab.runs.run import Run
from tests.fake_run import make_run
from tests.measured import layers

NETWORKS = {
    "dense": Network(kind="mlp", hidden=(24, 16), activation="relu"),
    "dense tanh": Network(kind="mlp", hidden=(24,), activation="tanh"),
    "conv": Network(kind="conv", hidden=(4, 6), activation="relu"),
    "conv gelu": Network(kind="conv", hidden=(3,), activation="gelu"),
}
X = torch.rand(7, 784, generator=torch.Generator().manual_seed(0))


def make(name: str, network: str = "dense", likelihood: Likelihood = "bernoulli") -> Autoencoder:
    architecture = Architecture(network=NETWORKS[network], latent_dim=2, likelihood=likelihood)
    return MODELS[name](architecture, MODELS[name].Config(), seed=1).eval()


def run_of(**shape: Any) -> Run:
    return cast(Run, make_run(Path("fake"), dims=(2,), epochs=1, **shape))


def exported(form: Format, folder: Path, model: Autoencoder) -> Path:
    return write_models(
        run_of(models=(model.name,)), {f"{model.name}-2": model}, form, folder / "out"
    )


@pytest.mark.parametrize(
    ("name", "network"),
    [*((name, "dense") for name in MODELS), *(("vae", network) for network in [*NETWORKS][1:])],
)
def test_onnx_gives_the_same_numbers_for_any_batch(name: str, network: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    model = make(name, network)
    out = exported("onnx", tmp_path, model)
    encoder, decoder = (
        onnxruntime.InferenceSession(out / f"{name}-2-{part}.onnx")
        for part in ("encoder", "decoder")
    )
    with torch.inference_mode():
        for x in (X, X[:1]):
            found = encoder.run(None, {"x": x.numpy()})
            if isinstance(model, Variational):
                posterior = model.posterior(x)
                assert isinstance(posterior, DiagonalNormal)
                wanted = [posterior.mean.numpy(), posterior.log_variance.numpy()]
                assert [o.name for o in encoder.get_outputs()] == ["mean", "log_variance"]
            else:
                wanted = [model.encode(x).numpy()]
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-5)
            z = model.encode(x)
            logits, pixels = decoder.run(["logits", "pixels"], {"code": z.numpy()})
            np.testing.assert_allclose(logits, model.decode(z).numpy(), atol=1e-5)
            np.testing.assert_allclose(pixels, model.reconstruct(x).numpy(), atol=1e-5)


def test_onnx_shows_the_mean_of_the_continuous_bernoulli(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    model = make("ae", likelihood="continuous-bernoulli")
    for parameter in layers(model.decoder)[0].parameters():
        parameter.data.mul_(20)  # logits from near zero to far from it
    out = exported("onnx", tmp_path, model)
    session = onnxruntime.InferenceSession(out / "ae-2-decoder.onnx")
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    logits, pixels = session.run(["logits", "pixels"], {"code": z.numpy()})
    assert np.abs(logits).min() < 1e-3
    assert np.abs(logits).max() > 2
    # In float64 torch's own formula is good near zero too.
    wanted = torch.distributions.ContinuousBernoulli(logits=torch.tensor(logits).double()).mean
    np.testing.assert_allclose(pixels, wanted.numpy(), atol=1e-5)


def test_onnx_holds_a_model_that_does_more_than_its_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    model = make("ae")
    monkeypatch.setattr(model, "decode", lambda z: model.decoder(2 * z))
    out = exported("onnx", tmp_path, model)
    path = out / "ae-2-decoder.onnx"
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    logits, _ = onnxruntime.InferenceSession(path).run(None, {"code": z.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(logits, model.decode(z).numpy(), atol=1e-5)
    assert str(Path(aelab.__file__).parent).encode() not in path.read_bytes()


def test_a_model_that_cannot_be_traced_is_refused_by_onnx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx", reason="needs onnx")
    model = make("ae")
    monkeypatch.setattr(model, "decode", lambda z: model.decoder(z if z.sum() > 0 else 2 * z))
    with pytest.raises(AelabError, match=r"^torch\.onnx cannot export the AE: "):
        exported("onnx", tmp_path, model)
    monkeypatch.setattr(type(model), "capabilities", frozenset({"codes", "pixels"}))
    with pytest.raises(AelabError, match="decodes no code alone"):
        exported("onnx", tmp_path, model)


def test_without_the_package_onnx_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(AelabError, match=r"aelab\[onnx\]"):
        exported("onnx", tmp_path, make("ae"))


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous-bernoulli"])
@pytest.mark.parametrize("network", ["dense tanh", "conv", "conv gelu"])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_loaded_back_is_the_same_model(
    name: str, network: str, likelihood: Likelihood, tmp_path: Path
) -> None:
    model = make(name, network, likelihood)
    key = f"{name}-2"
    places = [exported("hub", tmp_path / "h", model) / key]
    places.append(exported("safetensors", tmp_path / "s", model) / f"{key}.safetensors")
    with torch.inference_mode():
        for place in places:
            again = aelab.load_exported(place)
            assert type(again) is type(model)
            assert again.config == model.config
            assert torch.equal(again.reconstruct(X), model.reconstruct(X))
        card = (places[0] / "README.md").read_text(encoding="utf-8")
        with_aelab, without = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
        assert "aelab" not in without
        for code in (with_aelab, without):
            shown: dict[str, Any] = {"x": X}
            exec(code.replace("FOLDER", str(places[0])), shown)  # noqa: S102  # our own card
            torch.testing.assert_close(shown["codes"], model.encode(X), atol=1e-5, rtol=0)
            torch.testing.assert_close(shown["pixels"], model.reconstruct(X), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_an_experiment_loads_back_too(name: str, tmp_path: Path) -> None:
    """Its settings hold the training's beside its own."""
    experiment = aelab.preset("quick", models=(name,), latent_dim=(2,), vae={"beta": 4.0})
    model = experiment.build(f"{name}-2")
    again = aelab.load_exported(exported("hub", tmp_path, model) / f"{name}-2")
    assert torch.equal(again.decode(torch.ones(1, 2)), model.decode(torch.ones(1, 2)))
    assert again.weights(0) == model.weights(0)


def test_the_model_card_has_the_measured_numbers_and_keeps_names_text(tmp_path: Path) -> None:
    evil = "<img src=x> | [a](b) `c`\n# d"
    run = run_of()
    run.metrics()["data"]["name"] = evil
    write_models(run, {"vae-2": make("vae")}, "hub", tmp_path / "out")
    card = (tmp_path / "out" / "vae-2" / "README.md").read_text(encoding="utf-8")
    assert "| −ELBO (nats/image) | 103.2 | [101.1, 105.3] |" in card
    assert r"\<img src=x\> \| \[a\](b) \`c\` \# d" in card
    assert not re.search(r"(?<!\\)<", card)
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "pip install aelab" in card
    assert "`encode` gives the mean of the posterior q(z|x)" in card
    ae = config(run_of(), "ae-2", make("ae"))
    assert ae["metrics"]["negative_elbo"]["value"] is None
    assert json.loads(json.dumps(ae)) == ae


def test_the_card_of_a_model_that_does_more_than_its_layers_shows_no_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make("ae")
    monkeypatch.setattr(model, "decode", lambda z: model.decoder(2 * z))
    card = (exported("hub", tmp_path, model) / "ae-2" / "README.md").read_text(encoding="utf-8")
    assert "load_exported" in card
    assert "Without aelab" not in card
    assert "posterior" not in card
    again = aelab.load_exported(tmp_path / "out" / "ae-2")
    assert torch.equal(again.encode(X), model.encode(X))


@pytest.mark.parametrize("form", FORMATS)
def test_what_exists_is_not_overwritten(form: Format, tmp_path: Path) -> None:
    if form == "onnx":
        pytest.importorskip("onnx", reason="needs onnx")
    exported(form, tmp_path, make("ae"))
    with pytest.raises(AelabError, match="--out"):
        exported(form, tmp_path, make("ae"))


def test_what_is_no_export_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AelabError, match="cannot be read"):
        aelab.load_exported(tmp_path / "nowhere")
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(AelabError, match="aelab export"):
        aelab.load_exported(tmp_path / "x.safetensors")
    folder = exported("hub", tmp_path, make("ae")) / "ae-2"
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for change in (
        {"model": "other"},
        {"architecture": {"latent_dim": 3}},
        {"objective": {"a": 1}},
    ):
        (folder / "config.json").write_text(json.dumps(settings | change), encoding="utf-8")
        with pytest.raises(AelabError, match="aelab export"):
            aelab.load_exported(folder)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Softmax(-1), "of type Softmax"),
        (nn.GELU("tanh"), "GELU with approximate = 'tanh'"),
        (nn.Conv2d(2, 2, 3, groups=2), "Conv2d with groups = 2"),
        (nn.Conv2d(2, 2, 3, padding="same"), "Conv2d with padding = 'same'"),
        (nn.Flatten(2), "Flatten with start_dim = 2"),
    ],
)
def test_a_layer_without_description_is_named(layer: nn.Module, words: str) -> None:
    with pytest.raises(AelabError, match=f"{words} cannot be exported"):
        describe(nn.Sequential(layer))
