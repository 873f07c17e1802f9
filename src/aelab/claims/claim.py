"""The claims that a study decides, as data.

A claim is frozen before the first training: ``frozen_hash`` is the SHA-256 of all that decides it,
its metrics and threshold included. One more claim is one more record: ``claim(...)`` here, or a
table ``[[claim]]`` in a TOML file given to ``aelab study --claims`` (docs/studies.md). Those of the
evaluation protocol are in protocol.toml.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from aelab.claims.statistics import LEVEL
from aelab.config.base import Config, read_toml, sentence
from aelab.errors import AelabError

Values = Mapping[str, Mapping[str, float | None]]  # model -> metric -> value
RATIO = "ratio"


@dataclass(frozen=True)
class Contrast:
    """What is compared: in words, in which unit, and how much of it matters."""

    quantity: str
    unit: str  # "ratio" for the logarithm of one
    threshold: float

    @property
    def margin(self) -> float:
        """The threshold on the scale of Δ."""
        return math.log(self.threshold) if self.unit == RATIO else self.threshold


class Null(Config):
    """The noise level of a metric; a ratio of values below it means nothing."""

    measure: str = Field(description="The metric that gives the noise level of each model.")
    quantity: str = Field(description="What is compared then, in words.")


class Claim(Config):
    """A statement about two models that paired seeds can support or refute.

    A seed's Δ is ``scale`` · (value of the model in favour − value of the other), or the logarithm
    of the ratio of the two; the models change places where ``better`` is "lower". So a larger Δ
    always speaks for the claim.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Short, for tables and links.")
    says: str = Field(description="The claim in plain words, as a clause: “the AE …”.")
    favours: str = Field(description="The model that the claim speaks for, by name.")
    against: str = Field(description="The model that it is compared with.")
    quantity: str = Field(description="What is compared, in words: “MSE, VAE over AE”.")
    measure: str | dict[str, str] = Field(
        description="The metric that is compared, or one for each of the two models."
    )
    contrast: Literal["difference", "ratio"] = Field("difference", description="How it is.")
    better: Literal["higher", "lower"] = Field(
        "higher", description="Which values of the metric speak for the claim."
    )
    scale: float = Field(1.0, gt=0, description="Factor of a difference: 100 for points.")
    threshold: float = Field(
        ge=0, description="What matters, in the unit: Δ must lie beyond it. Of a ratio, at least 1."
    )
    unit: str = Field("", description="Unit of a difference.")
    null: Null | None = Field(
        None,
        description="Of a ratio: where a value is not above its noise level in any seed, all seeds "
        "compare the difference in units of the larger level instead, with threshold − 1.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.contrast == "ratio" and self.threshold < 1:
            raise ValueError("the threshold of a ratio is at least 1")
        if self.contrast == "ratio" and (self.unit or self.scale != 1):
            raise ValueError("a ratio has neither unit nor scale")
        if self.contrast == "difference" and self.null:
            raise ValueError("null belongs to a ratio")
        models = {self.favours, self.against}
        if len(models) < 2:
            raise ValueError("favours and against name the same model")
        if isinstance(self.measure, dict) and set(self.measure) != models:
            raise ValueError(f"measure names one for each of {' and '.join(sorted(models))}")
        return self

    @property
    def own(self) -> Contrast:
        """What is compared unless a value is within its null."""
        unit = RATIO if self.contrast == "ratio" else self.unit
        return Contrast(self.quantity, unit, self.threshold)

    @property
    def sides(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Model and metric of each side; Δ is the first compared with the second."""
        models = (self.favours, self.against)
        if self.better == "lower":
            models = (self.against, self.favours)
        first, second = (
            (model, self.measure if isinstance(self.measure, str) else self.measure[model])
            for model in models
        )
        return first, second

    @property
    def needs(self) -> tuple[tuple[str, str], ...]:
        """The (model, metric) pairs that it needs."""
        levels = [(model, self.null.measure) for model, _ in self.sides] if self.null else []
        return (*self.sides, *levels)

    @property
    def formula(self) -> str:
        """Δ as a formula, for readers: ``log(vae.mse / ae.mse)``."""
        first, second = (f"{model}.{metric}" for model, metric in self.sides)
        if self.contrast == "ratio":
            return f"log({first} / {second})"
        difference = f"{first} - {second}"
        return difference if self.scale == 1 else f"{self.scale:g} * ({difference})"

    def compare(self, pairs: Mapping[int, Values]) -> tuple[Contrast, dict[int, float]]:
        """What is compared, one and the same for all seeds, and each seed's Δ.

        Seeds that lack a metric, or whose Δ is not finite, are left out.
        """
        whole = {
            seed: [float(pair[model][metric]) for model, metric in self.needs]  # type: ignore[arg-type]
            for seed, pair in pairs.items()
            if all(pair.get(model, {}).get(metric) is not None for model, metric in self.needs)
        }
        contrast, delta = self.own, self._delta
        if self.null and any(a <= low or b <= high for a, b, low, high in whole.values()):
            contrast = Contrast(self.null.quantity, "× null", self.threshold - 1)
            delta = _in_units_of_null
        deltas = {seed: delta(*values) for seed, values in whole.items()}
        return contrast, {seed: value for seed, value in deltas.items() if math.isfinite(value)}

    def _delta(self, first: float, second: float, *_: float) -> float:
        if self.contrast == "difference":
            return self.scale * (first - second)
        if not second or first / second <= 0:
            return math.nan
        return math.log(first / second)


def _in_units_of_null(first: float, second: float, *levels: float) -> float:
    """The difference in units of the larger null.

    The value within its null is at most one unit. So a difference of more than threshold − 1 units
    means that the other one is more than threshold times as large, as the ratio asks.
    """
    return (first - second) / max(levels) if max(levels) else math.nan


CLAIMS: dict[str, Claim] = {}


def claim(**settings: Any) -> Claim:
    """Register a claim.

    Args:
        settings: The fields of a :class:`Claim`.

    Returns:
        The claim.

    Raises:
        AelabError: If a field is wrong, or another claim has its name.
    """
    made = Claim(**settings)
    if made.name in CLAIMS:
        raise AelabError(f"Two claims are named {made.name}: choose another name.")
    CLAIMS[made.name] = made
    return made


def frozen_hash(claims: Iterable[Claim]) -> str:
    """The SHA-256 of all that decides the claims; equal data give an equal hash anywhere."""
    data = [item.model_dump(mode="json") for item in claims]
    text = json.dumps({"claims": data, "level": LEVEL}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_claims(records: Iterable[Mapping[str, Any]], where: str) -> list[Claim]:
    """Claims from plain records. Raises AelabError, in one sentence, if one is not valid."""
    claims = []
    for record in records:
        name = str(record.get("name", "claim"))
        if "delta" in record:
            raise AelabError(
                f"In {where}: {name} is a formula, as claims were in older versions: write "
                "measure and contrast (docs/studies.md), or open the study with that version."
            )
        try:
            claims.append(Claim.model_validate(record))
        except ValidationError as error:
            reason = sentence(error, name, "docs/studies.md lists what a claim has")
            raise AelabError(f"In {where}: {reason}") from None
    names = [item.name for item in claims]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise AelabError(f"In {where}: two claims are named {twice}; choose another name.")
    return claims


def load_claims(path: Path) -> list[Claim]:
    """Read claims from a TOML file, a table ``[[claim]]`` each.

    Args:
        path: The file.

    Returns:
        The registered claims, then those of the file.

    Raises:
        AelabError: If the file cannot be read, or holds something else.
    """
    tables = read_toml(path).get("claim", [])
    if not tables or not isinstance(tables, list):
        raise AelabError(f"{path} holds no claim: write a table [[claim]] for each.")
    registered = [item.model_dump() for item in CLAIMS.values()]
    return read_claims([*registered, *tables], str(path))


_PROTOCOL = tomllib.loads(Path(__file__).with_name("protocol.toml").read_text(encoding="utf-8"))
CLAIMS.update({item.name: item for item in read_claims(_PROTOCOL["claim"], "aelab")})
