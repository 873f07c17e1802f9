"""The rule that decides claims from paired seeds; section 3 of the evaluation protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aelab.claims.claim import Claim, Contrast, Values
from aelab.claims.statistics import LEVEL, Interval, Paired, holm, seeds_needed, smallest_p

Verdict = Literal["supported", "refuted", "inconclusive", "not evaluated"]


@dataclass(frozen=True)
class Decision:
    """What the seeds say about a claim."""

    claim: Claim
    contrast: Contrast
    deltas: Mapping[int, float]  # seed -> Δ
    paired: Paired | None  # the statistics of Δ; None without any
    holm: float | None  # p after correction over all claims
    verdict: Verdict
    why: str


def decide(claims: Sequence[Claim], pairs: Mapping[int, Values]) -> list[Decision]:
    """Decide every claim from the metrics of each seed's models.

    Holm's correction runs over all claims, those that cannot be evaluated included: what is
    frozen together is tested together. A seed that lacks a metric is left out of that claim.
    """
    compared = {item.name: item.compare(pairs) for item in claims}
    tests = {n: Paired(tuple(deltas.values())) for n, (_, deltas) in compared.items() if deltas}
    corrected = holm({n: tests[n].p if n in tests else 1.0 for n in compared})
    decisions = []
    for item in claims:
        contrast, deltas = compared[item.name]
        paired = tests.get(item.name)
        p = corrected[item.name] if paired else None
        verdict: Verdict = "not evaluated"
        why = _why_not_evaluated(item, pairs)
        if paired and p is not None:
            verdict, why = rule(paired.interval, p, contrast.margin, len(deltas), len(claims))
        decisions.append(Decision(item, contrast, deltas, paired, p, verdict, why))
    return decisions


def _why_not_evaluated(item: Claim, pairs: Mapping[int, Values]) -> str:
    absent = [
        f"{model}.{metric}"
        for model, metric in item.needs
        if not any(pair.get(model, {}).get(metric) is not None for pair in pairs.values())
    ]
    return f"No seed has {', '.join(absent)}." if absent else "No seed has a Δ that is defined."


def rule(
    interval: Interval | None, corrected: float, margin: float, seeds: int, claims: int
) -> tuple[Verdict, str]:
    """The verdict, and its reason in one sentence.

    *Supported*: p after Holm below .05 and the 95% interval entirely beyond δ. *Refuted*: the
    interval entirely below δ. Otherwise *inconclusive*.
    """
    needed = seeds_needed(claims)
    few = (
        f"With {seeds} seed{'s' * (seeds != 1)} the smallest two-sided p is {smallest_p(seeds):g}: "
        + (f"{claims} claims need" if claims > 1 else "1 claim needs")
        + f" {needed} seeds."
    )
    if interval is None or interval.confidence < 1 - LEVEL:
        return "inconclusive", few
    if interval.high < margin:
        return "refuted", "The whole interval lies below the threshold."
    if interval.low <= margin:
        return "inconclusive", "The threshold lies within the interval."
    if corrected < LEVEL:
        return "supported", "The whole interval lies beyond the threshold and p is below .05."
    reason = (
        few
        if seeds < needed
        else "The interval lies beyond the threshold, but p after Holm is not below .05."
    )
    return "inconclusive", reason
