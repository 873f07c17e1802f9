"""How the search went: its proof, its trials, its learning curves."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from aelab.report.figures.base import Drawing, figure
from aelab.report.figures.drawing import panels
from aelab.report.numbers import decimals, listing, number
from aelab.report.search.drawing import KINDS, limits, model_ink, point, upright
from aelab.report.style import INK, MUTED
from aelab.runs.search_results import SearchResults


@figure(KINDS, "proof", "The winners with fresh seeds", "Proof")
def proof(results: SearchResults) -> Drawing | None:
    """Each dot is a training with a seed that the search has not seen, evaluated on validation; the
    bar is their mean with its 95% interval. The choice among the trials is made here.
    """
    found = results.proof
    if found is None:
        return None
    rows = found.contenders
    drawn, [ax] = panels(1, 1, height=0.6 + 0.34 * len(rows))
    names = []
    for place, row in enumerate(rows):
        chosen = row.name == found.chosen
        names.append(row.title.split(",")[0] + " (chosen)" * chosen)
        color = model_ink(results) if chosen else MUTED if row.trial is None else INK
        ax.plot(row.values, [place] * len(row.values), "o", color=color, markersize=4, alpha=0.55)
        ends = row.mean.interval or ()
        ax.plot(ends, [place] * len(ends), color=color, linewidth=1.2)
        ax.plot([row.mean.value], [place], "|", color=color, markersize=13, markeredgewidth=2)
    ax.set_yticks(range(len(rows)), names)
    ax.set(ylim=(len(rows) - 0.4, -0.6), xlabel=results.goal.label)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(8))
    places = decimals([row.mean.value for row in rows])
    means = listing(f"{row.title} {number(row.mean.value, places)}" for row in rows)
    return Drawing(drawn, f"Means over {len(found.seeds)} seeds, {results.goal.label}: {means}.")


@figure(KINDS, "history", "Trial by trial", "Search")
def history(results: SearchResults) -> Drawing | None:
    """Every trial’s value on validation in the order of their numbers. Filled: trained to its end;
    open: pruned, shown with its last value; triangle: beyond the axis; cross: failed. The line is
    the best so far.
    """
    if not results.best:
        return None
    drawn, [ax] = panels(1, 1, height=2.5)
    low, high = limits(results)
    for trial in results.trials:
        if trial.last is None:
            ax.plot([trial.number], [high], "x", color=INK, markersize=5, clip_on=False)
        else:
            point(ax, results, trial, trial.number, high)
    ended = results.values
    best = (np.minimum if results.lower else np.maximum).accumulate(list(ended.values()))
    ax.step(list(ended), best, where="post", color=model_ink(results), linewidth=1.2)
    ax.set(xlabel="trial", ylabel=results.goal.label, ylim=upright(low, high))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    alt = (
        f"{len(results.trials)} trials, {len(ended)} of them to their end. The best so far ends at "
        f"{number(best[-1])} with trial {results.best[0]}."
    )
    return Drawing(drawn, alt)


@figure(KINDS, "curves", "Learning curves", "Search")
def curves(results: SearchResults) -> Drawing | None:
    """The value on validation after each epoch of every trial; dotted ones were pruned where they
    end. The bold line is the best trial.
    """
    drawable = [trial for trial in results.trials if trial.curve]
    if not drawable or results.winner is None:
        return None
    drawn, [ax] = panels(1, 1, height=2.7)
    for trial in drawable:
        style, color = ("-", model_ink(results)) if trial.complete else (":", MUTED)
        epochs, values = zip(*trial.curve, strict=True)
        ax.plot(epochs, values, style, color=color, alpha=0.5, linewidth=0.9)
        if not trial.complete:
            ax.plot(epochs[-1:], values[-1:], "o", markersize=2.5, color=color)
    ax.plot(*zip(*results.winner.curve, strict=True), color=model_ink(results), linewidth=2.4)
    low, high = limits(results, [value for trial in drawable for _, value in trial.curve])
    ax.set(xlabel="epoch", ylabel=results.goal.label, ylim=upright(low, high))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    lines = [Line2D([], [], color=model_ink(results)), Line2D([], [], color=MUTED, linestyle=":")]
    ax.legend(
        lines, ["to the end", "pruned"], loc="lower right", bbox_to_anchor=(1, 1), ncols=2,
        borderaxespad=0,
    )  # fmt: skip
    pruned = len(results.state("pruned"))
    spent = sum(len(trial.curve) for trial in drawable)
    alt = (
        f"{len(drawable)} trials, {pruned} of them pruned; {spent} epochs were "
        f"trained of {len(drawable) * results.trial_epochs} that all trials would have taken."
    )
    return Drawing(drawn, alt)
