"""One dimension of a search space: a setting, its range, and how its values are written.

The database and the command line hold numbers, or text for a choice (``512-256`` for two hidden
layers); the experiment holds the setting's own values.
"""

import dataclasses
import math
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from aelab.config.ranges import Choice, Range
from aelab.errors import AelabError

Table = Literal["architecture", "network", "model"]
Words = tuple[str, ...]
DIGITS = 3  # of a number that is trained with: more would be noise in a table


@dataclasses.dataclass(frozen=True)
class Dimension:
    """A setting that can be searched: its name, the table it stands in, and its range."""

    name: str
    table: Table
    range: Range | Choice

    @property
    def flag(self) -> str:
        """The flag that narrows or fixes it."""
        return f"--space.{self.name.replace('_', '-')}"

    @property
    def distribution(self) -> BaseDistribution:
        """The range as Optuna writes it down."""
        if isinstance(self.range, Choice):
            return CategoricalDistribution([written(option) for option in self.range.options])
        low, high, log = self.range.low, self.range.high, self.range.log
        if self.range.whole:
            return IntDistribution(round(low), round(high), log=log)
        return FloatDistribution(low, high, log=log)

    def suggest(self, trial: optuna.Trial) -> Any:
        """What the sampler suggests, as the database holds it."""
        if isinstance(self.range, Choice):
            return trial.suggest_categorical(
                self.name, [written(option) for option in self.range.options]
            )
        low, high, log = self.range.low, self.range.high, self.range.log
        if self.range.whole:
            return trial.suggest_int(self.name, round(low), round(high), log=log)
        return trial.suggest_float(self.name, low, high, log=log)

    def value(self, stored: Any) -> Any:
        """The setting's value of what the database holds; numbers to three digits."""
        if isinstance(self.range, Choice):
            return next(option for option in self.range.options if written(option) == stored)
        return round(stored) if self.range.whole else float(f"{stored:.{DIGITS}g}")

    def stored(self, value: Any) -> Any:
        """What the database holds for a value, drawn into the range; None if it has no place."""
        if isinstance(self.range, Choice):
            return written(value) if value in self.range.options else None
        inside = min(max(value, self.range.low), self.range.high)
        return round(inside) if self.range.whole else float(inside)

    def at(self, share: float) -> Any:
        """What the database holds at a share of the way through the range, from 0 to 1."""
        if isinstance(self.range, Choice):
            options = self.range.options
            return written(options[min(int(share * len(options)), len(options) - 1)])
        low, high = self.range.low, self.range.high
        value = low * (high / low) ** share if self.range.log else low + share * (high - low)
        return self.stored(value)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values by which one sees whether the setting takes all of the range."""
        if isinstance(self.range, Choice):
            return self.range.options
        return self.value(self.at(0)), self.value(self.at(1))

    def narrowed(self, words: Words) -> "Dimension":
        """The same between two ends, or with some options only."""
        new = dataclasses.replace
        if isinstance(self.range, Choice):
            options = tuple(self.parse(word) for word in words)
            return new(self, range=new(self.range, options=options))
        ends = [self.parse(word) for word in words]
        if len(ends) != 2 or not -math.inf < ends[0] < ends[1] < math.inf:
            raise AelabError(f"{self.flag} takes one value, or a lower and a higher end.")
        if self.range.log and ends[0] <= 0:
            raise AelabError(f"{self.flag} is searched on a logarithmic scale: from above 0.")
        return new(self, range=new(self.range, low=ends[0], high=ends[1]))

    def parse(self, word: str) -> Any:
        """The value that a word stands for."""
        try:
            if isinstance(self.range, Range):
                return int(word) if self.range.whole else float(word)
            example = self.range.options[0]
            if isinstance(example, tuple):
                return tuple(int(part) for part in word.split("-"))
            return type(example)(word)
        except ValueError:
            raise AelabError(
                f"{self.flag} takes values such as {self.at(0)}, not {word}."
            ) from None

    def describe(self) -> str:
        """The range in words."""
        if isinstance(self.range, Choice):
            return ", ".join(str(written(option)) for option in self.range.options)
        scale = ", log" if self.range.log else ""
        return f"{self.range.low:g} to {self.range.high:g}{scale}"


def written(option: Any) -> Any:
    """An option of a choice as the database holds it: numbers and words as they are."""
    return "-".join(map(str, option)) if isinstance(option, tuple) else option
