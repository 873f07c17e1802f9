import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from aelab.errors import AelabError
from aelab.losses import Batch, means, weighted_total
from aelab.models import MODELS, Architecture, Autoencoder, Objective, Variational
from aelab.models.ae import AE
from aelab.models.base import RECONSTRUCTION
from aelab.nets.network import ACTIVATIONS, NETWORKS, Network
from aelab.randomness import stream

HIDDEN = {"mlp": (32, 16), "conv": (4, 8)}


def build(name: str, seed: int = 0, kind: str = "mlp", **architecture: object) -> Autoencoder:
    network = Network.model_validate({"kind": kind, "hidden": HIDDEN[kind]})
    shape = Architecture.model_validate({"network": network, "latent_dim": 4} | architecture)
    return MODELS[name](shape, MODELS[name].Config(), seed=seed)


def pixels(count: int = 8) -> torch.Tensor:
    return torch.rand(count, 784, generator=stream(0, "test"))


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("name", MODELS)
def test_shapes_units_and_determinism(name: str, kind: str) -> None:
    model = build(name, kind=kind)
    x = pixels()
    assert model.encode(x).shape == (8, 4)
    assert model.decode(model.encode(x)).shape == (8, 784)
    assert torch.equal(model.encode(x), model.encode(x))
    shown = model.reconstruct(x)
    assert shown.min() >= 0
    assert shown.max() <= 1
    loss = model.loss(Batch(x), stream(0, "noise"), 0.0)
    assert all(term.shape == (8,) for term in loss.terms.values())
    for split, parts in loss.per_dimension.items():
        torch.testing.assert_close(parts.sum(-1), loss.terms[split])
    torch.testing.assert_close(loss.total, weighted_total(means(loss.terms), loss.weights))


