"""What a search looks for: evaluated on validation, at β = 1, never on test."""

import dataclasses
from typing import Any, cast

import numpy as np
import pytest
import torch

from aelab.data.dataset import Data
from aelab.errors import AelabError
from aelab.experiment.presets import preset
from aelab.experiment.settings import Experiment
from aelab.metrics import METRICS, Context
from aelab.models import Autoencoder
from aelab.search.goals import GOALS, find_goal, validation_context
from aelab.training.loop import fit
from aelab.training.records import Epoch

SMALL: dict[str, Any] = {"latent_dim": (4,), "network": {"hidden": (32,)}}


def trained(
    data: Data, name: str = "vae", **settings: Any
) -> tuple[Autoencoder, Experiment, Epoch]:
    settings = {"learning_rate": 3e-3, "epochs": 20} | settings
    changes: dict[str, Any] = {**SMALL, name: settings}
    experiment = preset(**changes)
    model = experiment.build(f"{name}-4")
    *_, last = fit(model, data, experiment.training(name), seed=0)
    return model, experiment, last


def test_a_likelihood_is_that_of_beta_one_whatever_beta_trained(tiny_data: Data) -> None:
    """By their own losses the smallest β wins; by the likelihood it is the worst."""
    likelihood, raw = {}, {}
    for beta in (0.02, 1.0, 10.0):
        model, experiment, last = trained(tiny_data, beta=beta)
        likelihood[beta] = GOALS["likelihood"].of(validation_context(model, tiny_data, experiment))
        raw[beta] = last.validation.total
    assert min(raw, key=lambda beta: raw[beta]) == 0.02
    assert min(likelihood, key=lambda beta: likelihood[beta]) == 1.0


def test_the_likelihood_is_the_lab_s_own_on_the_validation_images(tiny_data: Data) -> None:
    model, experiment, _ = trained(tiny_data)
    context = validation_context(model, tiny_data, experiment)
    found = GOALS["likelihood"].of(context)
    expected = METRICS["negative_elbo"].function(
        Context(model=model, data=dataclasses.replace(tiny_data, test=tiny_data.validation), seed=0)
    )
    # Ten draws an image there, one here: 50 images leave a standard error of about half a nat.
    assert found == pytest.approx(float(np.mean(cast(Any, expected))), abs=2)


def test_the_reconstruction_of_an_ae_is_its_loss(tiny_data: Data) -> None:
    model, experiment, last = trained(tiny_data, "ae")
    context = validation_context(model, tiny_data, experiment)
    assert GOALS["reconstruction"].of(context) == pytest.approx(last.validation.total, rel=1e-6)


def test_codes_that_tell_the_digit_are_a_good_representation(tiny_data: Data) -> None:
    model, experiment, _ = trained(tiny_data, "ae")
    assert GOALS["representation"].of(validation_context(model, tiny_data, experiment)) > 0.9
    torch.nn.init.zeros_(next(iter(model.encoder.parameters())))
    assert GOALS["representation"].of(validation_context(model, tiny_data, experiment)) < 0.5


@pytest.mark.parametrize("name", [*GOALS, "mse", "probe_accuracy", "knn_accuracy"])
def test_no_goal_can_see_a_test_image(name: str, tiny_data: Data) -> None:
    blind = dataclasses.replace(tiny_data)
    object.__setattr__(blind, "test", None)
    model, experiment, _ = trained(blind)
    value = find_goal(name).of(validation_context(model, blind, experiment))
    assert np.isfinite(value)


def test_what_a_metric_chooses_it_chooses_on_training_images(tiny_data: Data) -> None:
    model, experiment, _ = trained(tiny_data)
    shifted = validation_context(model, tiny_data, experiment).data
    assert shifted.test is tiny_data.validation
    together = np.concatenate([shifted.train.images, shifted.validation.images])
    assert (together == tiny_data.train.images).all()


@pytest.mark.parametrize("name", ["beauty", "kl"])  # kl is a metric without a better side
def test_a_goal_that_is_none_is_told(name: str) -> None:
    with pytest.raises(AelabError, match=f"There is no goal {name}: choose from reconstruction"):
        find_goal(name)
