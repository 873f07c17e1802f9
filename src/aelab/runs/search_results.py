"""What a search has left, read once into plain frozen records, for its proof and its page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from aelab.runs.records import Estimate, Json, Metric, Record, checked, named
from aelab.runs.search import SearchFolder


@dataclass(frozen=True)
class Dimension:
    """A setting that was searched: two ends, or options."""

    name: str
    text: str
    options: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.name.replace("_", " ").replace("kl", "KL")


@dataclass(frozen=True)
class Trial:
    """One training: how it ended, what it gave, and the value after each epoch."""

    number: int
    state: str
    value: float | None  # of a complete trial
    settings: Json
    curve: tuple[tuple[int, float], ...]
    seconds: float | None
    reason: str | None

    @property
    def complete(self) -> bool:
        """Whether it came to its end."""
        return self.state == "complete"

    @property
    def last(self) -> float | None:
        """Its value, or the last one before it was pruned."""
        if self.value is None and self.curve:
            return self.curve[-1][1]
        return self.value


@dataclass(frozen=True)
class Contender:
    """A setting that was trained with every fresh seed."""

    name: str
    title: str
    trial: int | None
    epochs: int
    settings: Json
    values: tuple[float, ...]
    mean: Estimate
    seconds: float


@dataclass(frozen=True)
class Luck:
    """A trial of the search beside the same training with fresh seeds; positive is luck."""

    trial: int
    epochs: int
    searched: float
    fresh: Estimate
    luck: float


@dataclass(frozen=True)
class Proof:
    """The best trials trained again with fresh seeds, and the evaluation on test."""

    seeds: tuple[int, ...]
    contenders: tuple[Contender, ...]
    chosen: str
    failed: tuple[tuple[str, str], ...]  # title and reason of those that a fresh seed broke
    best: Luck | None
    start: Luck | None
    metrics: Mapping[str, Metric]
    test: Mapping[str, Mapping[str, Estimate]]  # contender -> metric -> mean over the seeds
    differences: Mapping[str, Mapping[str, Estimate]]  # the choice − a reference

    def contender(self, name: str) -> Contender:
        """The contender of that name."""
        return next(found for found in self.contenders if found.name == name)


@dataclass(frozen=True, kw_only=True)
class SearchResults(Record):
    """One search, whole."""

    model: str
    key: str
    model_title: str
    latent_dim: int
    trial_epochs: int
    goal: Metric
    dimensions: tuple[Dimension, ...]
    trials: tuple[Trial, ...]
    best: tuple[int, ...]  # the numbers of the complete trials, from best to worst
    importances: Mapping[str, float] | None
    proof: Proof | None
    search: Json

    @property
    def lower(self) -> bool:
        """Whether a lower value of the goal is better."""
        return self.goal.better == "lower"

    @property
    def values(self) -> dict[int, float]:
        """The values of the complete trials, by number."""
        return {t.number: t.value for t in self.trials if t.value is not None}

    @property
    def winner(self) -> Trial | None:
        """The best trial of the search."""
        return self.trials[self.best[0]] if self.best else None

    def state(self, *names: str) -> list[Trial]:
        """The trials that ended so."""
        return [trial for trial in self.trials if trial.state in names]


def load(folder: SearchFolder) -> SearchResults:
    """Read the folder of a search. Raises RunError if its trials have not been collected."""
    record, proof = folder.results(), folder.proof()
    name, _, latent_dim = record["key"].rpartition("-")
    trials = [
        trial | {"value": trial["values"][0] if trial["state"] == "complete" else None}
        for trial in record["trials"]
    ]
    read = record | {
        "name": folder.path.name,
        "model": name,
        "model_title": record["title"],
        "latent_dim": latent_dim,
        "goal": record["goals"][0],
        "importances": record["importances"][0],
        "trials": trials,
        "proof": _proof(proof) if proof else None,
        "search": folder.search(),
        "experiment": folder.experiment(),
        "manifest": folder.manifest(),
    }
    return cast(SearchResults, checked(SearchResults, read, folder.path))


def _proof(record: Json) -> dict[str, Any]:
    test, luck = record["test"], record["luck"]
    failed = [(f"{found['title']}, {found['epochs']} epochs", found["reason"])
              for found in record["failed"]]  # fmt: skip
    return {
        **record,
        "failed": failed,
        "best": luck.get("best"),
        "start": luck.get("start"),
        "metrics": named(test.get("metrics") or test["measures"]),  # as older folders have it
        "test": test["rows"],
        "differences": test["differences"],
    }
