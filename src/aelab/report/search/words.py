"""What a search says in words and in tables, from its numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aelab.report.numbers import decimals, difference, duration, interval, listing, number
from aelab.report.results import Estimate, Measure
from aelab.report.search.records import Contender, Luck, Proof, SearchResults
from aelab.report.setting import Group

SHOWN_TRIALS = 10
MATTERS = 0.1  # of the variance


@dataclass(frozen=True)
class Cell:
    """A number as shown, with its interval."""

    text: str
    interval: str = ""
    better: bool = False


@dataclass(frozen=True)
class TestRow:
    """A measure over the chosen setting and the yardsticks."""

    measure: Measure
    cells: tuple[Cell, ...]
    differences: tuple[Cell, ...]


def summary(results: SearchResults) -> Iterator[str]:
    """The search in at most five sentences."""
    goal, winner = results.goal, results.winner
    d = f"the {results.model_title} at d = {results.latent_dim} on {results.data['name']}"
    pruned, failed = len(results.state("pruned")), len(results.state("fail"))
    ended = listing([f"{pruned} pruned"] * bool(pruned) + [f"{failed} failed"] * bool(failed))
    goals = listing(goal.title for goal in results.goals)
    yield (
        f"{len(results.trials)} trials of {results.trial_epochs} epochs searched the settings of "
        f"{d} for {goals}{f'; {ended}' if ended else ''}."
    )
    if winner is None:
        return
    if len(results.goals) > 1:
        yield f"{len(results.best)} of them form the front: none beats another by every goal."
        return
    start = results.trials[0]
    of_start = (
        f", where the search’s own start had {_valued(start.values[0], goal)}"
        if start.complete and start is not winner
        else ""
    )
    reached = _valued(winner.values[0], goal)
    yield f"The best one, trial {winner.number}, reached {reached}{of_start}."
    if results.proof:
        yield _proved(results.proof, goal)
        yield luck(results.proof, goal)
    if matters := important(results):
        yield matters


def _valued(value: float, goal: Measure) -> str:
    return f"{number(value)}{' ' + goal.unit if goal.unit else ''}"


def _proved(proof: Proof, goal: Measure) -> str:
    chosen = proof.contender(proof.chosen)
    yardsticks = [
        f"{_valued(row.mean.value, goal)} with the {row.title}"
        for row in proof.contenders
        if row.trial is None
    ]
    return (
        f"Trained anew for {chosen.epochs} epochs with {len(proof.seeds)} fresh seeds, "
        f"{chosen.title} is the best on validation: {_valued(chosen.mean.value, goal)} "
        f"{interval(chosen.mean, decimals([chosen.mean.value]))}, against {listing(yardsticks)}."
    )


def luck(proof: Proof, goal: Measure) -> str:
    """How much of the apparent gain was luck of the search."""
    found = proof.best
    if found is None:
        return "The best trial of the search cannot be trained with every fresh seed."
    text = (
        f"Trial {found.trial} gave {_valued(found.searched, goal)} in the search and "
        f"{_valued(found.fresh.value, goal)} with fresh seeds after the same {found.epochs} "
        f"epochs: {_told_luck(found, goal)}"
    )
    if proof.start is None:
        return f"{text}."
    gain = abs(found.searched - proof.start.searched)
    real = abs(found.fresh.value - proof.start.fresh.value)
    return (
        f"{text}; of its lead of {_gained(gain, goal)} over the start, {_gained(real, goal)} hold "
        "with fresh seeds."
    )


def _gained(value: float, goal: Measure) -> str:
    text = number(abs(value), decimals([value], significant=3))
    return f"{text}{' ' + goal.unit if goal.unit else ''}"


def _told_luck(found: Luck, goal: Measure) -> str:
    amount = _gained(found.luck, goal)
    return f"{amount} were luck" if found.luck > 0 else f"no luck, but {amount} of bad luck"


def important(results: SearchResults) -> str:
    """Which settings explain most of the variance."""
    shares = results.importances[0]
    if not shares:
        return ""
    titles = {dimension.name: dimension.title for dimension in results.dimensions}
    most = [(titles[n], s) for n, s in shares.items() if s >= MATTERS]
    rest = [titles[n] for n, s in shares.items() if s < MATTERS]
    told = listing(f"{title} ({share:.0%})" for title, share in most)
    names = listing(rest)
    verb = "matters" if len(rest) == 1 else "matter"
    little = f" {names[:1].upper()}{names[1:]} {verb} little here." if rest else ""
    return f"Among the complete trials, most of the variance comes with {told}.{little}"


def test_rows(results: SearchResults) -> tuple[list[Contender], list[Contender], list[TestRow]]:
    """The columns, those of them that the choice is compared with, and the rows of the test."""
    proof = results.proof
    if proof is None:
        return [], [], []
    columns = [proof.contender(name) for name in proof.test]
    against = [proof.contender(name) for name in proof.differences]
    rows = []
    for name, measure in proof.measures.items():
        means = [proof.test[column.name][name] for column in columns]
        places = decimals([mean.value for mean in means])
        rows.append(
            TestRow(
                measure,
                tuple(Cell(number(m.value, places), interval(m, places)) for m in means),
                tuple(_gap(proof.differences[row.name][name], measure) for row in against),
            )
        )
    return columns, against, rows


def _gap(found: Estimate, measure: Measure) -> Cell:
    gains = found.value < 0 if measure.better == "lower" else found.value > 0
    return Cell(*difference(found), better=bool(measure.better) and found.separates and gains)


def estimated(found: Estimate) -> str:
    """A mean and its interval in a line."""
    places = decimals([found.value])
    return f"{number(found.value, places)} {interval(found, places)}"


def settings(results: SearchResults, contender: Contender) -> list[tuple[str, str]]:
    """What the search has chosen for a contender, name and value."""
    model, network = contender.settings[results.model], contender.settings["network"]
    values: dict[str, Any] = {**model, **network, "latent_dim": contender.settings["latent_dim"]}
    return [(d.title, shown(values[d.name])) for d in results.dimensions]


def shown(value: Any) -> str:
    """A setting's value."""
    if isinstance(value, list | tuple):
        return "-".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def best_trials(results: SearchResults) -> list[tuple[str, ...]]:
    """The first rows of the ranking: number, values, settings, time."""
    places = [
        decimals([t.values[k] for t in results.state("complete")])
        for k in range(len(results.goals))
    ]
    return [
        (
            str(trial.number),
            *(number(value, p) for value, p in zip(trial.values, places, strict=True)),
            *(shown(trial.settings[dimension.name]) for dimension in results.dimensions),
            duration(trial.seconds) if trial.seconds is not None else "–",
        )
        for trial in (results.trials[n] for n in results.best[:SHOWN_TRIALS])
    ]


