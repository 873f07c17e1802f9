"""The interfaces of models, posteriors and priors, proved on toy models of every kind."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import aelab
from aelab.config.evaluation import EvaluationSettings
from aelab.data.binarize import freeze
from aelab.data.dataset import Data
from aelab.errors import AelabError
from aelab.export import has_gaussian_head, networks
from aelab.losses import Batch, Loss
from aelab.metrics import METRICS, Context, Estimate
from aelab.metrics.annealing import ais_check
from aelab.metrics.likelihood import elbo_terms
from aelab.models import (
    MODELS,
    Architecture,
    Autoencoder,
    DiagonalNormal,
    Latent,
    Objective,
    StandardNormal,
    Variational,
)
from aelab.nets.network import Network
from aelab.randomness import stream
from aelab.runs.run import Run
from aelab.training.loop import fit
from aelab.training.records import Epoch
from aelab.training.settings import Training
from tests.conftest import tiny_split
from tests.measured import per_image
from tests.toy_models import TOYS, MixtureNormal, OneHot, Skip, register

TRAINING = Training(epochs=3, batch_size=32, learning_rate=3e-3)
WITH_LIKELIHOOD = [name for name, toy in TOYS.items() if "likelihood" in toy.capabilities]
EXPORTABLE = {"mixture"}  # encode and decode are the networks and nothing else


def make(name: str) -> Autoencoder:
    network = Network(kind="mlp", hidden=(12,), activation="tanh")
    return TOYS[name](Architecture(network=network, latent_dim=2), Objective(), seed=3)


def train(model: Autoencoder, data: Data, start: Epoch | None = None) -> list[Epoch]:
    return list(fit(model, data, TRAINING, seed=3, start=start.state if start else None))


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The toys have names while a test runs."""
    before = dict(MODELS)
    register()
    yield
    for name in MODELS.keys() - before.keys():
        del MODELS[name]
        MODELS.definitions.pop(name)


@pytest.fixture(scope="module")
def small() -> Data:
    train, validation, test = (tiny_split(n, seed) for n, seed in ((200, 0), (40, 1), (12, 2)))
    return Data(
        train=train, validation=validation, test=test, name="tiny", source="array", why="test",
        image_size=(28, 28), classes=10, label_names=tuple("0123456789"), sha256={}, split="test",
    )  # fmt: skip


@pytest.mark.parametrize("name", TOYS)
def test_every_toy_trains_and_resumes_to_the_bit(name: str, small: Data) -> None:
    model, other = make(name), make(name)
    epochs = train(model, small)
    assert epochs[-1].validation.total < epochs[0].validation.total
    train(other, small, start=epochs[0])
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


# --- likelihoods against a sum or an integral over all codes ------------------------------------


def all_codes(model: Variational) -> tuple[Tensor, float]:
    """Codes ``(G, Z)`` that stand for all, and the log of the volume of each."""
    if isinstance(model.prior(), OneHot):
        pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3))
        return functional.one_hot(pairs, 3).float().flatten(1), 0.0
    line = torch.linspace(-6, 6, 81)
    return torch.cartesian_prod(line, line), 2 * math.log(float(line[1] - line[0]))


@torch.inference_mode()
def exact(model: Variational, x_ND: Tensor, labels_N: Tensor) -> Tensor:
    """log p(x) in nats ``(N,)``, of a conditional model given the label."""
    z_GZ, volume = all_codes(model)
    values = []
    for x_D, label in zip(x_ND, labels_N, strict=True):
        given = model.given(label.expand(len(z_GZ)))
        log_p = given.prior().log_prob(z_GZ) - given.reconstruction(
            given.decode(z_GZ), x_D.expand(len(z_GZ), -1)
        )
        values.append(log_p.double().logsumexp(0) + volume)
    return torch.stack(values)


