"""The whole configuration of a lab run, its presets, TOML in and out."""

import functools
import json
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, Self, cast, get_args

from pydantic import Field, ValidationError, create_model, field_validator, model_validator

from aelab.config import Config, read_toml, sentence
from aelab.device import Device, find_device
from aelab.errors import AelabError, not_installed
from aelab.models import MODELS, Architecture, Autoencoder, Objective
from aelab.models import model as model  # aelab.model: here the names of settings are reserved
from aelab.models.base import Likelihood
from aelab.nets import Network, Size
from aelab.pixels import Protocol as Pixels
from aelab.train import Training

Baseline = Literal["pca", "pixels"]


class Measuring(Config):
    """How much effort the measures take; the same for every model of a run."""

    samples: Literal[500, 5000] = Field(
        500, description="Importance samples an image of the tightest likelihood bound."
    )
    draws: int = Field(
        10_000, ge=1, description="Images drawn by each sampler (at most one a test image)."
    )
    pairs: int = Field(5_000, ge=1, description="Pairs of test images to interpolate between.")
    flow: bool = Field(
        False, description="Draw by a flow fitted to the codes too (extra flow; 15 s a model)."
    )


class Experiment(Config):
    """One lab run, whole: shared settings, and one field for every registered model.

    What is written here holds for every model of a run; the fields of the models belong to the
    subclass that :func:`experiment_type` makes, of which every instance is one.
    """

    preset: str = Field(
        "recipe", description="The preset that the settings start from; see aelab presets."
    )
    seed: int = Field(0, ge=0, description="Seed of weights, batch order, noise and samples.")
    models: tuple[str, ...] = Field(
        ("ae", "vae"), min_length=1, description="The models to train, by name."
    )
    latent_dim: tuple[int, ...] = Field(
        (16, 2), min_length=1, description="Latent sizes d; each trains every model."
    )
    data: str = Field(
        "auto",
        description="auto, bundled (5,000 digits), mnist (cache or download), or a folder of IDX "
        "files.",
    )
    split_seed: int = Field(0, ge=0, description="Seed of the split, apart from the training's.")
    validation: int | None = Field(
        None, ge=1, description="Validation images (None: a sixth of the training files)."
    )
    train_size: int | None = Field(
        None, ge=1, description="Train on so many images, drawn by class (None: all)."
    )
    pixels: Pixels = Field(
        "grey", description="Data protocol: grey levels, dynamic or static binarisation."
    )
    likelihood: Likelihood = Field(
        "bernoulli", description="Reconstruction term; continuous-bernoulli needs grey pixels."
    )
    device: Device = Field(
        "auto", description="Where to train: auto is CUDA where there is one, else the CPU."
    )
    checkpoint_epochs: int = Field(
        1, ge=1, description="Keep a checkpoint after so many epochs, and at the end."
    )
    checkpoint_minutes: float | None = Field(
        None,
        gt=0,
        description="Keep one after so many minutes instead, also in the middle of an epoch.",
    )
    network: Network = Field(Network(), description="The network that the models share.")
    evaluation: Measuring = Field(Measuring(), description="The effort of the measures.")
    baselines: tuple[Baseline, ...] = Field(
        ("pca", "pixels"), description="What is measured beside the models."
    )

    def __new__(cls, **settings: Any) -> Self:  # noqa: ARG004
        """An instance has the fields of the models, too."""
        whole = experiment_type() if cls is Experiment else cls
        return cast("Self", super().__new__(whole))

    @field_validator("models", "latent_dim", "baselines")
    @classmethod
    def _unique(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(value)) < len(value):
            raise ValueError("name each one once")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unknown = set(self.models) - set(MODELS)
        if unknown:
            raise ValueError(f"no model is named {min(unknown)}; there are {', '.join(MODELS)}")
        if min(self.latent_dim) < 1:
            raise ValueError("latent_dim must be at least 1")
        if self.likelihood == "continuous-bernoulli" and self.pixels != "grey":
            raise ValueError("likelihood continuous-bernoulli needs pixels grey")
        return self

    def training(self, name: str) -> Training:
        """How the model called ``name`` is trained."""
        return cast("Training", getattr(self, name))

    def objective(self, name: str) -> Objective:
        """The settings of that model's loss."""
        return cast("Objective", getattr(self, name))

    @property
    def by_key(self) -> dict[str, tuple[str, int]]:
        """The models of the run: key, such as ``vae-16``, to name and latent size."""
        return {f"{name}-{d}": (name, d) for d in self.latent_dim for name in self.models}

    @property
    def baseline_keys(self) -> list[str]:
        """The baselines of the run: a PCA of each latent size, and the raw pixels."""
        pca = [f"pca-{d}" for d in self.latent_dim if "pca" in self.baselines]
        return pca + ["pixels"] * ("pixels" in self.baselines)

    def settled(self) -> Self:
        """The experiment with its device decided, so that a resume goes on with the same one.

        Raises AelabError if it asks for what is not installed or not here.
        """
        self.require_packages()
        return self.model_copy(update={"device": find_device(self.device).type})

    def require_packages(self) -> None:
        """Raise AelabError if a package that these settings need is not installed."""
        if self.evaluation.flow and find_spec("zuko") is None:
            raise not_installed("--evaluation.flow", "zuko", "flow")

    def build(self, key: str, image_size: Size = (28, 28)) -> Autoencoder:
        """The untrained model called ``key``, with the weights that the seed gives."""
        name, d = self.by_key[key]
        architecture = Architecture(
            network=self.network, image_size=image_size, latent_dim=d, likelihood=self.likelihood
        )
        return MODELS[name](architecture, self.objective(name), seed=self.seed)

    def pair_differs_in(self) -> list[str]:
        """In words, every setting but the objective in which the models' trainings differ."""
        return [
            f"{name.replace('_', ' ')} ("
            + ", ".join(f"{MODELS[m].title} {values[m]}" for m in self.models)
            + ")"
            for name in Training.model_fields
            if len(
                set((values := {m: getattr(self.training(m), name) for m in self.models}).values())
            )
            > 1
        ]


