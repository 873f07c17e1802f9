"""The search space of a model: what its settings declare, narrowed or fixed by the user.

The database and the command line hold numbers, or text for a choice (``512-256`` for two hidden
layers); the experiment holds the setting's own values.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import optuna
from pydantic import BeforeValidator, ConfigDict, Field, create_model
from scipy.stats import qmc

from aelab.config.base import Config
from aelab.config.ranges import Choice, Range
from aelab.errors import AelabError
from aelab.experiment.presets import merge, validate
from aelab.experiment.settings import Experiment
from aelab.models import MODELS, Architecture
from aelab.nets.network import Network
from aelab.randomness import numpy_stream
from aelab.training.settings import Training


def _as_texts(value: Any) -> Any:
    """A number and a list of numbers, as TOML has them, are texts too."""
    return tuple(map(str, value if isinstance(value, list | tuple) else [value]))


Table = Literal["architecture", "network", "model"]
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_texts)]
Stored = dict[str, Any]  # by hyperparameter, what the database holds
DIGITS = 3  # of a number that is trained with: more would be noise in a table


@dataclass(frozen=True)
class Hyperparameter:
    """A setting that can be searched: its name, the table it stands in, and its range."""

    name: str
    table: Table
    range: Range | Choice

    @property
    def flag(self) -> str:
        """The flag that narrows or fixes it."""
        return f"--space.{self.name.replace('_', '-')}"

    def suggest(self, trial: optuna.Trial) -> Any:
        """The sampler's suggestion, as the database holds it."""
        if isinstance(self.range, Choice):
            return trial.suggest_categorical(self.name, written(self.range))
        low, high, log = self.range.low, self.range.high, self.range.log
        if self.range.whole:
            return trial.suggest_int(self.name, round(low), round(high), log=log)
        return trial.suggest_float(self.name, low, high, log=log)

    def value(self, stored: Any) -> Any:
        """The setting's value for what the database holds; numbers to three digits."""
        if isinstance(self.range, Choice):
            return self.range.options[written(self.range).index(stored)]
        return round(stored) if self.range.whole else float(f"{stored:.{DIGITS}g}")

    def stored(self, value: Any) -> Any:
        """What the database holds for a value, moved into the range; None if it is no option."""
        if isinstance(self.range, Choice):
            return _as_text(value) if value in self.range.options else None
        inside = min(max(value, self.range.low), self.range.high)
        return round(inside) if self.range.whole else float(inside)

    def at(self, share: float) -> Any:
        """What the database holds at a share of the way through the range, from 0 to 1."""
        if isinstance(self.range, Choice):
            options = written(self.range)
            return options[min(int(share * len(options)), len(options) - 1)]
        low, high = self.range.low, self.range.high
        value = low * (high / low) ** share if self.range.log else low + share * (high - low)
        return self.stored(value)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values by which one sees whether the setting takes all of the range."""
        if isinstance(self.range, Choice):
            return self.range.options
        return self.value(self.at(0)), self.value(self.at(1))

    def narrowed(self, texts: Texts) -> "Hyperparameter":
        """The same between two ends, or with some options only."""
        values = tuple(self.parse(text) for text in texts)
        if isinstance(self.range, Choice):
            return dataclasses.replace(self, range=dataclasses.replace(self.range, options=values))
        if len(values) != 2 or not -math.inf < values[0] < values[1] < math.inf:
            raise AelabError(f"{self.flag} takes one value, or a lower and a higher end.")
        if self.range.log and values[0] <= 0:
            raise AelabError(f"{self.flag} is searched on a logarithmic scale: from above 0.")
        ends = dataclasses.replace(self.range, low=values[0], high=values[1])
        return dataclasses.replace(self, range=ends)

    def parse(self, text: str) -> Any:
        """The value that a text stands for. Raises AelabError if it stands for none."""
        try:
            if isinstance(self.range, Range):
                return int(text) if self.range.whole else float(text)
            example = self.range.options[0]
            if isinstance(example, tuple):
                return tuple(int(part) for part in text.split("-"))
            return type(example)(text)
        except ValueError:
            raise AelabError(
                f"{self.flag} takes values such as {self.at(0)}, not {text}."
            ) from None

    def describe(self) -> str:
        """The range as text."""
        if isinstance(self.range, Choice):
            return ", ".join(map(str, written(self.range)))
        scale = ", log" if self.range.log else ""
        return f"{self.range.low:g} to {self.range.high:g}{scale}"


def written(choice: Choice) -> list[Any]:
    """The options as the database holds them."""
    return [_as_text(option) for option in choice.options]


def _as_text(option: Any) -> Any:
    """An option as the database holds it: numbers and text as they are."""
    return "-".join(map(str, option)) if isinstance(option, tuple) else option


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


def _with_declared(base: type[Config]) -> type[Config]:
    """Add a field for every hyperparameter that any model declares."""
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
    doc, module = base.__doc__, base.__module__
    return create_model(base.__name__, __base__=base, __doc__=doc, __module__=module, **fields)


@_with_declared
class Space(Config):
    """What is searched: two ends or some options narrow a range, one value fixes it."""

    # A model that is registered later has settings of its own; resolve_space checks every name.
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Texts | None]


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

    def first(self, quasi_random: int) -> list[Stored]:
        """The settings of the first trials: the base experiment's, and quasi-random ones."""
        start = self.start()
        return [*([start] if start else []), *self.quasi_random(quasi_random)]

    def start(self) -> Stored | None:
        """The base experiment itself as a trial; None if it lies outside the space."""
        base = self.base
        settings = {**base.training(self.model).model_dump(), **base.network.model_dump(),
                    "latent_dim": base.latent_dim[0]}  # fmt: skip
        values = {name: found.stored(settings[name]) for name, found in self.dimensions.items()}
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
        if known[name].table == "architecture":
            changes["latent_dim"] = (value,)
        else:
            changes["network" if known[name].table == "network" else model][name] = value
    return validate(merge(base.model_dump(), changes), "the search space")
