"""What a study has found, read once into plain frozen records; its page sees nothing else."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from aelab.claims.claim import RATIO
from aelab.report.numbers import decimals, number
from aelab.runs.records import Estimate, Json, Metric, Record, checked, named
from aelab.runs.study import Study

BASELINES = ("pca", "pixels")
TITLES = {"latent_dim": "latent size d", "train_size": "training images",
          "vae.beta": "β of the VAE", "noise.sigma": "σ of the noisy AE"}  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """A number over the seeds: each of them, the mean, and its interval where there is one."""

    seeds: Mapping[int, float]
    mean: float
    low: float | None
    high: float | None
    confidence: float | None

    @property
    def estimate(self) -> Estimate:
        """The mean with its interval."""
        return Estimate(self.mean, self.low, self.high)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None."""
        return self.estimate.interval


@dataclass(frozen=True)
class Amount:
    """How a Δ is written: as a ratio, in points, or as it is."""

    unit: str
    threshold: float  # as written

    @property
    def ratio(self) -> bool:
        """Whether Δ is the logarithm of a ratio."""
        return self.unit == RATIO

    def text(self, estimate: Estimate) -> tuple[str, str]:
        """A mean Δ and its interval, as written."""
        values = [self.written(v) for v in (estimate.value, *(estimate.interval or ()))]
        places = decimals([*values, self.threshold], significant=3)
        places = max(places, 2) if self.ratio else places
        value = number(values[0], places, sign=not self.ratio)
        ends = [number(end, places) for end in values[1:]]
        return self.with_unit(value), f"[{', '.join(ends)}]" if ends else ""

    @property
    def threshold_text(self) -> str:
        """δ with its unit."""
        places = 2 if self.ratio else max(0, decimals([self.threshold], significant=1))
        return self.with_unit(number(self.threshold, places))

    def written(self, value: float) -> float:
        """Δ on the scale of the page."""
        return math.exp(value) if self.ratio else value

    def with_unit(self, text: str) -> str:
        """A number with what it counts."""
        return f"{text}×" if self.ratio else f"{text} {self.unit}".strip()


@dataclass(frozen=True)
class ClaimResult:
    """A claim with its verdict and all that it depends on."""

    place: int  # from 1
    name: str
    says: str
    favours: str
    against: str
    quantity: str
    delta: str
    amount: Amount
    margin: float  # δ on the scale of Δ
    summary: Summary | None
    effect: float | None
    p: float | None
    holm: float | None
    exact: bool
    verdict: str
    why: str

    @property
    def anchor(self) -> str:
        """The id of its row in the table."""
        return f"claim-{self.name}"


@dataclass(frozen=True)
class Point:
    """A place in the study: the metrics of every model there, and the Δ of every claim."""

    models: Mapping[str, Mapping[str, Summary]]
    deltas: Mapping[str, tuple[Summary, Amount]]


@dataclass(frozen=True)
class Stop:
    """A place on an axis."""

    label: str
    point: Point
    base: bool


@dataclass(frozen=True)
class Sweep:
    """An axis with its places in order."""

    setting: str
    owner: str | None
    stops: tuple[Stop, ...]

    @property
    def title(self) -> str:
        """The setting as a reader would call it."""
        return TITLES.get(self.setting, self.setting.replace("_", " "))

    def series(self, model: str, metric: str) -> list[Summary | None]:
        """A metric along the axis; None where it was not measured."""
        return [stop.point.models.get(model, {}).get(metric) for stop in self.stops]

    def varies(self, model: str) -> bool:
        """Whether the setting concerns the model."""
        return self.owner in (None, model)


@dataclass(frozen=True, kw_only=True)
class StudyResults(Record):
    """A whole study."""

    protocol: str
    pair_differs_in: tuple[str, ...]
    claims_hash: str
    level: float
    seeds: tuple[int, ...]
    seeds_needed: int
    measures: Mapping[str, Metric]
    titles: Mapping[str, str]
    claims: tuple[ClaimResult, ...]
    base: Point
    sweeps: tuple[Sweep, ...]
    runs: tuple[Json, ...]
    failures: tuple[Json, ...]
    environments: tuple[Json, ...]

    @property
    def latent_dim(self) -> int:
        """The latent size d of the base."""
        return int(self.experiment["latent_dim"][0])

    @property
    def models(self) -> list[str]:
        """The trained models of the base, in the order of the experiment."""
        names = dict.fromkeys([*self.experiment["models"], *self.base.models])
        return [name for name in names if name in self.base.models and name not in BASELINES]

    @property
    def baselines(self) -> list[str]:
        """The baselines of the base."""
        return [name for name in BASELINES if name in self.base.models]

    def title(self, model: str) -> str:
        """What a model is called."""
        return self.titles.get(model, model)


def load(study: Study) -> StudyResults:
    """Read a study folder whose runs have been put together."""
    record = study.results()
    points = [
        point | {"deltas": {name: (delta, delta) for name, delta in point["deltas"].items()}}
        for point in record["points"]
    ]
    sweeps = [
        axis | {"stops": [s | {"point": points[s["point"]], "base": s["point"] == 0}
                          for s in axis["stops"]]}
        for axis in record["axes"]
    ]  # fmt: skip
    claims = [
        each["claim"] | each
        | {"place": place, "amount": each, "summary": each if each["seeds"] else None}
        for place, each in enumerate(record["claims"], 1)
    ]  # fmt: skip
    read = record | {
        "name": study.path.resolve().name,
        "manifest": study.manifest(),
        "measures": named(record["measures"]),
        "claims": claims,
        "base": points[0],
        "sweeps": sweeps,
    }
    return cast(StudyResults, checked(StudyResults, read, study.path))