def _model_settings(model: type[Autoencoder]) -> type[Config]:
    bases = (Training,) if model.Config is Objective else (model.Config, Training)
    return create_model(f"{model.__name__}Settings", __base__=bases, __doc__=model.__doc__)


def experiment_type() -> type[Experiment]:
    """The Experiment with a field for each model that is registered now."""
    return _experiment_with(tuple(MODELS.items()))


@functools.cache
def _experiment_with(models: tuple[tuple[str, type[Autoencoder]], ...]) -> type[Experiment]:
    fields: dict[str, Any] = {
        name: (settings, Field(settings(), description=f"Settings of the {model.title}."))
        for name, model in models
        for settings in [_model_settings(model)]
    }
    return create_model("Experiment", __base__=Experiment, __doc__=Experiment.__doc__, **fields)


# Beside the settings and methods, the keys of the baselines and the table of a search.
MODELS.reserve(*Experiment.model_fields, *dir(Experiment), *get_args(Baseline), "search")

# Every variational model starts from the recipe's rate, and so does its ablation; the plain ones
# from Training's default.
_RECIPE: dict[str, Any] = {"vae": {"learning_rate": 1e-4}, "noise": {"learning_rate": 1e-4}}
# The recipe's networks, batch and objective, and its validation loss in a tenth of the VAE's epochs
# and a quarter of the AE's: a larger step that is let down to zero.
_COSINE = {"schedule": "cosine", "warmup_epochs": 0.3}
_FAST = {
    "ae": {"epochs": 12, "learning_rate": 5e-3, **_COSINE},
    "vae": {"epochs": 5, "learning_rate": 6e-3, **_COSINE},
    "noise": {"epochs": 5, "learning_rate": 6e-3, **_COSINE},
}
# The same as soon as can be: a straight line down to zero loses less, neither model spends its
# first steps on the black border, and the weights of the VAE's encoder go at a fifth of the rate
# that its decoder bears, so that larger and fewer steps do. The AE gains nothing by that (make
# fast).
_DOWN = {"schedule": "linear", "mean_start": True}
_FASTEST = {
    "ae": {"epochs": 7, "learning_rate": 6e-3, "warmup_epochs": 0.3, **_DOWN},
    "vae": {
        "epochs": 2, "batch_size": 144, "learning_rate": 3e-2, "encoder_rate": 0.2,
        "warmup_epochs": 0.4, **_DOWN,
    },
}  # fmt: skip
# What make search found and proved with five fresh seeds: docs/best.md.
_BEST_AE = {
    "learning_rate": 7.64e-3, "batch_size": 64, "epochs": 20, "weight_decay": 0.049,
    "schedule": "cosine", "warmup_epochs": 1.05,
}  # fmt: skip
_BEST_VAE = {
    "learning_rate": 6.39e-4, "batch_size": 32, "epochs": 10, "weight_decay": 6.97e-3,
    "warmup_epochs": 1.73, "beta": 0.841, "kl_warmup": 2.69,
}  # fmt: skip
_BEST_VAE_2D = {
    "learning_rate": 5.43e-4, "batch_size": 32, "epochs": 10, "weight_decay": 1.62e-3,
    "warmup_epochs": 1.47, "beta": 1.51, "kl_warmup": 4.03,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "recipe": _RECIPE,
    # Fewer, larger steps would be another recipe; quick keeps the batch and the pair's network,
    # cuts the epochs, and gives the VAE the AE's rate, since 1e-4 barely moves in so few steps.
    "quick": {
        "data": "bundled",
        "ae": {"epochs": 40},
        "vae": {"epochs": 40, "learning_rate": 1e-3},
        "noise": {"epochs": 40},
    },
    "fast": _FAST,
    "fast-ae": {"models": ["ae"], **_FASTEST},
    "fast-vae": {"models": ["vae"], **_FASTEST},
    "best-ae": {
        "models": ["ae"], "latent_dim": [16], "ae": _BEST_AE,
        "network": {"hidden": [800], "activation": "gelu"},
    },
    "best-vae": {
        "models": ["vae"], "latent_dim": [16], "vae": _BEST_VAE,
        "network": {"hidden": [800, 400], "activation": "gelu"},
    },
    "best-vae-2d": {
        "models": ["vae"], "latent_dim": [2], "vae": _BEST_VAE_2D,
        "network": {"hidden": [800, 400]},
    },
}  # fmt: skip
PRESET_HELP = {
    "recipe": "784-400-d, Adam, batch 64, 50 epochs, learning rate 1e-3 (AE) and 1e-4 (VAE)",
    "quick": "a first look: the same networks on the bundled digits, 40 epochs, both at 1e-3",
    "fast": "what the recipe comes to on validation, in 12 epochs (AE) and 5 (VAE)",
    "fast-ae": "the AE alone, as soon as can be: 7 epochs (--models ae vae: both)",
    "fast-vae": "the VAE alone, as soon as can be: 2 epochs (--models ae vae: both)",
    "best-ae": "the AE that a search over 60 trials found and five seeds proved: 784-800-16",
    "best-vae": "the VAE that a search over 60 trials found and five seeds proved: 784-800-400-16",
    "best-vae-2d": "the same for the latent plane, by 30 trials: 784-800-400-2",
}


