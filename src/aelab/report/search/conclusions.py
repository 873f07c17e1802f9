"""What a search says in sentences, from its numbers."""

from collections.abc import Iterator

from aelab.report.conclusions import Finding
from aelab.report.numbers import capital, decimals, listing, quantity
from aelab.runs.records import Metric
from aelab.runs.search_results import Proof, SearchResults

MATTERS = 0.1  # of the variance


def summary(results: SearchResults) -> Iterator[Finding]:
    """The search in at most five sentences."""
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
    reached = f"The best one, trial {winner.number}, reached {quantity(value, goal.unit)}"
    if start is not None and winner.number > 0:
        reached += f", where the search’s own start had {quantity(start, goal.unit)}"
    yield Finding(f"{reached}.")
    if results.proof:
        yield Finding(_proved(results.proof, goal))
        yield Finding(luck(results.proof, goal))
    if text := important(results):
        yield Finding(text)


def _proved(proof: Proof, goal: Metric) -> str:
    chosen = proof.contender(proof.chosen)
    yardsticks = [
        f"{quantity(row.mean.value, goal.unit)} with the {row.title}"
        for row in proof.contenders
        if row.trial is None
    ]
    return (
        f"Trained anew for {chosen.epochs} epochs with {len(proof.seeds)} fresh seeds, "
        f"{chosen.title} is the best on validation: {quantity(chosen.mean, goal.unit)}, "
        f"against {listing(yardsticks)}."
    )


def luck(proof: Proof, goal: Metric) -> str:
    """How much of the apparent gain was luck of the search."""

    def gained(value: float) -> str:
        return quantity(abs(value), goal.unit, decimals([value], significant=3))

    found = proof.best
    if found is None:
        return "The best trial of the search cannot be trained with every fresh seed."
    amount = gained(found.luck)
    part = f"{amount} were luck" if found.luck > 0 else f"no luck, but {amount} of bad luck"
    text = (
        f"Trial {found.trial} gave {quantity(found.searched, goal.unit)} in the search and "
        f"{quantity(found.fresh.value, goal.unit)} with fresh seeds after the same {found.epochs} "
        f"epochs: {part}"
    )
    if proof.start is None:
        return f"{text}."
    gain = found.searched - proof.start.searched
    real = found.fresh.value - proof.start.fresh.value
    return (
        f"{text}; of its lead of {gained(gain)} over the start, {gained(real)} hold "
        "with fresh seeds."
    )


def important(results: SearchResults) -> str:
    """Which settings explain most of the variance."""
    shares = results.importances
    if not shares:
        return ""
    titles = {dimension.name: dimension.title for dimension in results.dimensions}
    most = listing(f"{titles[n]} ({s:.0%})" for n, s in shares.items() if s >= MATTERS)
    rest = [titles[name] for name, share in shares.items() if share < MATTERS]
    verb = "matters" if len(rest) == 1 else "matter"
    little = f" {capital(listing(rest))} {verb} little here." if rest else ""
    return f"Among the complete trials, most of the variance comes with {most}.{little}"
