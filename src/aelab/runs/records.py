"""What the results of runs, studies and searches are read into: plain frozen records."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from aelab.config.base import sentence
from aelab.errors import RunError

Json = Mapping[str, Any]
Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def separates(self) -> bool:
        """Whether the interval of a difference leaves out zero."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    def overlaps(self, other: "Estimate") -> bool | None:
        """Whether the two intervals overlap; None if one of them is missing."""
        if self.interval is None or other.interval is None:
            return None
        return self.interval[0] <= other.interval[1] and other.interval[0] <= self.interval[1]


def _finite(record: Json | None) -> Json | None:
    """None is "not defined", which is also what a number that is not finite means."""
    known = {
        name: value
        for name, value in (record or {}).items()
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }
    if "value" not in known:
        return None
    return known if {"low", "high"} <= known.keys() else {"value": known["value"]}


Estimates = dict[str, Annotated[Estimate | None, BeforeValidator(_finite)]]


def checked(kind: Any, record: Any, path: Path) -> Any:
    """A record as ``kind``. Raises RunError, naming the folder ``path``, if it does not fit."""
    try:
        return TypeAdapter(kind).validate_python(record)
    except ValidationError as error:
        raise RunError(
            f"{path} holds results that aelab has not written: {sentence(error)}"
        ) from None


@dataclass(frozen=True)
class Metric:
    """What a number means, as the metric registry wrote it down."""

    name: str
    title: str
    unit: str = ""
    better: Better | None = None
    description: str = ""
    family: str = ""
    panel: str = ""  # where it is shown, if not in the table of comparison
    quantity: str = ""  # what it shares with the others of its panel
    sampler: str = ""
    at: float | None = None

    @property
    def headline(self) -> bool:
        """Whether sentences quote it: of generated images they quote the coverage only."""
        return not self.panel or self.quantity == "Coverage"

    @property
    def sampler_title(self) -> str:
        """What the sampler is called: the title less the quantity."""
        return self.title.removeprefix(f"{self.quantity}, ")

    @property
    def label(self) -> str:
        """The title, with its unit in words."""
        return f"{self.title} in {self.unit}" if self.unit else self.title


def named(records: Json) -> dict[str, Json]:
    """The records of metrics with their names, as metrics.json and its like describe them."""
    return {name: {"name": name, "title": name} | record for name, record in records.items()}


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a run, a study and a search have in common."""

    name: str
    experiment: Json
    manifest: Json
    data: Json