@pytest.mark.parametrize("name", WITH_LIKELIHOOD)
def test_the_likelihood_is_that_of_brute_force(
    name: str, small: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(name)
    assert isinstance(model, Variational)
    # After a few small steps the posterior is still wide enough for importance sampling.
    list(fit(model, small, Training(epochs=2, batch_size=50, learning_rate=1e-3), seed=3))
    settings = EvaluationSettings(samples=5000)
    context = Context(model=model, data=small, seed=3, settings=settings, protocol="static")
    x_ND = torch.from_numpy(freeze(small.test.images, 3, "test")).float() / 255
    expected = -exact(model, x_ND, torch.from_numpy(small.test.labels)).numpy()
    np.testing.assert_allclose(per_image("nll_5000", context), expected, atol=0.1)
    # −ELBO is an upper bound, and K = 1 is its own estimate of it.
    reconstruction_N, kl_NP = elbo_terms(context)
    bound = (reconstruction_N + kl_NP.sum(-1)).numpy()
    assert (bound - expected).mean() > 0
    assert per_image("nll_1", context).mean() == pytest.approx(float(bound.mean()), rel=0.01)
    # The same from a part of the images and a control variate.
    monkeypatch.setattr("aelab.metrics.importance.SAMPLED", len(small.test) // 2)
    fewer = Context(model=model, data=small, seed=3, settings=settings, protocol="static")
    estimate = METRICS["nll_5000"].function(fewer)
    assert isinstance(estimate, Estimate)
    assert estimate.value == pytest.approx(expected.mean(), abs=1)
    assert estimate.interval is not None
    assert estimate.interval[0] < expected.mean() < estimate.interval[1]


def test_the_conditional_model_uses_the_label(small: Data) -> None:
    model = make("conditional")
    assert isinstance(model, Variational)
    train(model, small)
    x_ND = torch.from_numpy(freeze(small.test.images, 3, "test")).float() / 255
    labels_N = torch.from_numpy(small.test.labels)
    right, wrong = exact(model, x_ND, labels_N), exact(model, x_ND, (labels_N + 1) % 10)
    assert (right > wrong).all()
    with pytest.raises(AelabError, match="needs labels"):
        model.decode(torch.zeros(1, 2))


@pytest.mark.parametrize("name", WITH_LIKELIHOOD)
def test_annealing_asks_the_prior(name: str, small: Data) -> None:
    model = make(name)
    train(model, small)
    context = Context(model=model, data=small, seed=3)
    if name in ("discrete", "conditional"):
        with pytest.raises(AelabError, match=r"continuous code|no likelihood"):
            ais_check(context)
        return
    found = ais_check(context, images=20, chains=6, distributions=60)
    assert found["lower"] - 0.3 < found["upper"] < found["lower"] + 0.8
    assert found["importance"] > found["lower"] - 0.3


# --- latents ------------------------------------------------------------------------------------


def test_a_registered_kl_is_that_of_torch_and_of_draws() -> None:
    generator = stream(0, "latents")
    mean, log_variance = (torch.randn(4, 3, generator=generator) for _ in range(2))
    q, p = DiagonalNormal(mean, log_variance), StandardNormal(3)
    torch_q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    torch_p = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    z = q.rsample(generator, (20_000,))
    torch.testing.assert_close(q.log_prob(z), torch_q.log_prob(z).sum(-1))
    torch.testing.assert_close(p.log_prob(z), torch_p.log_prob(z).sum(-1))
    expected = torch.distributions.kl_divergence(torch_q, torch_p)
    torch.testing.assert_close(q.kl(p, z), expected)
    # The same by draws, for a prior that has no closed form but is the same distribution.
    same = MixtureNormal(torch.zeros(2, 3), torch.zeros(2, 3))
    estimate = q.kl(same, z)
    assert estimate.shape == (4, 1)
    torch.testing.assert_close(estimate[:, 0], expected.sum(-1), atol=0.05, rtol=0.02)
    assert q.kl(same, z[0]).shape == (4, 1)


@pytest.mark.parametrize("name", WITH_LIKELIHOOD)
def test_draws_of_a_prior_and_a_posterior_have_shape_mean_and_gradient(name: str) -> None:
    model = make(name)
    assert isinstance(model, Variational)
    x = torch.rand(5, 784, generator=stream(0, "x"))
    for latent, batch in ((model.prior(), ()), (model.posterior(x), (5,))):
        assert isinstance(latent, Latent)
        draws = latent.rsample(stream(0, "draws"), (4_000,))
        assert draws.shape == (4_000, *latent.mean.shape)
        assert latent.log_prob(draws).shape == (4_000, *batch)
        if name not in ("planar", "discrete", "layers"):  # where ``mean`` is the expectation
            torch.testing.assert_close(draws.mean(0), latent.mean, atol=0.15, rtol=0.1)
    model.posterior(x).rsample(stream(0, "one")).sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in model.encoder.parameters())


# --- everything else of a run -------------------------------------------------------------------


@pytest.mark.parametrize("name", TOYS)
def test_layers_are_exported_or_refused(name: str) -> None:
    model = make(name).eval()
    if name in EXPORTABLE:
        encoder, decoder = networks(model)
        assert encoder.layers
        assert decoder.layers
        assert has_gaussian_head(model)
        return
    with pytest.raises(AelabError, match=r"only Python can run it|cannot be exported"):
        networks(model)


@pytest.fixture(scope="module")
def run_of_toys(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One run of every toy beside the VAE, by the command's own functions."""
    before = dict(MODELS)
    register()
    settings = {name: {"epochs": 2} for name in ("vae", *TOYS)}
    experiment = aelab.preset(
        "quick", models=("vae", *TOYS), latent_dim=(2,), network={"hidden": (12,)},
        data=str(tiny_folder), baselines=(), evaluation={"pairs": 50}, **settings,
    )  # fmt: skip
    yield aelab.run_lab(experiment, out=tmp_path_factory.mktemp("toys") / "run", workers=2)
    for name in MODELS.keys() - before.keys():
        del MODELS[name]
        MODELS.definitions.pop(name)


def test_a_run_measures_what_a_model_has(run_of_toys: Run) -> None:
    models = run_of_toys.metrics()["models"]
    for name, toy in TOYS.items():
        measured = models[f"{name}-2"]["metrics"]
        for metric in METRICS.values():
            defined = metric.applies_to(toy.capabilities | {"labels"})
            if not defined and metric.asked(EvaluationSettings()):
                assert measured[metric.name] is None, (name, metric.name)
        assert measured["reconstruction_nll"]["value"] > 0
        assert (measured["nll_50"] is not None) == ("likelihood" in toy.capabilities)
        assert (measured["coverage_gaussian"] is not None) == ("decoder" in toy.capabilities)
        assert (measured["coverage_prior"] is not None) == ("prior" in toy.capabilities)
    # Only a Gaussian prior has a closed form of the gap.
    assert models["mixture-2"]["metrics"]["prior_gap"] is None
    assert models["skip-2"]["metrics"]["prior_gap"] is not None


def test_report_and_explorer_show_or_name_every_model(run_of_toys: Run) -> None:
    assert run_of_toys.path.joinpath("report.html").stat().st_size > 100_000
    page = run_of_toys.path.joinpath("explorer.html").read_text(encoding="utf-8")
    for name in TOYS:
        assert f"{name}-2" in page
    assert "only Python can run it" in page


def test_exports_of_a_run(run_of_toys: Run, tmp_path: Path) -> None:
    hub = aelab.export_models(run_of_toys, "hub", tmp_path / "hub", "mixture-2", "gain-2")
    original = aelab.load_model(run_of_toys, "mixture-2")
    loaded = aelab.load_exported(hub / "mixture-2")
    for key, value in original.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key])


