"""The hand-derived step against autograd."""

import copy
from collections.abc import Callable

import pytest
import torch

from aelab.data.dataset import Data
from aelab.experiment.presets import preset
from aelab.losses import Batch
from aelab.models import MODELS, Architecture, Autoencoder
from aelab.models.vae import VAE
from aelab.nets.network import Network
from aelab.randomness import stream
from aelab.training.fast import FusedStep
from aelab.training.loop import fit
from aelab.training.records import State
from aelab.training.settings import Training
from aelab.training.state import fits
from aelab.training.steps import AutogradStep, Step, gradient_norm, make_step

PLAIN = [name for name, model in MODELS.items() if model.plain_loss]


def build(name: str, activation: str = "relu", hidden: tuple[int, ...] = (48,)) -> Autoencoder:
    network = Network.model_validate({"hidden": hidden, "activation": activation})
    config = {"beta": 2.5} if name == "vae" else {}
    shape = Architecture(network=network, latent_dim=5)
    return MODELS[name](shape, MODELS[name].Config.model_validate(config))


@pytest.mark.parametrize("batch", [64, 7])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("hidden", [(48,), (40, 24)])
@pytest.mark.parametrize("name", PLAIN)
def test_the_gradients_are_autograds(
    name: str, hidden: tuple[int, ...], activation: str, batch: int
) -> None:
    model = build(name, activation, hidden)
    twin = copy.deepcopy(model)
    x = torch.rand(batch, 784, generator=stream(0, "x"))
    autograd, fused = AutogradStep(twin), FusedStep(model)
    expected, measured = (step(Batch(x), stream(0, "noise"), 0.0) for step in (autograd, fused))
    torch.testing.assert_close(measured, expected, rtol=1e-5, atol=1e-5)
    assert fused.terms == autograd.terms
    torch.testing.assert_close(gradient_norm(fused), gradient_norm(autograd), rtol=1e-5, atol=1e-5)
    for gradient, parameter in zip(fused.gradients, twin.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("encoder_rate", [1.0, 0.2])
def test_the_loss_curve_is_autograds(
    name: str, encoder_rate: float, tiny_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = preset("recipe", latent_dim=(4,), network={"hidden": (32,)})
    curves = []
    for maker in (make_step, AutogradStep):
        monkeypatch.setattr("aelab.training.loop.make_step", maker)
        model = experiment.build(f"{name}-4")
        changes = {"epochs": 5, "encoder_rate": encoder_rate}
        config = experiment.training(name).model_copy(update=changes)
        curves.append([e.validation.total for e in fit(model, tiny_data, config, seed=0)])
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


def test_what_it_does_not_fit_is_left_to_autograd() -> None:
    assert isinstance(make_step(build("vae")), FusedStep)
    conv = Architecture(network=Network(kind="conv", hidden=(4, 8)))
    assert isinstance(make_step(MODELS["ae"](conv, MODELS["ae"].Config())), AutogradStep)
    continuous = Architecture(likelihood="continuous-bernoulli")
    assert isinstance(make_step(MODELS["ae"](continuous, MODELS["ae"].Config())), AutogradStep)


class Reweighted(VAE):  # type: ignore[misc]  # final
    """A VAE with a weight on its reconstruction, whose author says that its loss is plain."""

    plain_loss = True

    def weights(self, epoch: float) -> dict[str, float]:
        return super().weights(epoch) | {"reconstruction": 3.0}


class Silent(VAE):  # type: ignore[misc]  # final
    """A VAE whose author says nothing about its loss."""


def test_a_subclass_says_itself_that_its_loss_is_plain(tiny_data: Data) -> None:
    shape = Architecture(network=Network(hidden=(24,)), latent_dim=3)
    assert not FusedStep.fits(Silent(shape, VAE.Config()))
    model = Reweighted(shape, VAE.Config())
    twin = copy.deepcopy(model)
    x = torch.rand(16, 784, generator=stream(0, "x"))
    steps = make_step(model), AutogradStep(twin)
    assert isinstance(steps[0], FusedStep)
    for step in steps:
        step(Batch(x), stream(0, "noise"), 0.0)
        assert step.term_weights == {"kl": 1.0, "reconstruction": 3.0}
    for gradient, parameter in zip(steps[0].gradients, twin.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-5, atol=1e-5)
    [epoch] = fit(model, tiny_data, Training(epochs=1), seed=0)
    assert epoch.train.weights == epoch.validation.weights == steps[0].term_weights


@pytest.mark.parametrize("name", PLAIN)
def test_a_state_of_either_step_continues_under_the_other(
    name: str, tiny_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a training on another device, which autograd does, is resumed."""
    config = Training(epochs=3, learning_rate=1e-3)
    makers = (make_step, AutogradStep)

    def run(maker: Callable[[Autoencoder], Step], epochs: int, start: State | None) -> State:
        monkeypatch.setattr("aelab.training.loop.make_step", maker)
        model = build(name)
        if start:
            assert fits(model, start)
        changed = config.model_copy(update={"epochs": epochs})
        return list(fit(model, tiny_data, changed, seed=0, start=start))[-1].state

    for maker, other in (makers, makers[::-1]):
        whole, half = (run(maker, epochs, None) for epochs in (3, 1))
        assert half.tensors.keys() == {
            *(f"model/{n}" for n, _ in build(name).named_parameters()),
            *(
                f"optimizer/{slot}/{n}"
                for slot in ("exp_avg", "exp_avg_sq", "step")
                for n, _ in build(name).named_parameters()
            ),
        }
        resumed = run(other, 3, half)
        for key, value in whole.tensors.items():
            torch.testing.assert_close(resumed.tensors[key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_the_model_sees_what_the_optimizer_does(name: str) -> None:
    model = build(name)
    step = FusedStep(model)
    optimizer = torch.optim.Adam(step.parameters.values(), lr=0.1, fused=True)
    before = [p.clone() for p in model.parameters()]
    step(Batch(torch.rand(8, 784)), stream(0), 0.0)
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
