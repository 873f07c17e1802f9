"""What a run has written, read once into plain frozen records; the report sees nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from aelab.errors import RunError
from aelab.runs.records import Estimates, Json, Metric, Record, checked, named
from aelab.runs.run import Run

Array = NDArray[Any]


@dataclass(frozen=True)
class Model:
    """A trained model, or a baseline (then without history and arrays)."""

    key: str
    name: str
    title: str
    latent_dim: int | None
    metrics: Estimates
    facts: Json
    history: Sequence[Json] = ()
    arrays: Mapping[str, Array] | None = None

    def array(self, name: str) -> Array:
        """The array of this name; ask ``has`` first."""
        assert self.arrays is not None
        return self.arrays[name]

    def has(self, *names: str) -> bool:
        """Whether every one of these arrays was saved and holds something."""
        saved = self.arrays or {}
        return all(name in saved and saved[name].size > 0 for name in names)

    @property
    def has_prior(self) -> bool:
        """Whether the model's code is a distribution with the prior N(0, I)."""
        return self.has("posterior_std") or self.has("samples_prior")


@dataclass(frozen=True, kw_only=True)
class Results(Record):
    """One run: its setting, its metrics and its models."""

    protocol: str
    measures: Mapping[str, Metric]
    models: tuple[Model, ...]
    baselines: tuple[Model, ...]
    differences: Mapping[int, Estimates]
    pair_differs_in: tuple[str, ...]
    #: Model -> baseline -> metric -> model − baseline, paired over the test images.
    baseline_differences: Mapping[str, Mapping[str, Estimates]]

    @property
    def latent_dims(self) -> tuple[int, ...]:
        """Every d that was trained, in the order of the experiment."""
        trained = {model.latent_dim for model in self.models}
        wanted = [*self.experiment.get("latent_dim", ()), *sorted(d for d in trained if d)]
        return tuple(d for d in dict.fromkeys(wanted) if d in trained)

    def of_dim(self, latent_dim: int) -> tuple[Model, ...]:
        """The models of one size, in the order of the experiment."""
        return tuple(model for model in self.models if model.latent_dim == latent_dim)

    def pair(self, latent_dim: int) -> tuple[Model, Model] | None:
        """The two models whose differences (second − first) the run holds, if it has a pair."""
        models = self.of_dim(latent_dim)
        return (models[0], models[1]) if len(models) == 2 else None

    def beside(self, latent_dim: int) -> tuple[Model, ...]:
        """The baselines of models of this size."""
        return tuple(base for base in self.baselines if base.latent_dim in (latent_dim, None))

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes, by label."""
        return tuple(str(name) for name in self.data.get("label_names", ()))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.data.get("image_size", (28, 28))
        return int(height), int(width)

    @property
    def counts(self) -> Mapping[str, int]:
        """Images a split: train, validation, test."""
        return {name: int(count) for name, count in self.data.get("counts", {}).items()}

    @property
    def corpus(self) -> str:
        """What the images are, as the data call themselves: "MNIST", "5,000 bundled digits"."""
        return str(self.data.get("name", "the data"))

    def sample(self, split: str = "test") -> str:
        """The images of a split, in words."""
        count = f"{self.counts[split]:,} " if split in self.counts else ""
        article = "the " if self.corpus[:1].isdigit() else ""
        name = {"train": "training"}.get(split, split)
        return f"{count}{name} images of {article}{self.corpus}"

    @property
    def model_names(self) -> frozenset[str]:
        """The names of the models, such as ``vae``."""
        return frozenset(model.name for model in self.models)


def load(run: Run) -> Results:
    """Read a run folder; ``RunError`` if it has not been evaluated."""
    metrics = run.metrics()
    if not metrics.get("models"):
        raise RunError(f"{run.path} holds no metrics yet; run `aelab evaluate {run.path}` first.")
    keys = [key for key in run.model_keys() if key in metrics["models"]]

    def model(key: str, record: Json, name: str, **saved: Any) -> Model:
        title, size = record.get("title", key), record.get("latent_dim")
        estimates = checked(Estimates, record.get("metrics", {}), run.path)
        return Model(key, name, title, size, estimates, record, **saved)

    gaps = metrics.get("differences", {}), metrics.get("baseline_differences", {})
    return Results(
        name=run.path.name,
        experiment=run.experiment(),
        manifest=run.manifest(),
        data=metrics.get("data", {}),
        protocol=str(metrics.get("protocol", "")),
        measures=checked(dict[str, Metric], named(metrics["measures"]), run.path),
        models=tuple(
            model(key, found, str(found["model"]), history=run.history(key), arrays=run.arrays(key))
            for key in keys
            for found in [metrics["models"][key]]
        ),
        baselines=tuple(model(k, rec, k) for k, rec in metrics.get("baselines", {}).items()),
        differences=checked(dict[int, Estimates], gaps[0], run.path),
        pair_differs_in=tuple(metrics.get("pair_differs_in", ())),
        baseline_differences=checked(dict[str, dict[str, Estimates]], gaps[1], run.path),
    )