def failures(results: SearchResults) -> list[tuple[int, str]]:
    """The failed trials, each with its reason."""
    return [(trial.number, trial.reason or "no reason is known") for trial in results.state("fail")]


def setting(results: SearchResults) -> list[Group]:
    """Data, search and machine, as terms and facts."""
    search: Mapping[str, Any] = results.search
    sampler, pruner = search["sampler"], search["pruner"]
    data = {
        "name": results.data["name"],
        "why": results.data["why"],
        "split": results.data["split"],
        "protocol": results.experiment["pixels"],
        **{f"SHA-256 {name}": digest for name, digest in results.data["sha256"].items()},
    }
    searched = {
        "model": f"{results.model_title}, d = {results.latent_dim}",
        "goal": listing(goal.name for goal in results.goals),
        "budget": listing(f"{search[u]:g} {u}" for u in ("trials", "minutes") if search[u]),
        "epochs of a trial": search["trial_epochs"],
        "sampler": ", ".join(f"{name} {value}" for name, value in sampler.items()),
        "pruner": ", ".join(f"{name} {value}" for name, value in pruner.items()),
        "seed": results.experiment["seed"],
        **{f"space: {dimension.title}": dimension.text for dimension in results.dimensions},
    }
    machine = {
        **{name.replace("_", " "): v for name, v in results.manifest["environment"].items()},
        "storage": results.manifest.get("storage") or "a file in the folder",
        "time of the trials": duration(results.manifest.get("seconds", 0.0)),
    }
    return [
        Group(title, tuple((name, str(fact)) for name, fact in facts.items()))
        for title, facts in (("Data", data), ("Search", searched), ("Machine", machine))
    ]
