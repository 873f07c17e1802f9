"""The statistics over paired seeds: sign-flip test, its interval, effect size, Holm's correction.

Test and interval come from the same sums. If the Δ of a seed is symmetric about θ, the 2ⁿ − 1
means of the nonempty subsets of the n seeds cut the line into 2ⁿ parts that hold θ equally often
(Hartigan, 1969, "Using subsample values as typical values", JASA 64, theorem 1). The sign-flip test
of θ = 0 counts the subset means beyond zero, and the interval lies between two of them; so it
excludes zero exactly when p ≤ .05. SciPy has the test (``permutation_test``, the oracle in our
tests) but not the interval. A t interval would assume normal seeds, a percentile bootstrap of ten
seeds is too short, and either could contradict the test.

Shape legend: N seeds, S subsets of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from aelab.randomness import numpy_stream

LEVEL = 0.05
MOST_ENUMERATED = 20  # seeds; a million subsets
DRAWN_SUBSETS = 200_000  # for more seeds
_TOLERANCE = 1e-12  # of the sum of |Δ|: below it two sums are the same number


@dataclass(frozen=True)
class Interval:
    """Both ends, and the probability with which such an interval holds the true value."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Paired:
    """The Δ of each seed, and their statistics."""

    deltas: tuple[float, ...]

    def __post_init__(self) -> None:
        assert self.deltas, "there is nothing to infer from no seed"
        assert all(map(math.isfinite, self.deltas)), "a Δ is not finite"

    @property
    def exact(self) -> bool:
        """Whether every sign flip is enumerated; beyond 20 seeds 200,000 are drawn, seeded."""
        return len(self.deltas) <= MOST_ENUMERATED

    @property
    def mean(self) -> float:
        """The mean Δ over the seeds."""
        return math.fsum(self.deltas) / len(self.deltas)

    @cached_property
    def _subsets(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Sum and size of every subset (or of those drawn), ``(S,)``; the empty one first."""
        sums_S, sizes_S = np.zeros(1), np.zeros(1, np.int64)
        if self.exact:
            for delta in self.deltas:
                sums_S = np.concatenate([sums_S, sums_S + delta])
                sizes_S = np.concatenate([sizes_S, sizes_S + 1])
            return sums_S, sizes_S
        generator = numpy_stream(0, "sign flips", len(self.deltas))
        for delta in self.deltas:
            member_S = generator.integers(0, 2, DRAWN_SUBSETS)
            member_S[0] = 0
            sums_S = sums_S + member_S * delta
            sizes_S = sizes_S + member_S
        return sums_S, sizes_S

    @cached_property
    def p(self) -> float:
        """Two-sided p of the sign-flip test of the mean Δ against 0; Fisher (1935), section 21.

        To flip the signs of a subset lowers the sum by twice the subset's sum, so the flips that
        leave the sum as far from zero are the subsets whose sum is not on the mean's side. The
        subset of no seed, the data as they are, is one of them: p is never 0.
        """
        sums_S, _ = self._subsets
        side = math.copysign(1.0, self.mean)
        tolerance = _TOLERANCE * math.fsum(map(abs, self.deltas))
        return min(1.0, 2 * float(np.mean(side * sums_S <= tolerance)))

    @cached_property
    def interval(self) -> Interval | None:
        """The 95% interval of the centre of Δ; with fewer than six seeds the range of the seeds.

        The range of n seeds holds the centre with probability 1 − 2/2ⁿ, which is what
        ``confidence`` then says; one seed has no interval.
        """
        n = len(self.deltas)
        if n == 1:
            return None
        sums_S, sizes_S = self._subsets
        parts = len(sums_S)
        outside = max(1, math.floor(LEVEL / 2 * parts))  # parts of the line left out on each side
        nonempty = sizes_S > 0
        ends = [outside - 1, int(nonempty.sum()) - outside]
        low, high = np.partition(sums_S[nonempty] / sizes_S[nonempty], ends)[ends]
        return Interval(float(low), float(high), 1 - 2 * outside / parts)

    @property
    def effect(self) -> float | None:
        """Hedges' g: the mean Δ over its standard deviation between seeds, corrected for few seeds.

        Hedges (1981), eq. 6e, with n − 1 degrees of freedom; None with fewer than three seeds or
        when all seeds agree to the last digit.
        """
        m = len(self.deltas) - 1
        spread = float(np.std(self.deltas, ddof=1)) if m > 1 else 0.0
        if spread <= _TOLERANCE * abs(self.mean):
            return None
        correction = math.exp(gammaln(m / 2) - gammaln((m - 1) / 2)) / math.sqrt(m / 2)
        return self.mean / spread * correction


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p of each hypothesis by name; Holm (1979), a step-down Bonferroni correction."""
    names = sorted(p, key=lambda name: p[name])
    steps = [min(1.0, (len(p) - place) * p[name]) for place, name in enumerate(names)]
    adjusted = dict(zip(names, accumulate(steps, max), strict=True))
    return {name: adjusted[name] for name in p}


def smallest_p(seeds: int) -> float:
    """The smallest two-sided p that so many seeds can give: 2/2ⁿ."""
    return min(1.0, 2.0 ** (1 - seeds))


def seeds_needed(claims: int) -> int:
    """The fewest seeds with which Holm over so many claims can go below .05, interval included."""
    seeds = 6  # the fewest that have a 95% interval
    while claims * smallest_p(seeds) >= LEVEL:
        seeds += 1
    return seeds
