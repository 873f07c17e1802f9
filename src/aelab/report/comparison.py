"""Which of two models a measure favours, and how surely: the one rule behind table and text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aelab.report.numbers import decimals, difference, number
from aelab.report.results import Estimate, Measure, Model, Results

FAMILIES = ("reconstruction", "likelihood", "latent", "representation", "generation")


@dataclass(frozen=True)
class Comparison:
    """One measure of a pair; the difference is second − first."""

    measure: Measure
    latent_dim: int
    first: Model
    second: Model
    difference: Estimate

    @property
    def ahead(self) -> Model | None:
        """The model with the better number; None if equal or if the measure has no better side."""
        gap = self.difference.value
        if gap == 0 or self.measure.better is None:
            return None
        return self.second if (gap > 0) == (self.measure.better == "higher") else self.first

    @property
    def winner(self) -> Model | None:
        """The model that is ahead with an interval that leaves out zero."""
        return self.ahead if self.difference.separates else None

    @property
    def label(self) -> str:
        """Which way the difference is taken, on one line."""
        return f"{self.second.title}\u00a0−\u00a0{self.first.title}"

    @property
    def evidence(self) -> str:
        """The two values, their difference and its interval, in words."""
        values = [model.metrics[self.measure.name] for model in (self.first, self.second)]
        known = [value.value for value in values if value is not None]
        places = decimals(known)
        one, two = (number(value, places) for value in known)
        gap, ends = difference(self.difference)
        return (
            f"{self.measure.label}: {self.first.title} {one}, {self.second.title} {two}; "
            f"{self.label} {gap} {ends or '(no interval)'}"
        )


def anchor(latent_dim: int, measure: Measure) -> str:
    """The id of a measure's row in the table of this size."""
    return f"m-{latent_dim}-{slug(measure.name)}"


def slug(text: str) -> str:
    """Letters, digits and hyphens only."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text)


def comparisons(results: Results, latent_dim: int, family: str = "") -> Iterator[Comparison]:
    """Every comparison of the pair of this size, in the order of the measures."""
    pair = results.pair(latent_dim)
    if pair is None:
        return
    for name, gap in results.differences.get(latent_dim, {}).items():
        measure = results.measures.get(name)
        defined = all(model.metrics.get(name) is not None for model in pair)
        if measure is not None and defined and family in ("", measure.family):
            yield Comparison(measure, latent_dim, *pair, gap)


def families(results: Results) -> list[str]:
    """The families of measures, from what is put in to what comes out; unknown ones last."""
    return list(dict.fromkeys((*FAMILIES, *(m.family for m in results.measures.values()))))
