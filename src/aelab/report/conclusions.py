"""Sentences composed from the numbers; a number that is missing leaves no sentence behind.

One run compares two fixed models, so nothing here speaks about the methods in general.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aelab.report.comparison import Comparison, anchor, comparisons, families
from aelab.report.numbers import decimals, interval, listing, number
from aelab.report.results import Estimate, Measure, Model, Results

# What it means to be better in a family: "the AE …", "which model …".
BETTER = {
    "reconstruction": "reconstructs better",
    "likelihood": "gives the images the higher likelihood",
    "latent": "has the better-shaped latent space",
    "representation": "has codes that tell the classes apart better",
    "generation": "draws better samples",
}
ONE_RUN = (
    "This is one run: the intervals are 95%, from a paired bootstrap over the test images, and "
    "compare these two trained models. Another seed would give two others, so nothing is decided "
    "here about the methods."
)


@dataclass(frozen=True)
class Evidence:
    """A number in words, and the table row that holds it."""

    text: str
    target: str


@dataclass(frozen=True)
class Finding:
    """A sentence and what it rests on."""

    lead: str
    evidence: tuple[Evidence, ...]


def better_clause(family: str) -> str:
    """What "better" means in a family of measures."""
    return BETTER.get(family, f"is better by the measures of {family or 'this kind'}")


def findings(results: Results) -> list[Finding]:
    """Every conclusion of a run, by size and family."""
    return [
        finding
        for latent_dim in results.latent_dims
        for family in families(results)
        for finding in (
            *_compared(results, latent_dim, family),
            *_beside_baselines(results, latent_dim, family),
            *_alone(results, latent_dim, family),
        )
    ]


def _compared(results: Results, latent_dim: int, family: str) -> Iterator[Finding]:
    found = [c for c in comparisons(results, latent_dim, family) if c.measure.better]
    if found:
        evidence = tuple(Evidence(c.evidence, anchor(latent_dim, c.measure)) for c in found)
        yield Finding(f"At d = {latent_dim} {verdict(found)}.", evidence)


def verdict(found: list[Comparison]) -> str:
    """What a family of comparisons says together; each counts only with an interval beyond zero."""
    clause = better_clause(found[0].measure.family)
    winners = [c.winner.title for c in found if c.winner]
    ahead = [c.ahead.title for c in found if c.ahead and not c.difference.interval]
    if len(set(winners)) > 1:
        counts = [f"{winners.count(title)} for the {title}" for title in dict.fromkeys(winners)]
        return f"the measures disagree on which model {clause}: {listing(counts)}"
    if winners:
        rest = len(found) - len(winners)
        scope = f" by {len(winners)} of {len(found)} measures" if rest else ""
        return f"the {winners[0]} {clause}{scope}"
    if len(set(ahead)) == 1 and len(ahead) == len(found):
        return f"the {ahead[0]} {clause} by the numbers alone, which carry no interval"
    return f"the numbers do not tell which model {clause}"


def _beside_baselines(results: Results, latent_dim: int, family: str) -> Iterator[Finding]:
    for measure in results.measures.values():
        if measure.family != family or measure.better is None:
            continue
        bases = [(b, e) for b in results.beside(latent_dim) if (e := b.metrics.get(measure.name))]
        models = [(m, e) for m in results.of_dim(latent_dim) if (e := m.metrics.get(measure.name))]
        if not bases or not models:
            continue
        places = decimals([estimate.value for _, estimate in (*bases, *models)])
        phrases = [
            f"{model.title} {number(estimate.value, places)}, "
            + listing(
                f"{_standing(estimate, other, measure)} {_called(base)} "
                f"({number(other.value, places)})"
                for base, other in bases
            )
            for model, estimate in models
        ]
        text = f"{measure.title}: {'; '.join(phrases)}"
        lead = f"Beside the baselines at d = {latent_dim}, in {measure.title}:"
        yield Finding(lead, (Evidence(text, anchor(latent_dim, measure)),))


def _called(base: Model) -> str:
    return f"{base.title} of the same size" if base.latent_dim else base.title.lower()


def _standing(estimate: Estimate, other: Estimate, measure: Measure) -> str:
    """Better or worse only where the two intervals do not overlap."""
    if estimate.interval and other.interval:
        (low, high), (floor, ceiling) = estimate.interval, other.interval
        if low <= ceiling and floor <= high:
            return "level with"
    if estimate.value == other.value:
        return "level with"
    higher = estimate.value > other.value
    return "better than" if higher == (measure.better == "higher") else "worse than"


def _alone(results: Results, latent_dim: int, family: str) -> Iterator[Finding]:
    """What is known of one model and cannot be compared."""
    compared = {c.measure.name for c in comparisons(results, latent_dim)}
    for model in results.of_dim(latent_dim):
        evidence = tuple(
            Evidence(f"{measure.title} {_value(estimate, measure)}", anchor(latent_dim, measure))
            for measure in results.measures.values()
            if measure.family == family and measure.name not in compared
            if (estimate := model.metrics.get(measure.name))
        )
        if evidence:
            yield Finding(f"Of the {model.title} alone at d = {latent_dim}:", evidence)


def _value(estimate: Estimate, measure: Measure) -> str:
    places = decimals([estimate.value])
    unit = f" {measure.unit}" if measure.unit else ""
    ends = interval(estimate, places)
    return f"{number(estimate.value, places)}{unit}{f' {ends}' if ends else ''}"


def summary(results: Results, latent_dim: int) -> list[Finding]:
    """Three to five sentences that a reader in a hurry can stop after."""
    sentences = [Finding(_setting(results), ())]
    for family in ("reconstruction", "representation", "generation"):
        found = [c for c in comparisons(results, latent_dim, family) if c.measure.better]
        if found and len(sentences) < 3:
            key = next((c for c in found if c.difference.interval), found[0])
            evidence = Evidence(key.evidence, anchor(latent_dim, key.measure))
            sentences.append(Finding(f"At d = {latent_dim} {verdict(found)}:", (evidence,)))
    alone = [f for kind in ("likelihood", "latent") for f in _alone(results, latent_dim, kind)]
    if alone:
        first = tuple(finding.evidence[0] for finding in alone)
        sentences.append(Finding(alone[0].lead, tuple(dict.fromkeys(first))[:2]))
    if results.pair(latent_dim):
        sentences.append(Finding(ONE_RUN, ()))
    return sentences


def _setting(results: Results) -> str:
    models = [m.title for m in results.of_dim(results.latent_dims[0])]
    train, epochs = results.counts.get("train"), {m.facts.get("epochs") for m in results.models}
    article = "an" if models[0][:1] in "AEIO" else "a"
    text = f"{article} {listing(models)} trained".capitalize().replace(models[0].lower(), models[0])
    text = f"{article.capitalize()} {listing([models[0], *(f'a {m}' for m in models[1:])])}"
    sizes = listing(str(d) for d in results.latent_dims)
    text += f" with {'codes' if len(results.models) > 1 else 'a code'} of {sizes} dimensions"
    images = f"{train:,} training images" if train else "the training images"
    text += f" {'were' if len(results.models) > 1 else 'was'} trained on {images} of {results.corpus}"
    if len(epochs) == 1 and (count := epochs.pop()):
        text += f" for {count} epoch{'s' if count != 1 else ''}"
    return f"{text}; every number below is from {results.sample}."
