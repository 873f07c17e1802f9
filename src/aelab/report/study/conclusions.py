"""The conclusions of a study, composed from its verdicts and numbers."""

from collections.abc import Iterator
from itertools import pairwise

from aelab.report.conclusions import Evidence, Finding, confounders
from aelab.report.numbers import article, capital, decimals, listing, number, p_text, plural, slug
from aelab.report.study.results import ClaimResult, StudyResults, Summary, Sweep

# What two claims mean together if the first is supported and the second is not.
READINGS = {
    ("variety-naive", "variety-fair"): "the variety of its samples comes from a better "
    "sampler, not from a better latent space"
}
# The metrics with a sentence for each axis and model.
ALONG = ("mse", "negative_elbo", "kl", "active_units", "coverage_prior", "coverage_mixture",
         "probe_accuracy")  # fmt: skip
ORDER = ("supported", "refuted", "inconclusive", "not evaluated")


def headline(found: StudyResults) -> list[Finding]:
    """The setting, the verdicts, and what limits them."""
    return [Finding(_setting(found)), *_tallies(found), *_warnings(found)]


def _setting(found: StudyResults) -> str:
    count = len(found.seeds)
    of_model = {
        m: max((len(summary.seeds) for summary in found.base.models[m].values()), default=0)
        for m in found.models
    }
    whole = [m for m, n in of_model.items() if n == count] or list(of_model)
    part = [f" ({article(found.title(m))} for {n} of them)"
            for m, n in of_model.items() if m not in whole]  # fmt: skip
    titles = [article(found.title(m)) for m in whole]
    verb = "was" if len(titles) == 1 else "were"
    seeds = f"each of {count} seeds" if count > 1 else "one seed" if count else "no seed yet"
    counts = found.data["counts"]
    return capital(
        f"{listing(titles)} {verb} trained for {seeds}{''.join(part)} on {counts['train']:,} "
        f"images of {found.data['name']} with codes of d = {found.latent_dim}, and evaluated on "
        f"{counts['test']:,} test images."
    )


def _tallies(found: StudyResults) -> Iterator[Finding]:
    """A sentence a verdict, each claim linked to its row."""
    for verdict in ORDER:
        if items := [item for item in found.claims if item.verdict == verdict]:
            lead = f"{capital(verdict)}, {len(items)} of {len(found.claims)} claims:"
            yield Finding(lead, tuple(Evidence(_brief(item), item.anchor) for item in items))


def _brief(item: ClaimResult) -> str:
    value = f" ({item.amount.text(item.summary)[0]})" if item.summary else ""
    return f"{item.says}{value}"


def _warnings(found: StudyResults) -> Iterator[Finding]:
    if found.pair_differs_in:
        yield Finding(confounders(found.pair_differs_in))
    count = len(found.seeds)
    if count < found.seeds_needed:
        yield Finding(
            f"{plural(count, 'seed')} {'is' if count == 1 else 'are'} too few to support "
            f"{len(found.claims)} claims after Holm’s correction: that takes {found.seeds_needed}."
        )
    waiting = [run for run in found.runs if run["status"] not in ("finished", "failed")]
    if waiting:
        text = f"{len(waiting)} of the {len(found.runs)} runs are not finished yet:"
        yield Finding(text, (Evidence("the results here will change", "runs"),))
    if found.failures:
        failed = (f"{item['run']}: {item['model']}" for item in found.failures)
        evidence = tuple(Evidence(text, "runs") for text in failed)
        yield Finding("Some models could not be trained or evaluated:", evidence)
    if len(found.environments) > 1:
        count = len(found.environments)
        yield Finding(f"The runs come from {count} environments, which the setting lists.")


def reasons(found: StudyResults) -> list[tuple[str, str]]:
    """The claims that are inconclusive or not evaluated, by the reason that they share."""
    shared: dict[str, list[str]] = {}
    for item in found.claims:
        if item.verdict in ("inconclusive", "not evaluated"):
            shared.setdefault(item.why, []).append(str(item.place))
    return [
        (f"Claim{'s' * (len(places) > 1)} {listing(places)}", why)
        for why, places in shared.items()
    ]  # fmt: skip


