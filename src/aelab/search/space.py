"""The search space of a model: what its settings declare, narrowed or fixed by the user."""

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
from aelab.search.hyperparameter import Hyperparameter, Table, Texts
from aelab.training.settings import Training

Stored = dict[str, Any]  # by hyperparameter, what the database holds


def declared(
    settings: type[Config], table: Table, given: Config | None = None
) -> Iterator[Hyperparameter]:
    """The ranges that a table of settings declares.

    Args:
        settings: The table's class.
        table: Where it stands in the experiment.
        given: The settings that decide between several ranges of one field (None: all of them).
    """
    for name, field in settings.model_fields.items():
        for found in field.metadata:
            where = found.where if isinstance(found, Choice) else None
            if isinstance(found, Range | Choice) and (
                where is None or given is None or getattr(given, where[0]) == where[1]
            ):
                yield Hyperparameter(name, table, found)


class _Changes(Config):
    """Changes of a declared space; None leaves a hyperparameter as it is declared."""

    # A model that is registered later has settings of its own; resolve_space checks every name.
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Texts | None]

    @model_validator(mode="before")
    @classmethod
    def _as_texts(cls, values: Any) -> Any:
        """A number and a list of numbers, as TOML has them, are texts too."""
        if not isinstance(values, Mapping):
            return values
        return {
            name: value
            if value is None
            else tuple(map(str, value if isinstance(value, list | tuple) else [value]))
            for name, value in values.items()
        }


def _fields() -> dict[str, Any]:
    """A field for every hyperparameter that any model declares."""
    fields: dict[str, Any] = {}
    trainings: list[type[Config]] = [Training, *(model.Config for model in MODELS.values())]
    for found in (
        *declared(Architecture, "architecture"),
        *declared(Network, "network"),
        *(found for settings in trainings for found in declared(settings, "model")),
    ):
        only = "" if found.range.by_default else " (searched only when given here)"
        about = f"Declared: {found.describe()}{only}."
        fields.setdefault(found.name, (Texts | None, Field(None, description=about)))
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
class ResolvedSpace:
    """The hyperparameters of one search, and the experiment around them with the fixed values."""

    model: str
    base: Experiment
    dimensions: Mapping[str, Hyperparameter]

    @property
    def key(self) -> str:
        """The model's key in the experiment of a trial; its latent size may vary."""
        return next(iter(self.base.by_key))

    def experiment(self, stored: Mapping[str, Any]) -> Experiment:
        """The experiment of a trial."""
        values = {name: self.dimensions[name].value(value) for name, value in stored.items()}
        return _put(self.base, self.model, self.dimensions, values)

    def start(self) -> Stored | None:
        """The base experiment itself as a trial; None if it lies outside the space."""
        settings = {
            "architecture": {"latent_dim": self.base.latent_dim[0]},
            "network": self.base.network.model_dump(),
            "model": self.base.training(self.model).model_dump(),
        }
        values = {
            name: found.stored(settings[found.table][name])
            for name, found in self.dimensions.items()
        }
        return None if None in values.values() else values

    def quasi_random(self, count: int) -> list[Stored]:
        """Points of a scrambled Sobol sequence, which fill the space evenly; Owen (1998).

        Optuna's QMCSampler takes the space from a complete trial, and has none at the start.
        """
        rng = numpy_stream(self.base.seed, "search", "start")
        sobol = qmc.Sobol(len(self.dimensions), scramble=True, rng=rng)
        points = sobol.random_base2(max(0, count - 1).bit_length())[:count]
        return [
            {
                name: found.at(float(share))
                for (name, found), share in zip(self.dimensions.items(), point, strict=True)
            }
            for point in points
        ]

    def suggest(self, trial: optuna.Trial) -> Stored:
        """The sampler's suggestions for a trial."""
        return {name: found.suggest(trial) for name, found in self.dimensions.items()}


def resolve_space(experiment: Experiment, model: str, changes: Space) -> ResolvedSpace:
    """The space that the settings of a model declare, with the ``changes``.

    Raises AelabError if nothing is left to search, or a change names what the model does not have.
    """
    if model not in MODELS:
        raise AelabError(f"No model is named {model}; there are {', '.join(MODELS)}.")
    base = experiment.model_copy(
        update={"models": (model,), "latent_dim": experiment.latent_dim[:1]}
    )
    known = {
        found.name: found
        for found in (
            *declared(Architecture, "architecture"),
            *declared(Network, "network", base.network),
            *declared(type(base.training(model)), "model"),
        )
    }
    given = {name: texts for name, texts in changes.model_dump().items() if texts is not None}
    if unknown := sorted(given.keys() - known.keys()):
        flag = f"--space.{unknown[0].replace('_', '-')}"
        raise AelabError(f"{flag} is no setting of the {MODELS[model].title}: leave it out.")
    kept = {name: h for name, h in known.items() if name in given or h.range.by_default}
    fixed = {n: kept.pop(n).parse(texts[0]) for n, texts in given.items() if len(texts) == 1}
    dimensions = {n: h.narrowed(given[n]) if n in given else h for n, h in kept.items()}
    if not dimensions:
        raise AelabError("The space fixes every setting: leave one to search.")
    space = ResolvedSpace(model, _put(base, model, known, fixed), dimensions)
    for found in dimensions.values():  # a value that a setting refuses is reported now
        for value in found.extremes:
            _put(space.base, model, dimensions, {found.name: value})
    return space


def _put(
    base: Experiment, model: str, known: Mapping[str, Hyperparameter], values: Mapping[str, Any]
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