@pytest.mark.parametrize("name", TOYS)
def test_onnx_holds_every_model_that_decodes_codes(
    name: str, run_of_toys: Run, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    if "decoder" not in TOYS[name].capabilities:
        with pytest.raises(AelabError, match="ONNX cannot hold it: use --format hub"):
            aelab.export_models(run_of_toys, "onnx", tmp_path, f"{name}-2")
        return
    aelab.export_models(run_of_toys, "onnx", tmp_path, f"{name}-2")
    model, x = aelab.load_model(run_of_toys, f"{name}-2"), torch.rand(5, 784)
    encoder, decoder = (
        onnxruntime.InferenceSession(tmp_path / f"{name}-2-{part}.onnx")
        for part in ("encoder", "decoder")
    )
    with torch.inference_mode():
        z = model.encode(x)
        np.testing.assert_allclose(encoder.run(None, {"x": x.numpy()})[0], z, atol=1e-5)
        logits = decoder.run(["logits"], {"code": z.numpy()})[0]
        np.testing.assert_allclose(logits, model.decode(z), atol=1e-5)


def test_the_labels_of_a_batch_reach_the_loss(small: Data) -> None:
    seen: list[Tensor] = []

    class Watching(Skip):
        def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:
            assert batch.labels is not None
            # The label is the place of the bright block.
            blocks = batch.x[:, :780].unflatten(1, (10, 78)).mean(-1)
            assert torch.equal(blocks.argmax(1), batch.labels)
            seen.append(batch.labels)
            return super().loss(batch, generator, epoch)

    model = Watching(Architecture(latent_dim=2), Objective(), seed=0)
    list(fit(model, replace(small), TRAINING.model_copy(update={"epochs": 1}), seed=0))
    assert len(torch.cat(seen)) == len(small.train) + len(small.validation)