def conclusions(found: StudyResults) -> list[Finding]:
    """A sentence for each claim, and what claims mean together."""
    by_name = {item.name: item for item in found.claims}
    readings = [
        Finding(
            f"Claim {first.place} holds and claim {second.place} is {second.verdict}: {text}.",
            (*_evidence(first), *_evidence(second)),
        )
        for (one, two), text in READINGS.items()
        if (first := by_name.get(one)) and (second := by_name.get(two))
        if first.verdict == "supported" and second.verdict in ("refuted", "inconclusive")
    ]
    claims = [
        Finding(f"{item.place}. {sentence(found, item)}", _evidence(item)) for item in found.claims
    ]
    return [*claims, *readings]


def _evidence(item: ClaimResult) -> tuple[Evidence, ...]:
    if item.summary is None:
        return ()
    value, ends = item.amount.text(item.summary)
    p = "" if item.holm is None else f", p after Holm {p_text(item.holm)}"
    return (Evidence(f"{item.quantity}: {f'{value} {ends}'.strip()}{p}", item.anchor),)


def sentence(found: StudyResults, item: ClaimResult) -> str:
    """The verdict as a sentence."""
    threshold = item.amount.threshold_text
    if item.verdict == "not evaluated":
        return f"It is not evaluated whether {item.says}. {item.why}"
    if item.verdict == "inconclusive":
        return f"It is inconclusive whether {item.says}. {item.why}"
    assert item.summary
    if item.verdict == "supported":
        beyond = sum(delta > item.margin for delta in item.summary.seeds.values())
        rest = f"supported by {beyond} of {len(item.summary.seeds)} seeds beyond {threshold}"
        return f"{capital(item.says)}: {rest}."
    assert item.summary.interval
    low, high = item.summary.interval
    if high < -item.margin and item.holm is not None and item.holm < found.level:
        rest = (
            f"and the opposite holds: the difference lies beyond {threshold} in favour of the "
            f"{found.title(item.against)}"
        )
        return f"{capital(item.says)}: refuted, {rest}."
    if high < 0:
        rest = f"the interval favours the {found.title(item.against)}"
    elif low > 0:
        rest = f"the interval excludes zero but lies below {threshold}"
    else:
        rest = f"the interval contains zero and lies below {threshold}"
    return f"{capital(item.says)}: refuted; {rest}."


def trends(found: StudyResults, sweep: Sweep) -> list[Finding]:
    """How metrics change along an axis: the first, the last and the best value."""
    sentences = []
    for metric in (found.metrics[name] for name in ALONG if name in found.metrics):
        for model in found.models:
            series = [
                (stop.label, summary)
                for stop, summary in zip(sweep.stops, sweep.series(model, metric.name), strict=True)
                if summary is not None
            ]
            if not sweep.varies(model) or len(series) < 2:
                continue
            places = decimals([summary.value for _, summary in series])
            values = ", ".join(f"{label}: {number(s.value, places)}" for label, s in series)
            trend = _trend(series, places, metric.better)
            lead = f"{found.title(model)}, {metric.label}: {trend}."
            sentences.append(Finding(lead, (Evidence(values, f"sweep-{slug(sweep.setting)}"),)))
    return sentences


def _trend(series: list[tuple[str, Summary]], places: int, better: str | None) -> str:
    """Rising, falling or neither; no direction if the intervals of both ends overlap."""
    (first, start), (last, end) = series[0], series[-1]
    values = [round(s.value, places) for _, s in series]
    steps = [b - a for a, b in pairwise(values)]
    if all(step == 0 for step in steps):
        return f"constant at {number(start.value, places)}"
    text = f"from {number(start.value, places)} at {first} to {number(end.value, places)} at {last}"
    if start.overlaps(end):
        text += ", with overlapping intervals"
    elif all(step >= 0 for step in steps):
        text = f"rising {text}"
    elif all(step <= 0 for step in steps):
        text = f"falling {text}"
    else:
        text += ", not monotonic"
    if better:
        choose = max if better == "higher" else min
        label, best = choose(series, key=lambda item: item[1].value)
        if label not in (first, last):
            text += f"; best at {label} ({number(best.value, places)})"
    return text
