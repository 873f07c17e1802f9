import math
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from aelab.data.dataset import Data, Split
from aelab.errors import TrainingError
from aelab.experiment.presets import preset
from aelab.experiment.settings import Experiment
from aelab.losses import Batch, Loss
from aelab.models import MODELS, Autoencoder
from aelab.training.loop import fit, mean_loss
from aelab.training.optimizer import Adam
from aelab.training.records import Epoch, MeanLoss, State
from aelab.training.settings import Training

SMALL = {"models": tuple(MODELS), "latent_dim": (4,), "network": {"hidden": (32,)}}


def small(**changes: object) -> Experiment:
    return preset("recipe", **(SMALL | changes))


def train(
    experiment: Experiment, name: str, data: Data, epochs: int, start: State | None = None
) -> list[Epoch]:
    model = experiment.build(f"{name}-4")
    config = experiment.training(name).model_copy(update={"epochs": epochs})
    return list(
        fit(model, data, config, seed=experiment.seed, protocol=experiment.pixels, start=start)
    )


def same(a: State, b: State) -> bool:
    return a.tensors.keys() == b.tensors.keys() and all(
        torch.equal(value, b.tensors[key]) for key, value in a.tensors.items()
    )


@pytest.mark.parametrize("pixels", ["grey", "dynamic", "static"])
@pytest.mark.parametrize("name", MODELS)
def test_resuming_gives_the_weights_of_an_uninterrupted_run(
    name: str, pixels: str, tiny_data: Data
) -> None:
    experiment = small(pixels=pixels)
    whole = train(experiment, name, tiny_data, 4)
    half = train(experiment, name, tiny_data, 2)
    rest = train(experiment, name, tiny_data, 4, start=half[-1].state)
    assert same(whole[-1].state, rest[-1].state)
    assert [e.validation for e in whole[2:]] == [e.validation for e in rest]


