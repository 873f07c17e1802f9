"""How the search went: its proof, its trials, its learning curves, its front."""

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from aelab.report.figures.base import Drawing, panels
from aelab.report.numbers import decimals, listing, number
from aelab.report.search.drawing import Look, figure, limits, point, upright
from aelab.report.style import INK, MUTED


@figure(
    "proof",
    "The winners with fresh seeds",
    "Proof",
    "Each dot is a training with a seed that the search has not seen, measured on validation; the "
    "bar is their mean with its 95% interval. The choice among the trials is made here.",
)
def proof(look: Look) -> Drawing | None:
    """A row a contender."""
    found = look.results.proof
    if found is None:
        return None
    rows = found.contenders
    drawn, [ax] = panels(look, 1, 1, height=0.6 + 0.34 * len(rows))
    for place, row in enumerate(rows):
        chosen = row.name == found.chosen
        color = look.color if chosen else MUTED if row.trial is None else INK
        ax.plot(row.values, [place] * len(row.values), "o", color=color, markersize=4, alpha=0.55)
        low, high = row.mean.interval or (row.mean.value, row.mean.value)
        ax.plot([low, high], [place, place], color=color, linewidth=1.2)
        ax.plot([row.mean.value], [place], "|", color=color, markersize=13, markeredgewidth=2)
    ax.set_yticks(range(len(rows)), [_named(row.title, row.name == found.chosen) for row in rows])
    ax.set(ylim=(len(rows) - 0.4, -0.6), xlabel=look.label)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(4 if look.narrow else 8))
    places = decimals([row.mean.value for row in rows])
    told = listing(f"{row.title} {number(row.mean.value, places)}" for row in rows)
    return Drawing(drawn, f"Means over {len(found.seeds)} seeds, {look.label}: {told}.")


def _named(title: str, chosen: bool) -> str:
    short = title.split(",")[0]
    return f"{short} (chosen)" if chosen else short


@figure(
    "history",
    "Trial by trial",
    "Search",
    "Every trial’s value on validation in the order of their numbers. Filled: trained to its end; "
    "open: pruned, shown with its last value; triangle: beyond the axis; cross: failed. The line "
    "is the best so far.",
)
def history(look: Look) -> Drawing | None:
    """Value against number."""
    results = look.results
    if len(results.goals) > 1 or not results.best:
        return None
    drawn, [ax] = panels(look, 1, 1, height=2.5)
    low, high = limits(results)
    for trial in results.trials:
        if trial.last is None:
            ax.plot([trial.number], [high], "x", color=INK, markersize=5, clip_on=False)
        else:
            point(ax, look, trial, trial.number, (low, high))
    steps, best = [], None
    for trial in results.trials:
        if trial.complete and (best is None or results.better(trial.values[0], best)):
            best = trial.values[0]
        if best is not None:
            steps.append((trial.number, best))
    ax.step(*zip(*steps, strict=True), where="post", color=look.color, linewidth=1.2)
    ax.set(xlabel="trial", ylabel=look.label, ylim=upright(low, high))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    winner, ended = results.trials[results.best[0]], len(results.state("complete"))
    alt = (
        f"{len(results.trials)} trials, {ended} of them to their end. The best so far ends at "
        f"{number(winner.values[0])} with trial {winner.number}."
    )
    return Drawing(drawn, alt)


@figure(
    "curves",
    "Learning curves",
    "Search",
    "The value on validation after each epoch of every trial; dotted ones were pruned where they "
    "end. The bold line is the best trial.",
)
def curves(look: Look) -> Drawing | None:
    """Value against epoch."""
    results = look.results
    shown = [trial for trial in results.trials if trial.curve]
    if not shown or results.winner is None:
        return None
    drawn, [ax] = panels(look, 1, 1, height=2.7)
    for trial in shown:
        style, color = ("-", look.color) if trial.complete else (":", MUTED)
        epochs, values = zip(*trial.curve, strict=True)
        ax.plot(epochs, values, style, color=color, alpha=0.5, linewidth=0.9)
        if not trial.complete:
            ax.plot(epochs[-1:], values[-1:], "o", markersize=2.5, color=color)
    ax.plot(*zip(*results.winner.curve, strict=True), color=look.color, linewidth=2.4)
    low, high = limits(results, [value for trial in shown for _, value in trial.curve])
    ax.set(xlabel="epoch", ylabel=look.label, ylim=upright(low, high))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    lines = [Line2D([], [], color=look.color), Line2D([], [], color=MUTED, linestyle=":")]
    ax.legend(
        lines, ["to the end", "pruned"], loc="lower right", bbox_to_anchor=(1, 1), ncols=2,
        borderaxespad=0,
    )  # fmt: skip
    pruned = len(results.state("pruned"))
    spent = sum(len(trial.curve) for trial in shown)
    alt = (
        f"Learning curves of {len(shown)} trials, {pruned} of them pruned; {spent} epochs were "
        f"trained of {len(shown) * results.trial_epochs} that all trials would have taken."
    )
    return Drawing(drawn, alt)


@figure(
    "front",
    "The front",
    "Search",
    "Every trial by two goals, on validation. Joined are those that no other trial beats in both.",
)
def front(look: Look) -> Drawing | None:
    """One goal against another."""
    results = look.results
    if len(results.goals) < 2:
        return None
    pairs = [(0, k) for k in range(1, len(results.goals))]
    drawn, axes = panels(look, 1, len(pairs), height=3.2)
    best = [results.trials[number] for number in results.best]
    for ax, (a, b) in zip(axes, pairs, strict=True):
        points = [(t.values[a], t.values[b]) for t in results.state("complete")]
        ax.plot(*zip(*points, strict=True), "o", color=MUTED, markersize=3.5, alpha=0.7)
        line = sorted((t.values[a], t.values[b]) for t in best)
        ax.plot(*zip(*line, strict=True), "o-", color=look.color, markersize=5, linewidth=1.2)
        ax.set(xlabel=results.goals[a].label, ylabel=results.goals[b].label)
    titles = listing(goal.title for goal in results.goals)
    return Drawing(
        drawn, f"{len(best)} of {len(results.trials)} trials form the front of {titles}."
    )