class Unusual(AE):  # type: ignore[misc]  # final
    """A model with modules, parameters and buffers of every kind that draw when they are built."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.embedding = nn.Embedding(3, 4)
        self.recurrent = nn.GRU(4, 4)
        self.linear = nn.Linear(4, 4)
        self.free = nn.Parameter(torch.randn(5))
        self.register_buffer("noise", torch.rand(6))


def test_whatever_a_model_is_made_of_starts_from_its_seed() -> None:
    before = torch.random.get_rng_state()
    first, second, other = (
        Unusual(Architecture(), Objective(), seed).state_dict() for seed in (3, 3, 4)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert {"free", "noise", "embedding.weight"} < first.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        assert not torch.equal(value, other[name]), name


@pytest.mark.parametrize("likelihood", RECONSTRUCTION)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_overfits_one_batch(name: str, likelihood: str) -> None:
    model = build(name, likelihood=likelihood)
    x = pixels().round()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    totals = []
    for step in range(150):
        optimizer.zero_grad()
        total = model.loss(Batch(x), stream(0, "noise", step), 1.0).total
        total.backward()
        optimizer.step()
        totals.append(total.item())
    # 8 images of independent fair bits cost 543 nats each with no knowledge of them.
    assert totals[0] - totals[-1] > 250


@pytest.mark.parametrize("name", MODELS)
def test_weights_follow_the_seed_and_leave_the_global_generator_alone(name: str) -> None:
    before = torch.get_rng_state()
    first, second, other = (build(name, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    for key, value in first.items():
        assert torch.equal(value, second[key])
        assert not torch.equal(value, other[key])


def test_a_pair_starts_from_the_same_numbers_where_its_networks_agree() -> None:
    ae, vae = build("ae").state_dict(), build("vae").state_dict()
    shared = [key for key in ae if ae[key].shape == vae[key].shape]
    assert len(shared) == len(ae) - 2  # all but the encoder's head
    for key in shared:
        assert torch.equal(ae[key], vae[key])
    head = next(key for key in ae if key not in shared and key.endswith("weight"))
    assert torch.equal(ae[head], vae[head][:4])


def test_initial_weights_have_the_spread_of_pytorchs_default() -> None:
    layer = nn.Linear(784, 32)
    ours = next(build("ae").encoder.children())
    assert isinstance(ours, nn.Linear)
    assert ours.weight.std().item() == pytest.approx(layer.weight.std().item(), rel=0.05)
    assert ours.weight.abs().max().item() <= 784**-0.5


@pytest.mark.parametrize("name", [n for n, m in MODELS.items() if issubclass(m, Variational)])
def test_a_variational_model_samples_its_prior_and_encodes_its_mean(name: str) -> None:
    model = build(name)
    assert isinstance(model, Variational)
    draws = model.prior().rsample(stream(0, "prior"), (5_000,))
    assert draws.mean().abs() < 0.02
    assert (draws.std() - 1).abs() < 0.02
    x = pixels()
    assert torch.equal(model.encode(x), model.posterior(x).mean)


def test_kl_warmup_raises_the_weight_linearly_and_then_holds_it() -> None:
    config = MODELS["vae"].Config.model_validate({"beta": 2.0, "kl_warmup": 10})
    model = MODELS["vae"](Architecture(latent_dim=2), config)
    weights = [model.loss(Batch(pixels()), stream(0), at).weights["kl"] for at in (0, 5, 10, 20)]
    assert weights == [0, 1, 2, 2]


def test_the_noise_of_the_noisy_ae_has_its_sigma_and_none_gives_the_ae(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, shape = pixels(500), Architecture(latent_dim=4)
    models = [MODELS["noise"](shape, MODELS["noise"].Config.model_validate({"sigma": s}))
              for s in (0.0, 0.7)]  # fmt: skip
    ae = MODELS["ae"](shape, MODELS["ae"].Config())
    assert torch.equal(*(m.loss(Batch(x), stream(0), 0).total for m in (models[0], ae)))
    codes: list[torch.Tensor] = []
    decode = models[1].decode

    def keep(z_BZ: torch.Tensor) -> torch.Tensor:
        codes.append(z_BZ)
        return decode(z_BZ)

    monkeypatch.setattr(models[1], "decode", keep)
    models[1].loss(Batch(x), stream(0), 0)
    noise = codes[0] - models[1].encode(x)
    assert noise.std().item() == pytest.approx(0.7, rel=0.05)
    assert noise.mean().abs() < 0.05
    assert list(models[1].loss(Batch(x), stream(0), 0).terms) == ["reconstruction"]  # and no KL


def test_a_conv_network_that_does_not_fit_the_image_says_so() -> None:
    network = Network(kind="conv", hidden=(4, 4, 4))
    with pytest.raises(AelabError, match="divisible by 8"):
        MODELS["ae"](Architecture(network=network), MODELS["ae"].Config())


@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_not_a_row_is_refused(name: str, kind: str) -> None:
    network = Network.model_validate({"kind": kind, "hidden": (4,)})
    model = MODELS[name](Architecture(network=network, latent_dim=3), MODELS[name].Config())
    twin = copy.deepcopy(model)  # as pickled and copied models do too
    for one in (model, twin):
        for shape in ((2, 1, 28, 28), (2, 28, 28), (784,), (2, 783)):
            with pytest.raises(AelabError, match=r"images as rows, .* \(B, 784\), not \("):
                one.encode(torch.zeros(shape))
        with pytest.raises(AelabError, match=r"codes as rows, .* \(B, 3\), not \(2, 4\)"):
            one.decode(torch.zeros(2, 4))
        assert one.reconstruct(torch.zeros(2, 784)).shape == (2, 784)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_built(activation: str) -> None:
    network = Network.model_validate({"activation": activation})
    model = MODELS["ae"](Architecture(network=network), MODELS["ae"].Config())
    assert any(isinstance(m, ACTIVATIONS[activation]) for m in model.modules())


def test_every_file_of_the_models_folder_is_registered() -> None:
    import aelab.models

    files = {p.stem for p in Path(aelab.models.__file__).parent.glob("*.py")}
    homes = {model.__module__.rpartition(".")[2] for model in MODELS.values()}
    assert files - {"__init__", "base", "latents"} == homes
