"""The conclusion of a study, composed from verdicts and numbers; each sentence names its own.

There is no sentence here that stands whatever the numbers are.
"""

from collections.abc import Iterator
from itertools import pairwise

from aelab.report.comparison import slug
from aelab.report.conclusions import Evidence, Finding
from aelab.report.numbers import decimals, listing, number
from aelab.report.study.results import Found, Ruled, Summary, Sweep

# What a claim means beside another one. When the first is supported and the second is not:
READINGS = {
    ("variety-naive", "variety-fair"): "the variety of its samples is the merit of a better "
    "sampler so far, not of a better latent space",
}
# Measures whose course along an axis is told, with the models that have them.
TOLD = ("mse", "negative_elbo", "kl", "active_units", "coverage_prior", "coverage_mixture",
        "probe_accuracy")  # fmt: skip
ORDER = ("supported", "refuted", "inconclusive", "not measured")


def headline(found: Found) -> list[Finding]:
    """What was done, how it ended, and what a reader must know before quoting it."""
    return [Finding(_setting(found), ()), *_tallies(found), *_warnings(found)]


def _setting(found: Found) -> str:
    count = len(found.seeds)
    of_model = {
        m: max((len(summary.seeds) for summary in found.base.models[m].values()), default=0)
        for m in found.models
    }
    whole = [m for m, n in of_model.items() if n == count] or list(of_model)
    part = [f" ({_article(found.title(m))} for {n} of them)"
            for m, n in of_model.items() if m not in whole]  # fmt: skip
    titles = [_article(found.title(m)) for m in whole]
    many = "was" if len(titles) == 1 else "were"
    seeds = f"each of {count} seeds" if count > 1 else "one seed" if count else "no seed yet"
    counts = found.data["counts"]
    text = (
        f"{listing(titles)} {many} trained for {seeds}{''.join(part)} on {counts['train']:,} "
        f"images of {found.data['name']} with codes of d = {found.latent_dim}, and measured on "
        f"{counts['test']:,} test images."
    )
    return text[:1].upper() + text[1:]


def _article(title: str) -> str:
    return f"{'an' if title[:1] in 'AEIO' else 'a'} {title}"


def _tallies(found: Found) -> Iterator[Finding]:
    """A sentence a verdict, each claim linked to its row."""
    count = len(found.claims)
    for verdict in ORDER:
        if items := found.ruled.get(verdict):
            lead = f"{verdict[:1].upper()}{verdict[1:]}, {len(items)} of {count} claims:"
            yield Finding(lead, tuple(Evidence(_brief(item), item.anchor) for item in items))


def _brief(item: Ruled) -> str:
    value = f" ({item.amount.text(item.summary.estimate)[0]})" if item.summary else ""
    return f"{item.says}{value}"


def _warnings(found: Found) -> Iterator[Finding]:
    if found.pair_differs_in:
        yield Finding(
            f"Beside the objective, the models differ in {listing(found.pair_differs_in)}: "
            "whatever is found may be owed to that too.",
            (),
        )
    if len(found.seeds) < found.seeds_needed:
        count = len(found.seeds)
        yield Finding(
            f"{count} seed{'s are' if count != 1 else ' is'} too few to support "
            f"{len(found.claims)} claims together, however clear: that takes {found.seeds_needed}.",
            (),
        )
    waiting = [run for run in found.runs if run["status"] not in ("finished", "failed")]
    if waiting:
        text = f"{len(waiting)} of the {len(found.runs)} runs are not finished yet:"
        yield Finding(text, (Evidence("what is said here will change", "runs"),))
    if found.failures:
        evidence = tuple(
            Evidence(f"{item['run']}: {item['model']}", "runs") for item in found.failures
        )
        yield Finding("Not everything could be trained and measured:", evidence)
    if len(found.environments) > 1:
        yield Finding(
            f"The runs come from {len(found.environments)} environments, which the setting lists.",
            (),
        )


def reasons(found: Found) -> list[tuple[str, str]]:
    """Why claims are not decided: which ones, and the sentence that they share."""
    shared: dict[str, list[str]] = {}
    for item in found.claims:
        if item.verdict in ("inconclusive", "not measured"):
            shared.setdefault(item.why, []).append(str(item.place))
    return [
        (f"Claim{'s' * (len(places) > 1)} {listing(places)}", why)
        for why, places in shared.items()
    ]  # fmt: skip


