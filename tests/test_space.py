"""The search space: found beside the settings, narrowed and fixed by words."""

from pathlib import Path
from typing import Annotated

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Field

from aelab.config.base import Config
from aelab.config.ranges import Choice, Range
from aelab.errors import AelabError
from aelab.experiment.presets import preset
from aelab.models import MODELS
from aelab.search.space import Hyperparameter, ResolvedSpace, Space, declared, resolve_space


def space(model: str = "vae", **changes: object) -> ResolvedSpace:
    return resolve_space(preset(), model, Space.model_validate(changes))


@pytest.mark.parametrize("model", MODELS)
def test_every_model_shares_the_space_but_for_its_objective(model: str) -> None:
    dimensions = space(model).dimensions
    own = {name for name in MODELS[model].Config.model_fields if name in dimensions}
    assert dimensions.keys() - own == {
        "hidden", "activation", "learning_rate", "batch_size", "weight_decay", "schedule",
        "warmup_epochs",
    }  # fmt: skip
    assert model != "vae" or own == {"beta", "kl_warmup"}


def test_a_range_is_found_where_a_field_declares_it() -> None:
    class Mine(Config):
        """Settings of a model to come."""

        strength: Annotated[float, Range(0.1, 10, log=True)] = Field(1.0, description="…")
        order: int = 2

    assert list(declared(Mine, "model")) == [
        Hyperparameter("strength", "model", Range(0.1, 10, log=True))
    ]


def test_the_network_decides_betweendeclared() -> None:
    conv = resolve_space(preset(network={"kind": "conv", "hidden": (8, 16)}), "ae", Space())
    widths = conv.dimensions["hidden"].range
    assert isinstance(widths, Choice)
    assert (32, 64) in widths.options
    assert (400,) not in widths.options


def test_words_narrow_fix_and_open() -> None:
    found = space(
        learning_rate=["1e-3", "2e-3"], batch_size=128, hidden=["400", "512-256"],
        latent_dim=[4, 32], kl_warmup=0,
    )  # fmt: skip
    study = optuna.create_study()
    trial = study.ask()
    found.suggest(trial)
    assert trial.distributions["learning_rate"] == FloatDistribution(1e-3, 2e-3, log=True)
    assert trial.distributions["hidden"] == CategoricalDistribution(["400", "512-256"])
    assert trial.distributions["latent_dim"] == IntDistribution(4, 32, log=True)
    assert not {"batch_size", "kl_warmup"} & found.dimensions.keys()
    assert found.base.training("vae").batch_size == 128
    assert "latent_dim" not in space().dimensions  # a larger code is always better


def test_a_trial_is_an_experiment_of_one_model() -> None:
    found = space(latent_dim=[4, 32])
    stored = {
        "hidden": "800-400", "activation": "tanh", "learning_rate": 0.00123456, "batch_size": 256,
        "weight_decay": 1e-6, "schedule": "cosine", "warmup_epochs": 0.25, "beta": 2.0,
        "kl_warmup": 1.0, "latent_dim": 7,
    }  # fmt: skip
    experiment = found.experiment(stored)
    assert list(experiment.by_key) == ["vae-7"]
    assert experiment.network.hidden == (800, 400)
    settings = experiment.training("vae")
    assert (settings.learning_rate, settings.batch_size) == (0.00123, 256)  # three digits
    assert experiment.objective("vae").model_dump()["beta"] == 2.0


def test_the_base_is_the_first_trial_where_the_space_has_a_place_for_it() -> None:
    start = space().start()
    assert start is not None
    assert start["hidden"] == "400"
    assert start["learning_rate"] == 1e-4
    assert start["weight_decay"] == 1e-6  # 0, drawn into the range
    assert space(hidden=["200", "800"]).start() is None


def test_the_quasi_random_start_fills_every_range_and_follows_from_the_seed() -> None:
    found = space()
    points = found.quasi_random(16)
    assert points == space().quasi_random(16)
    assert points != resolve_space(preset(seed=1), "vae", Space()).quasi_random(16)
    rates = sorted(point["learning_rate"] for point in points)
    # Sixteen points of a Sobol sequence: one in each sixteenth of the range.
    for place, rate in enumerate(rates):
        assert 1e-4 * 100 ** (place / 16) <= rate <= 1e-4 * 100 ** ((place + 1) / 16)
    for schedule in ("constant", "cosine"):
        assert sum(point["schedule"] == schedule for point in points) == 8
    study = optuna.create_study()
    for point in points:
        study.enqueue_trial(point)
        assert found.suggest(study.ask()) == point  # a value out of its range would be drawn anew


@pytest.mark.parametrize(
    ("model", "changes", "sentence"),
    [
        ("ae", {"beta": 1}, "--space.beta is no setting of the AE"),
        ("vae", {"learning_rate": ["a", "b"]}, "--space.learning-rate takes values such as 0.0001"),
        ("vae", {"learning_rate": [1, 2, 3]}, "one value, or a lower and a higher end"),
        ("vae", {"learning_rate": [1e-2, 1e-3]}, "one value, or a lower and a higher end"),
        ("vae", {"learning_rate": [0, 1]}, "logarithmic scale"),
        ("vae", {"weight_decay": [-1, 1]}, "logarithmic scale"),
        ("vae", {"warmup_epochs": [-1, 1]}, "vae.warmup_epochs: input should be greater"),
        ("vae", {"schedule": ["cosine", "stepwise"]}, "vae.schedule: input should be 'constant'"),
        ("vae", {"schedule": "sine"}, "vae.schedule: input should be 'constant'"),
        ("vae", {"batch_size": ["0", "64"]}, "vae.batch_size: input should be greater"),
        ("vae", {"hidden": "wide"}, "--space.hidden takes values such as 200, not wide"),
        ("gan", {}, "No model is named gan"),
        ("ae", dict.fromkeys(("learning_rate", "warmup_epochs"), 1) | {"batch_size": 8, "hidden": 9}
         | {"activation": "relu", "weight_decay": 0, "schedule": "cosine"}, "leave one to search"),
    ],
)  # fmt: skip
def test_bad_words_are_told_in_a_sentence(
    model: str, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(AelabError, match=sentence):
        space(model, **changes)


def test_the_page_about_the_space_says_what_is_declared() -> None:
    page = (Path(__file__).parents[1] / "docs" / "hyperparameters.md").read_text(encoding="utf-8")
    for model in MODELS:
        known = Space.model_fields
        for name, dimension in space(model, latent_dim=[2, 64], epochs=[1, 10]).dimensions.items():
            assert name in known
            assert f"| `{name}` | {dimension.describe()}" in page
