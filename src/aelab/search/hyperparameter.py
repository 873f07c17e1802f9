"""A hyperparameter of a search space: a setting, its range, and how its values are written.

The database and the command line hold numbers, or text for a choice (``512-256`` for two hidden
layers); the experiment holds the setting's own values.
"""

import dataclasses
import math
from typing import Any, Literal

import optuna

from aelab.config.ranges import Choice, Range
from aelab.errors import AelabError

Table = Literal["architecture", "network", "model"]
Texts = tuple[str, ...]
DIGITS = 3  # of a number that is trained with: more would be noise in a table


@dataclasses.dataclass(frozen=True)
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