def conclusions(found: Found) -> list[Finding]:
    """A sentence a claim, what claims mean beside each other, and the course of each axis."""
    by_name = {item.name: item for item in found.claims}
    readings = [
        Finding(
            f"Claim {first.place} holds and claim {second.place} is {second.verdict}: "
            f"{text}.",
            (Evidence(_numbers(first), first.anchor), Evidence(_numbers(second), second.anchor)),
        )
        for (one, two), text in READINGS.items()
        if (first := by_name.get(one)) and (second := by_name.get(two))
        if first.verdict == "supported" and second.verdict in ("refuted", "inconclusive")
    ]  # fmt: skip
    return [*(_claim(found, item) for item in found.claims), *readings]


def _claim(found: Found, item: Ruled) -> Finding:
    evidence = (Evidence(_numbers(item), item.anchor),) if item.summary else ()
    return Finding(f"{item.place}. {sentence(found, item)}", evidence)


def sentence(found: Found, item: Ruled) -> str:
    """What the verdict says in words."""
    claim = item.says[:1].upper() + item.says[1:]
    if item.verdict == "supported":
        return f"{claim}: supported by {_seeds(item)}."
    if item.verdict == "not measured":
        return f"Whether {item.says} was not measured. {item.why}"
    if item.verdict == "inconclusive":
        return f"Whether {item.says} is not decided. {item.why}"
    assert item.summary
    interval = item.summary.estimate.interval
    assert interval
    low, high = interval
    if high < -item.margin and item.holm is not None and item.holm < found.level:
        rest = (
            f"refuted, and the opposite holds: the difference lies beyond "
            f"{item.amount.threshold_text} in favour of the {found.title(item.against)}"
        )
    elif high < 0:
        rest = f"refuted; the numbers favour the {found.title(item.against)}"
    elif low > 0:
        rest = f"refuted; a difference is there, but below {item.amount.threshold_text}"
    else:
        rest = f"refuted; a difference, if there is one, is below {item.amount.threshold_text}"
    return f"{claim}: {rest}."


def _seeds(item: Ruled) -> str:
    assert item.summary
    for_it = sum(delta > item.margin for delta in item.summary.seeds.values())
    return f"{for_it} of {len(item.summary.seeds)} seeds beyond {item.amount.threshold_text}"


def _numbers(item: Ruled) -> str:
    assert item.summary
    value, ends = item.amount.text(item.summary.estimate)
    p = "" if item.holm is None else f", p after Holm {p_text(item.holm)}"
    return f"{item.quantity}: {value}{f' {ends}' if ends else ''}{p}"


def p_text(p: float) -> str:
    """A p with two significant digits."""
    return number(p, max(decimals([p], significant=2), 2)) if p < 1 else "1"


def course(found: Found, sweep: Sweep) -> list[Finding]:
    """How measures move along an axis: where they begin and end, and where they are best."""
    sentences = []
    for name in TOLD:
        measure = found.measures.get(name)
        if measure is None:
            continue
        for model in found.models:
            series = [
                (stop.label, summary)
                for stop, summary in zip(sweep.stops, sweep.series(model, name), strict=True)
                if summary is not None
            ]
            if not sweep.varies(model) or len(series) < 2:
                continue
            lead = f"{found.title(model)}, {measure.label}: {_movement(series, measure.better)}."
            target = f"sweep-{slug(sweep.setting)}"
            sentences.append(Finding(lead, (Evidence(_along(series), target),)))
    return sentences


def _movement(series: list[tuple[str, Summary]], better: str | None) -> str:
    """Rising, falling or neither; ends whose intervals overlap are not told apart."""
    (first, start), (last, end) = series[0], series[-1]
    places = decimals([s.mean for _, s in series])
    values = [round(s.mean, places) for _, s in series]
    steps = [b - a for a, b in pairwise(values)]
    if all(step == 0 for step in steps):
        return f"level at {number(start.mean, places)}"
    text = f"from {number(start.mean, places)} at {first} to {number(end.mean, places)} at {last}"
    if _overlap(start, end):
        text += ", which the seeds do not tell apart"
    elif all(step >= 0 for step in steps):
        text = f"rising {text}"
    elif all(step <= 0 for step in steps):
        text = f"falling {text}"
    else:
        text += ", not all one way"
    if better:
        choose = max if better == "higher" else min
        label, best = choose(series, key=lambda item: item[1].mean)
        if label not in (first, last):
            text += f"; best at {label} ({number(best.mean, places)})"
    return text


def _overlap(one: Summary, two: Summary) -> bool:
    if not (one.estimate.interval and two.estimate.interval):
        return False
    (low, high), (floor, ceiling) = one.estimate.interval, two.estimate.interval
    return low <= ceiling and floor <= high


def _along(series: list[tuple[str, Summary]]) -> str:
    places = decimals([s.mean for _, s in series])
    return ", ".join(f"{label}: {number(summary.mean, places)}" for label, summary in series)
