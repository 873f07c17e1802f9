"""The summary and the conclusions of a run, composed from its numbers.

One run compares two fixed models, so no sentence is about the methods in general.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aelab.report.comparison import PairComparison, anchor, beside, comparisons
from aelab.report.numbers import article, capital, listing, plural, quantity
from aelab.report.results import Results
from aelab.report.tables import families

KEY_NUMBERS = 3  # of one model alone, in the summary

# What it means to be better in a family: "the AE …", "which model …".
BETTER = {
    "reconstruction": "reconstructs better",
    "likelihood": "gives the images the higher likelihood",
    "latent": "has the better-shaped latent space",
    "representation": "has codes that separate the classes better",
    "generation": "generates better samples",
}


@dataclass(frozen=True)
class Evidence:
    """A number in a sentence, and the id of the element that holds it."""

    text: str
    target: str


@dataclass(frozen=True)
class Finding:
    """A sentence and what it rests on."""

    lead: str
    evidence: tuple[Evidence, ...] = ()


def findings(results: Results, latent_dim: int) -> list[Finding]:
    """Every conclusion at one size: the pair by family, the baselines, each model alone."""
    order = families(results.metrics.values())
    return [
        *(f for family in order for f in _compared(results, latent_dim, family)),
        *(f for family in order for f in _beside(results, latent_dim, family)),
        *_alone(results, latent_dim),
    ]


def _compared(results: Results, latent_dim: int, family: str) -> Iterator[Finding]:
    if found := _quoted(results, latent_dim, family):
        yield Finding(f"At d = {latent_dim} {verdict(found)}.", tuple(map(_evidence, found)))


def _quoted(results: Results, latent_dim: int, family: str) -> list[PairComparison]:
    """The comparisons of a family that sentences quote."""
    found = comparisons(results, latent_dim, family)
    return [c for c in found if c.metric.better and c.metric.headline]


def _evidence(found: PairComparison) -> Evidence:
    return Evidence(found.evidence, anchor(found.latent_dim, found.metric))


def verdict(found: list[PairComparison]) -> str:
    """What the metrics of a family say together; one counts if its interval excludes zero."""
    family = found[0].metric.family
    clause = BETTER.get(family, f"is better by the metrics of {family or 'this kind'}")
    winners = [c.winner.title for c in found if c.winner]
    if len(set(winners)) > 1:
        counts = [f"{winners.count(title)} for the {title}" for title in dict.fromkeys(winners)]
        return f"the metrics disagree on which model {clause}: {listing(counts)}"
    if winners:
        part = len(winners) < len(found)
        scope = f" by {len(winners)} of {len(found)} metrics" if part else ""
        return f"the {winners[0]} {clause}{scope}"
    return f"no {family or 'other'} metric shows a significant difference"


def _beside(results: Results, latent_dim: int, family: str) -> Iterator[Finding]:
    for found in beside(results, latent_dim, family):
        base, model = found[0].first, found[0].second
        winners = [c.winner for c in found]
        better, worse = winners.count(model), winners.count(base)
        lead = (
            f"At d = {latent_dim} the {model.title} is better than {base.title} by "
            f"{better} and worse by {worse} of {plural(len(found), f'{family} metric')}:"
        )
        yield Finding(lead, tuple(map(_evidence, found)))


def _alone(results: Results, latent_dim: int, *, only_key: bool = False) -> Iterator[Finding]:
    """The metrics that only one model has, by family; in the summary only the first few."""
    compared = {c.metric.name for c in comparisons(results, latent_dim)}
    order = families(results.metrics.values())
    metrics = sorted(results.metrics.values(), key=lambda m: order.index(m.family))
    for model in results.of_dim(latent_dim):
        evidence = tuple(
            Evidence(
                f"{metric.title} {quantity(estimate, metric.unit)}", anchor(latent_dim, metric)
            )
            for metric in metrics
            if metric.headline and metric.name not in compared
            if metric.better or not only_key
            if (estimate := model.metrics.get(metric.name))
        )
        evidence = evidence[: KEY_NUMBERS if only_key else None]
        if evidence:
            yield Finding(f"Of the {model.title} alone at d = {latent_dim}:", evidence)


def summary(results: Results, latent_dim: int) -> list[Finding]:
    """The three to five sentences at the top of the page."""
    sentences = [Finding(_setting(results))]
    for family in ("reconstruction", "representation", "generation"):
        found = _quoted(results, latent_dim, family)
        if found and len(sentences) < 3:
            # Only evidence for the verdict is quoted: the first metric of each winner.
            first = {c.winner.title: c for c in reversed(found) if c.winner}
            lead = f"At d = {latent_dim} {verdict(found)}{':' if first else '.'}"
            sentences.append(Finding(lead, tuple(map(_evidence, first.values()))))
    sentences += _alone(results, latent_dim, only_key=True)
    if results.pair(latent_dim):
        sentences.append(Finding(caveat(results)))
    return sentences


def caveat(results: Results) -> str:
    """What a single run can say, and what else may cause its differences."""
    text = (
        "This is one run: the 95% intervals come from a paired bootstrap over the test images and "
        "compare these two trained models. Another seed gives other models, so the run does not "
        "compare the methods."
    )
    return f"{text} {confounders(results.pair_differs_in)}".strip()


def confounders(differs_in: Sequence[str]) -> str:
    """The sentence about the settings in which a pair differs beside the objective, if any."""
    if not differs_in:
        return ""
    return (
        f"Apart from the objective, the models differ in {listing(differs_in)}, which may cause "
        "differences, too."
    )


def _setting(results: Results) -> str:
    titles = [article(title) for title in dict.fromkeys(m.title for m in results.models)]
    sizes = listing(str(d) for d in results.latent_dims)
    codes, verb = ("codes", "were") if len(results.models) > 1 else ("a code", "was")
    epochs = {model.facts.get("epochs") for model in results.models}
    text = f"{listing(titles)} with {codes} of {sizes} dimensions {verb} trained on "
    text += results.sample("train")
    if len(epochs) == 1 and (count := epochs.pop()):
        text += f" for {plural(count, 'epoch')}"
    return f"{capital(text)}; every number below is from {results.sample()}."
