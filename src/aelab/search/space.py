"""The search space of a model: what its settings declare, narrowed or fixed by words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from pydantic import ConfigDict, Field, create_model, model_validator
from scipy.stats import qmc

from aelab.config.base import Config
from aelab.config.ranges import Choice, Range
from aelab.errors import AelabError
from aelab.experiment.presets import merge, validate
from aelab.experiment.settings import Experiment
from aelab.models import MODELS, Architecture
from aelab.nets.network import Network
from aelab.randomness import numpy_stream
from aelab.search.dimension import Dimension, Table, Words
from aelab.training.settings import Training

Stored = dict[str, Any]  # by dimension, what the database holds


def _ranges(
    settings: type[Config], table: Table, given: Config | None = None
) -> Iterator[Dimension]:
    """The dimensions that a table declares; ``given`` settings decide between several ranges."""
    for name, field in settings.model_fields.items():
        for found in field.metadata:
            where = found.where if isinstance(found, Choice) else None
            if isinstance(found, Range | Choice) and (
                where is None or given is None or getattr(given, where[0]) == where[1]
            ):
                yield Dimension(name, table, found)


class _Changes(Config):
    """What words make of a declared space; None leaves a dimension as it was declared."""

    # A model that is registered later has dimensions of its own; searched() checks every name.
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Words | None]

    @model_validator(mode="before")
    @classmethod
    def _as_words(cls, values: Any) -> Any:
        """A number and a list of numbers, as TOML has them, are words too."""
        if not isinstance(values, Mapping):
            return values
        return {
            name: value
            if value is None
            else tuple(map(str, value if isinstance(value, list | tuple) else [value]))
            for name, value in values.items()
        }


def _fields() -> dict[str, Any]:
    """A field for every dimension that any model declares."""
    tables: list[tuple[type[Config], Table]] = [
        (Architecture, "architecture"),
        (Network, "network"),
    ]
    of_models: list[type[Config]] = [Training, *(model.Config for model in MODELS.values())]
    tables += [(settings, "model") for settings in of_models]
    fields: dict[str, Any] = {}
    for dimension in (d for settings, table in tables for d in _ranges(settings, table)):
        asked = "" if dimension.range.by_default else " (searched only when given here)"
        about = f"Declared: {dimension.describe()}{asked}."
        fields.setdefault(dimension.name, (Words | None, Field(None, description=about)))
    return fields


if TYPE_CHECKING:

    class Space(_Changes):
        """What is searched: two ends or some options narrow a range, one value fixes it."""
else:
    Space = create_model(
        "Space",
        __base__=_Changes,
        __doc__="What is searched: two ends or some options narrow a range, one value fixes it.",
        **_fields(),
    )


@dataclass(frozen=True)
class Searched:
    """The dimensions of one search, and the experiment around them with what is fixed put in."""

    model: str
    base: Experiment
    dimensions: Mapping[str, Dimension]

    @property
    def key(self) -> str:
        """The model's key in the experiment of a trial; its latent size may vary."""
        return next(iter(self.base.by_key))

    def experiment(self, stored: Mapping[str, Any]) -> Experiment:
        """The experiment of a trial."""
        found = {name: self.dimensions[name].value(value) for name, value in stored.items()}
        return _put(self.base, self.model, self.dimensions, found)

    def start(self) -> Stored | None:
        """The base experiment itself as a trial; None where the space has no place for it."""
        settings = {
            "architecture": {"latent_dim": self.base.latent_dim[0]},
            "network": self.base.network.model_dump(),
            "model": self.base.training(self.model).model_dump(),
        }
        values = {
            name: dimension.stored(settings[dimension.table][name])
            for name, dimension in self.dimensions.items()
        }
        return None if None in values.values() else values

    def quasi_random(self, count: int) -> list[Stored]:
        """Points of a scrambled Sobol sequence, which fill the space evenly; Owen (1998)."""
        rng = numpy_stream(self.base.seed, "search", "start")
        sobol = qmc.Sobol(len(self.dimensions), scramble=True, rng=rng)
        points = sobol.random_base2(max(0, count - 1).bit_length())[:count]
        return [
            {
                name: dimension.at(float(share))
                for (name, dimension), share in zip(self.dimensions.items(), point, strict=True)
            }
            for point in points
        ]

    def suggest(self, trial: optuna.Trial) -> Stored:
        """What the sampler suggests for a trial."""
        return {name: dimension.suggest(trial) for name, dimension in self.dimensions.items()}


def searched(experiment: Experiment, model: str, changes: Space) -> Searched:
    """The space of a model: what its settings declare, as ``changes`` have it.

    Raises AelabError if nothing is left to search, or a change names what the model has not.
    """
    if model not in MODELS:
        raise AelabError(f"No model is named {model}; there are {', '.join(MODELS)}.")
    base = experiment.model_copy(
        update={"models": (model,), "latent_dim": experiment.latent_dim[:1]}
    )
    known = {
        dimension.name: dimension
        for settings, table, given in (
            (Architecture, "architecture", None),
            (Network, "network", base.network),
            (type(base.training(model)), "model", None),
        )
        for dimension in _ranges(settings, table, given)  # type: ignore[arg-type]
    }
    asked = {name: words for name, words in changes.model_dump().items() if words is not None}
    if unknown := sorted(asked.keys() - known.keys()):
        flag = f"--space.{unknown[0].replace('_', '-')}"
        raise AelabError(f"{flag} is no setting of the {MODELS[model].title}: leave it out.")
    kept = {n: d for n, d in known.items() if n in asked or d.range.by_default}
    fixed = {n: kept.pop(n).parse(words[0]) for n, words in asked.items() if len(words) == 1}
    dimensions = {n: d.narrowed(asked[n]) if n in asked else d for n, d in kept.items()}
    if not dimensions:
        raise AelabError("The space fixes every setting: leave one to search.")
    found = Searched(model, _put(base, model, known, fixed), dimensions)
    for dimension in dimensions.values():  # a value that a setting refuses is told now
        for value in dimension.extremes:
            _put(found.base, model, dimensions, {dimension.name: value})
    return found


def _put(
    base: Experiment, model: str, known: Mapping[str, Dimension], values: Mapping[str, Any]
) -> Experiment:
    changes: dict[str, Any] = {"network": {}, model: {}}
    for name, value in values.items():
        match known[name].table:
            case "architecture":
                changes["latent_dim"] = (value,)
            case "network":
                changes["network"][name] = value
            case "model":
                changes[model][name] = value
    return validate(merge(base.model_dump(), changes), "the search space")
