"""What a study has found, read once into plain frozen records; its page sees nothing else."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aelab.claims.claim import RATIO
from aelab.report.numbers import decimals, number
from aelab.report.results import Estimate, Json, Measure, read_measure
from aelab.runs.study import Study


@dataclass(frozen=True)
class Summary:
    """A number over the seeds: each of them, the mean, and its interval where there is one."""

    seeds: Mapping[int, float]
    estimate: Estimate
    confidence: float | None

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return self.estimate.value


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
        """Δ on the scale that is shown."""
        return math.exp(value) if self.ratio else value

    def with_unit(self, text: str) -> str:
        """A number with what it counts."""
        return f"{text}×" if self.ratio else f"{text} {self.unit}".strip()


@dataclass(frozen=True)
class Ruled:
    """A claim with its verdict and all that it hangs on."""

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
class Spot:
    """A place in the study: the measures of every model there, and the Δ of every claim."""

    models: Mapping[str, Mapping[str, Summary]]
    deltas: Mapping[str, tuple[Summary, Amount]]


@dataclass(frozen=True)
class Stop:
    """A place on an axis."""

    label: str
    spot: Spot
    base: bool


@dataclass(frozen=True)
class Sweep:
    """An axis with its places in order."""

    setting: str
    owner: str | None
    stops: tuple[Stop, ...]

    def series(self, model: str, measure: str) -> list[Summary | None]:
        """A measure along the axis; None where it was not measured."""
        return [stop.spot.models.get(model, {}).get(measure) for stop in self.stops]

    def varies(self, model: str) -> bool:
        """Whether the setting concerns the model."""
        return self.owner in (None, model)


@dataclass(frozen=True)
class Found:
    """A whole study."""

    name: str
    experiment: Json
    manifest: Json
    data: Json
    protocol: str
    pair_differs_in: tuple[str, ...]
    claims_hash: str
    level: float
    seeds: tuple[int, ...]
    seeds_needed: int
    measures: Mapping[str, Measure]
    titles: Mapping[str, str]
    claims: tuple[Ruled, ...]
    base: Spot
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

    @property
    def ruled(self) -> dict[str, list[Ruled]]:
        """The claims by verdict."""
        verdicts: dict[str, list[Ruled]] = {}
        for item in self.claims:
            verdicts.setdefault(item.verdict, []).append(item)
        return verdicts


BASELINES = ("pca", "pixels")


def load(study: Study) -> Found:
    """Read a study folder whose runs have been put together."""
    results = study.results()
    spots = [_spot(record) for record in results["points"]]
    return Found(
        name=study.path.resolve().name,
        experiment=results["experiment"],
        manifest=study.manifest(),
        data=results["data"],
        protocol=results["protocol"],
        pair_differs_in=tuple(results["pair_differs_in"]),
        claims_hash=results["claims_hash"],
        level=results["level"],
        seeds=tuple(results["seeds"]),
        seeds_needed=results["seeds_needed"],
        measures={name: read_measure(name, m) for name, m in results["measures"].items()},
        titles=results["titles"],
        claims=tuple(_ruled(place, item) for place, item in enumerate(results["claims"], 1)),
        base=spots[0],
        sweeps=tuple(_sweep(axis, spots) for axis in results["axes"]),
        runs=tuple(results["runs"]),
        failures=tuple(results["failures"]),
        environments=tuple(results["environments"]),
    )


def _sweep(axis: Json, spots: list[Spot]) -> Sweep:
    stops = [Stop(s["label"], spots[s["point"]], s["point"] == 0) for s in axis["stops"]]
    return Sweep(axis["setting"], axis["owner"], tuple(stops))


def _spot(record: Json) -> Spot:
    return Spot(
        models={
            model: {name: _summary(found) for name, found in measures.items()}
            for model, measures in record["models"].items()
        },
        deltas={
            name: (_summary(found), Amount(found["unit"], found["threshold"]))
            for name, found in record["deltas"].items()
        },
    )


def _summary(record: Json) -> Summary:
    seeds = {int(seed): value for seed, value in record["seeds"].items()}
    estimate = Estimate(record["mean"], record["low"], record["high"])
    return Summary(seeds, estimate, record["confidence"])


def _ruled(place: int, record: Json) -> Ruled:
    claim: Mapping[str, Any] = record["claim"]
    return Ruled(
        place=place,
        amount=Amount(record["unit"], record["threshold"]),
        margin=record["margin"],
        summary=_summary(record) if record["seeds"] else None,
        **{name: claim[name] for name in ("name", "says", "favours", "against", "delta")},
        **{
            name: record[name]
            for name in ("quantity", "effect", "p", "holm", "exact", "verdict", "why")
        },
    )


def setting_title(setting: str) -> str:
    """A setting as a reader would call it."""
    known = {
        "latent_dim": "latent size d",
        "train_size": "training images",
        "vae.beta": "β of the VAE",
        "noise.sigma": "σ of the noisy AE",
    }
    return known.get(setting, setting.replace("_", " "))