def preset(name: str = "recipe", **changes: Any) -> Experiment:
    """The preset called ``name`` with some settings changed, nested ones as dicts."""
    return _over(name, changes, f"preset {name}")


def _over(name: str, changes: Mapping[str, Any], where: str) -> Experiment:
    if name not in PRESETS:
        raise AelabError(f"There is no preset {name}: choose from {', '.join(PRESETS)}.")
    return validate(merge(merge(PRESETS[name], changes), {"preset": name}), where)


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` laid over it, tables merged key by key."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def validate(settings: Mapping[str, Any], where: str) -> Experiment:
    """The Experiment of plain settings; a mistake is told in one sentence."""
    try:
        return experiment_type().model_validate(settings)
    except ValidationError as error:
        raise AelabError(f"In {where}: {sentence(error)}") from None


class _Kept(Protocol):
    """A folder that keeps an experiment."""

    path: Path

    def experiment(self) -> dict[str, Any]: ...


def experiment_of(folder: _Kept) -> Experiment:
    """The Experiment of a run, study or search; settings newer than it have their defaults."""
    return validate(folder.experiment(), f"{folder.path}/experiment.json")


def load_toml(
    path: Path, base: str | None = None, beside: Collection[str] = (), **changes: Any
) -> Experiment:
    """The Experiment of a TOML file laid over its preset (``base`` overrules the file's own).

    ``changes`` lie between the two; tables ``beside`` it are not its own.
    """
    settings = {name: value for name, value in read_toml(path).items() if name not in beside}
    name = str(base or settings.get("preset", "recipe"))
    return _over(name, merge(changes, settings), str(path))


def to_toml(settings: Mapping[str, Any]) -> str:
    """Plain settings as TOML, one table deep; what is None is left out."""
    given = {key: value for key, value in settings.items() if value is not None}
    tables = {key: value for key, value in given.items() if isinstance(value, Mapping)}
    lines = [f"{key} = {_toml(value)}" for key, value in given.items() if key not in tables]
    for key, values in tables.items():
        rows = [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None]
        lines += ["", f"[{key}]", *rows] if rows else []
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
