"""The whole configuration of a run: shared settings, and a table for each model."""

import functools
from importlib.util import find_spec
from typing import Any, Literal, Self, TypedDict, cast, get_args

import torch
from pydantic import Field, create_model, field_validator, model_validator

from aelab.config.base import Config
from aelab.config.device import Device, find_device
from aelab.config.evaluation import EvaluationSettings
from aelab.data.binarize import Protocol as Pixels
from aelab.errors import not_installed
from aelab.models import MODELS, Architecture, Autoencoder, Objective
from aelab.models import model as model  # aelab.model: here the names of settings are reserved
from aelab.models.base import Likelihood
from aelab.nets.network import Network, Size
from aelab.nets.precision import Precision, Resolved, find_precision
from aelab.training.settings import Training

Baseline = Literal["pca", "pixels"]


class Conditions(TypedDict):
    """The arguments of a training that the models of a run share."""

    protocol: Pixels
    device: torch.device
    precision: Resolved


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
    split_seed: int = Field(0, ge=0, description="Seed of the split, separate from the training's.")
    validation: int | None = Field(
        None, ge=1, description="Validation images (None: a sixth of the training files)."
    )
    train_size: int | None = Field(
        None, ge=1, description="Training images, a stratified subset (None: all)."
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
    precision: Precision = Field(
        "auto",
        description="Of the matrix products of training: auto is bfloat16 where the CPU has AMX, "
        "else float32. Weights, optimizer and loss are float32.",
    )
    checkpoint_epochs: int = Field(
        1, ge=1, description="Epochs between checkpoints; the last epoch has one, too."
    )
    network: Network = Field(Network(), description="The network that the models share.")
    evaluation: EvaluationSettings = Field(
        EvaluationSettings(), description="The size of the evaluation."
    )
    baselines: tuple[Baseline, ...] = Field(
        ("pca", "pixels"), description="What is evaluated beside the models."
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

    def resolved(self) -> Self:
        """The experiment with a definite device and precision, which a resumed run keeps.

        Raises AelabError if a package, the device or the precision that it needs is missing.
        """
        self.require_packages()
        found = self.conditions()
        definite = {"device": found["device"].type, "precision": found["precision"]}
        return self.model_copy(update=definite)

    def conditions(self) -> Conditions:
        """What every model of the run is trained under, as :func:`aelab.fit` takes it.

        Raises AelabError if the device or the precision is missing here.
        """
        device = find_device(self.device)
        precision = find_precision(self.precision, device)
        return {"protocol": self.pixels, "device": device, "precision": precision}

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