def test_weights_that_are_not_finite_are_never_a_state(
    tiny_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss is computed before its step, so the weights after the last step are checked too."""

    def poisoned(model: Autoencoder, *arguments: Any) -> MeanLoss:
        measured = mean_loss(model, *arguments)
        with torch.no_grad():
            next(model.parameters())[0, 0] = math.inf
        return measured

    monkeypatch.setattr("aelab.training.loop.mean_loss", poisoned)
    with pytest.raises(TrainingError, match=r"A weight is not finite after epoch 1"):
        train(small(), "ae", tiny_data, 2)


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_everything(name: str, tiny_data: Data) -> None:
    first, second, other = (train(small(seed=s), name, tiny_data, 2) for s in (0, 0, 1))
    assert same(first[-1].state, second[-1].state)
    assert not same(first[-1].state, other[-1].state)


@pytest.mark.parametrize("name", MODELS)
def test_training_learns_and_the_total_is_the_sum_of_its_terms(name: str, tiny_data: Data) -> None:
    epochs = train(small(**{name: {"learning_rate": 1e-3}}), name, tiny_data, 15)
    assert epochs[0].validation.total - epochs[-1].validation.total > 150  # nats
    for epoch in epochs:
        for measured in (epoch.train, epoch.validation):
            weighted = sum(v * measured.weights.get(k, 1) for k, v in measured.terms.items())
            assert measured.total == pytest.approx(weighted)
        row = epoch.row()
        assert row["gradient_norm"] > 0
        assert row["images_per_second"] > 0
        for key, parts in row["validation"].get("per_dimension", {}).items():
            assert sum(parts) == pytest.approx(row["validation"]["terms"][key], rel=1e-5)


def tensors(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(split.images), torch.from_numpy(split.labels)


def test_epoch_means_are_weighted_by_images_not_by_batches(tiny_data: Data) -> None:
    """200 images in batches of 64 end in one of 8; at rate ~0 the mean is that of all images."""
    experiment = small(ae={"learning_rate": 1e-30})
    epoch = train(experiment, "ae", tiny_data, 1)[0]
    model = experiment.build("ae-4")
    expected = mean_loss(model, *tensors(tiny_data.train), 0, "grey", 1.0)
    assert epoch.train.total == pytest.approx(expected.total, rel=1e-6)


def test_validation_does_not_depend_on_the_number_of_epochs_before(tiny_data: Data) -> None:
    experiment = small()
    model = experiment.build("vae-4")
    split = tensors(tiny_data.validation)
    assert mean_loss(model, *split, 0, "grey", 1) == mean_loss(model, *split, 0, "grey", 2)


def test_a_loss_that_is_not_finite_names_step_term_and_rate(
    tiny_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = small()
    model = experiment.build("vae-4")
    honest, calls = model.loss, []

    def poisoned(batch: Batch, generator: torch.Generator, epoch: float) -> Loss:
        calls.append(epoch)
        loss = honest(batch, generator, epoch)
        factor = math.nan if len(calls) == 3 else 1.0
        return Loss(
            {"reconstruction": loss.terms["reconstruction"], "kl": loss.terms["kl"] * factor}
        )

    monkeypatch.setattr(model, "loss", poisoned)
    monkeypatch.setattr(model, "plain_loss", False)  # the hand-derived step knows no poison
    with pytest.raises(TrainingError, match=r"kl is not finite at step 3 of epoch 1 .* 0\.0001"):
        list(fit(model, tiny_data, experiment.training("vae"), seed=0))


def test_learning_rate_schedule() -> None:
    config = Training(learning_rate=1.0, epochs=12, schedule="cosine", warmup_epochs=2)
    rates = [config.learning_rate_at(epoch) for epoch in (0, 1, 2, 7, 12)]
    np.testing.assert_allclose(rates, [0, 0.5, 1, 0.5, 0], atol=1e-12)
    straight = config.model_copy(update={"schedule": "linear"})
    rates = [straight.learning_rate_at(epoch) for epoch in (1, 2, 4.5, 12)]
    np.testing.assert_allclose(rates, [0.5, 1, 0.75, 0])
    assert Training(learning_rate=0.3).learning_rate_at(17.5) == 0.3


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_the_output_can_start_at_the_mean_image(tiny_data: Data, kind: str) -> None:
    """With steps of no size: what a pixel shows for a code of zero effect is its mean."""
    network = {"kind": kind, "hidden": (8,)}
    experiment = preset(latent_dim=(4,), models=("ae",), network=network)
    config = Training(epochs=1, learning_rate=1e-12, mean_start=True)
    model = experiment.build("ae-4", tiny_data.image_size)
    before = {name: p.clone() for name, p in model.named_parameters()}
    [_] = fit(model, tiny_data, config, seed=0)
    moved = {n for n, p in model.named_parameters() if not torch.allclose(p, before[n], atol=1e-6)}
    [name] = moved
    mean_D = tiny_data.train.images.reshape(len(tiny_data.train), -1).mean(0) / 255
    expected = mean_D if kind == "mlp" else [mean_D.mean()]
    assert name.startswith("decoder.")
    np.testing.assert_allclose(
        torch.sigmoid(model.get_parameter(name).detach()), np.clip(expected, 1e-3, 1 - 1e-3), 1e-4
    )


@pytest.mark.parametrize("network", [{"hidden": (8,)}, {"kind": "conv", "hidden": (8,)}])
def test_the_encoders_weights_have_a_rate_of_their_own(
    tiny_data: Data, network: dict[str, object]
) -> None:
    """The first step of Adam is the rate, in whatever direction the gradient points."""
    experiment = preset(latent_dim=(4,), models=("ae",), network=network)
    config = Training(epochs=1, batch_size=200, learning_rate=1e-3, encoder_rate=0.25)
    model = experiment.build("ae-4", tiny_data.image_size)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    [_] = fit(model, tiny_data, config, seed=0)
    for name, parameter in model.named_parameters():
        largest = float((parameter.detach() - before[name]).abs().max())
        apart = name.startswith("encoder.") and name.endswith("weight")
        expected = 0.25e-3 if apart else 1e-3
        assert largest == pytest.approx(expected, rel=1e-2), name


def test_adam_takes_parameters_of_any_shape_and_leaves_those_without_a_gradient() -> None:
    named = {name: torch.nn.Parameter(torch.zeros(shape)) for name, shape in
             (("scalar", ()), ("row", (6,)), ("table", (3, 2)), ("still", (3,)))}  # fmt: skip
    optimizer = Adam(named, scaled=("table", "still"), lr_scale=0.5)
    for name in ("scalar", "row", "table"):
        named[name].grad = torch.ones_like(named[name])
    optimizer.step(0.1)
    moved = {name: (-p.detach()).flatten().tolist() for name, p in named.items()}
    assert moved["scalar"] == pytest.approx([0.1])
    assert moved["row"] == pytest.approx([0.1] * 6)
    assert moved["table"] == pytest.approx([0.05] * 6)
    assert moved["still"] == [0.0] * 3


def test_a_resume_does_not_start_at_the_mean_image_again(tiny_data: Data) -> None:
    experiment = small(vae={"mean_start": True, "encoder_rate": 0.5})
    whole, half = (train(experiment, "vae", tiny_data, epochs) for epochs in (2, 1))
    [rest] = train(experiment, "vae", tiny_data, 2, start=half[0].state)
    assert same(whole[-1].state, rest.state)


def test_leaving_the_generator_early_is_all_that_stopping_takes(tiny_data: Data) -> None:
    experiment = small()
    epochs = fit(experiment.build("ae-4"), tiny_data, experiment.training("ae"), seed=0)
    assert [epoch.index for epoch in islice(epochs, 3)] == [1, 2, 3]
