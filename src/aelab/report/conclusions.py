"""Sentences composed from the numbers; a number that is missing leaves no sentence behind.

One run compares two fixed models, so nothing here speaks about the methods in general.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aelab.report.comparison import Comparison, anchor, comparisons, families
from aelab.report.numbers import decimals, difference, interval, listing, number
from aelab.report.results import Estimate, Measure, Model, Results

KEY_NUMBERS = 3  # of what has no counterpart, in the summary

# What it means to be better in a family: "the AE …", "which model …".
BETTER = {
    "reconstruction": "reconstructs better",
    "likelihood": "gives the images the higher likelihood",
    "latent": "has the better-shaped latent space",
    "representation": "has codes that tell the classes apart better",
    "generation": "draws better samples",
}


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


def findings(results: Results, latent_dim: int) -> list[Finding]:
    """Every conclusion at one size: the pair by family, the baselines, what has no counterpart."""
    return [
        *(f for family in families(results) for f in _compared(results, latent_dim, family)),
        *(f for family in families(results) for f in _beside(results, latent_dim, family)),
        *_alone(results, latent_dim),
    ]


def _compared(results: Results, latent_dim: int, family: str) -> Iterator[Finding]:
    found = _told(results, latent_dim, family)
    if found:
        evidence = tuple(Evidence(c.evidence, anchor(latent_dim, c.measure)) for c in found)
        yield Finding(f"At d = {latent_dim} {verdict(found)}.", evidence)


def _told(results: Results, latent_dim: int, family: str) -> list[Comparison]:
    """The comparisons of a family that sentences speak of."""
    found = comparisons(results, latent_dim, family)
    return [c for c in found if c.measure.better and c.measure.headline]


def verdict(found: list[Comparison]) -> str:
    """What a family of comparisons says together; each counts only with an interval beyond zero."""
    clause = better_clause(found[0].measure.family)
    winners = [c.winner.title for c in found if c.winner]
    if len(set(winners)) > 1:
        counts = [f"{winners.count(title)} for the {title}" for title in dict.fromkeys(winners)]
        return f"the measures disagree on which model {clause}: {listing(counts)}"
    if winners:
        rest = len(found) - len(winners)
        scope = f" by {len(winners)} of {len(found)} measures" if rest else ""
        return f"the {winners[0]} {clause}{scope}"
    return f"the numbers do not tell which model {clause}"


def _beside(results: Results, latent_dim: int, family: str) -> Iterator[Finding]:
    evidence = []
    for measure in results.measures.values():
        bases = [(b, e) for b in results.beside(latent_dim) if (e := b.metrics.get(measure.name))]
        models = [(m, e) for m in results.of_dim(latent_dim) if (e := m.metrics.get(measure.name))]
        if (
            measure.family != family
            or measure.panel
            or not measure.better
            or not bases
            or not models
        ):
            continue
        places = decimals([estimate.value for _, estimate in (*bases, *models)])
        phrases = []
        for model, mine in models:
            gaps = results.baseline_differences.get(model.key, {})
            phrases.append(f"{model.title} {_value(mine, places)}")
            for base, its in bases:
                gap = gaps.get(base.key, {}).get(measure.name)
                value = _value(its, places)
                if gap:
                    change = " ".join(difference(gap))
                    value = f"{number(its.value, places)}; difference {change}"
                phrases.append(f"{_standing(mine, its, gap, measure)} {_called(base)} ({value})")
        evidence.append(
            Evidence(f"{measure.label}: {', '.join(phrases)}", anchor(latent_dim, measure))
        )
    if evidence:
        yield Finding(f"In {family}, beside the baselines at d = {latent_dim}:", tuple(evidence))


def _called(base: Model) -> str:
    return f"{base.title} of the same size" if base.latent_dim else base.title.lower()


def _standing(estimate: Estimate, other: Estimate, gap: Estimate | None, measure: Measure) -> str:
    """Better or worse only by intervals: without them there is no verdict.

    What counts is the paired difference ``gap`` where there is one, else whether the intervals of
    the two values overlap.
    """
    if gap is not None:
        separate, higher = gap.separates, gap.value > 0
    elif estimate.interval and other.interval:
        (low, high), (floor, ceiling) = estimate.interval, other.interval
        separate, higher = high < floor or ceiling < low, estimate.value > other.value
    else:
        return "beside"
    if not separate:
        return "not clearly different from"
    return "better than" if higher == (measure.better == "higher") else "worse than"


def _alone(results: Results, latent_dim: int, *, only_key: bool = False) -> Iterator[Finding]:
    """What is known of one model and cannot be compared, family by family.

    The key numbers are the first few that have a better side.
    """
    compared = {c.measure.name for c in comparisons(results, latent_dim)}
    for model in results.of_dim(latent_dim):
        evidence = tuple(
            Evidence(
                f"{measure.title} {_value(estimate, decimals([estimate.value]), measure.unit)}",
                anchor(latent_dim, measure),
            )
            for family in families(results)
            for measure in results.measures.values()
            if measure.family == family and measure.headline and measure.name not in compared
            if measure.better or not only_key
            if (estimate := model.metrics.get(measure.name))
        )
        evidence = evidence[: KEY_NUMBERS if only_key else None]
        if evidence:
            yield Finding(f"Of the {model.title} alone at d = {latent_dim}:", evidence)


def _value(estimate: Estimate, places: int, unit: str = "") -> str:
    parts = number(estimate.value, places), unit, interval(estimate, places)
    return " ".join(filter(None, parts))


def summary(results: Results, latent_dim: int) -> list[Finding]:
    """Three to five sentences that a reader in a hurry can stop after."""
    sentences = [Finding(_setting(results), ())]
    for family in ("reconstruction", "representation", "generation"):
        found = _told(results, latent_dim, family)
        if found and len(sentences) < 3:
            # Only what bears the verdict out is quoted: the first metric of each winner.
            first = {c.winner.title: c for c in reversed(found) if c.winner}
            evidence = tuple(
                Evidence(c.evidence, anchor(latent_dim, c.measure)) for c in first.values()
            )
            lead = f"At d = {latent_dim} {verdict(found)}{':' if evidence else '.'}"
            sentences.append(Finding(lead, evidence))
    sentences += _alone(results, latent_dim, only_key=True)
    if results.pair(latent_dim):
        sentences.append(Finding(caveat(results), ()))
    return sentences


def caveat(results: Results) -> str:
    """What a single run can and cannot say, and what else may be behind its differences."""
    text = (
        "This is one run: the intervals are 95%, from a paired bootstrap over the test images, and "
        "compare these two trained models. Another seed would give two others, so nothing is "
        "decided here about the methods."
    )
    if results.pair_differs_in:
        text += f" Beside the objective, the pair differs in {listing(results.pair_differs_in)}."
    return text


def _setting(results: Results) -> str:
    titles = [_with_article(title) for title in dict.fromkeys(m.title for m in results.models)]
    sizes = listing(str(d) for d in results.latent_dims)
    many = len(results.models) > 1
    epochs = {model.facts.get("epochs") for model in results.models}
    text = f"{listing(titles)} with {'codes' if many else 'a code'} of {sizes} dimensions "
    text += f"{'were' if many else 'was'} trained on {results.sample('train')}"
    if len(epochs) == 1 and (count := epochs.pop()):
        text += f" for {count} epoch{'s' if count != 1 else ''}"
    return f"{text[0].upper()}{text[1:]}; every number below is from {results.sample()}."


def _with_article(title: str) -> str:
    return f"{'an' if title[:1] in 'AEIO' else 'a'} {title}"
