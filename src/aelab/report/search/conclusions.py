"""The summary of a search, composed from its numbers."""

from collections.abc import Iterator

from aelab.report.conclusions import Finding
from aelab.report.numbers import capital, decimals, listing, quantity
from aelab.runs.records import MetricInfo
from aelab.runs.search_results import Proof, SearchResults

MATTERS = 0.1  # share of the variance


def summary(results: SearchResults) -> Iterator[Finding]:
    """At most five sentences about the search."""
    goal, winner = results.goal, results.winner
    counts = {"pruned": len(results.state("pruned")), "failed": len(results.state("fail"))}
    ended = listing(f"{count} {state}" for state, count in counts.items() if count)
    yield Finding(
        f"{len(results.trials)} trials of {results.trial_epochs} epochs searched the settings of "
        f"the {results.model_title} at d = {results.latent_dim} on {results.data['name']} for "
        f"{goal.title}{f'; {ended}' if ended else ''}."
    )
    if winner is None:
        return
    value, start = results.values[winner.number], results.values.get(0)
    reached = f"The best, trial {winner.number}, reaches {quantity(value, goal.unit)}"
    if start is not None and winner.number > 0:
        reached += f"; the settings of the start reach {quantity(start, goal.unit)}"
    yield Finding(f"{reached}.")
    if results.proof:
        yield Finding(_proved(results.proof, goal))
        yield Finding(selection_bias(results.proof, goal))
    if text := important(results):
        yield Finding(text)


def _proved(proof: Proof, goal: MetricInfo) -> str:
    chosen = proof.contender(proof.chosen)
    references = [
        f"{quantity(row.mean.value, goal.unit)} with the {row.title}"
        for row in proof.contenders
        if row.trial is None
    ]
    return (
        f"Retrained for {chosen.epochs} epochs with {len(proof.seeds)} fresh seeds, "
        f"{chosen.title} is the best on validation: {quantity(chosen.mean, goal.unit)}, "
        f"against {listing(references)}."
    )


def selection_bias(proof: Proof, goal: MetricInfo) -> str:
    """How much better the best trial looks in the search than with fresh seeds."""

    def amount(value: float) -> str:
        return quantity(value, goal.unit, decimals([value], significant=3))

    found = proof.best
    if found is None:
        return "The best trial of the search cannot be trained with every fresh seed."
    part = "a selection bias of" if found.luck > 0 else "no selection bias, but a gain of"
    text = (
        f"Trial {found.trial} has {quantity(found.searched, goal.unit)} in the search and "
        f"{quantity(found.fresh.value, goal.unit)} with fresh seeds after the same {found.epochs} "
        f"epochs: {part} {amount(abs(found.luck))}"
    )
    if proof.start is None:
        return f"{text}."
    better = -1 if goal.better == "lower" else 1
    gain = better * (found.searched - proof.start.searched)
    real = better * (found.fresh.value - proof.start.fresh.value)
    return (
        f"{text}. It is better than the start by {amount(gain)} in the search and by "
        f"{amount(real)} with fresh seeds."
    )


def important(results: SearchResults) -> str:
    """Which settings explain most of the variance, and which explain little."""
    shares = results.importances
    if not shares:
        return ""
    titles = {dimension.name: dimension.title for dimension in results.dimensions}
    most = listing(f"{titles[n]} ({s:.0%})" for n, s in shares.items() if s >= MATTERS)
    rest = [titles[name] for name, share in shares.items() if share < MATTERS]
    verb = "explains" if len(rest) == 1 else "explain"
    little = f" {capital(listing(rest))} {verb} little." if rest else ""
    return f"Among the complete trials, most of the variance is explained by {most}.{little}"
