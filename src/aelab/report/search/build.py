"""A search's records to one self-contained page."""

from pathlib import Path
from typing import Any

from aelab.report import page
from aelab.report.embed import by_section, embed
from aelab.report.numbers import decimals, setting_text
from aelab.report.search import hyperparameters, trials  # noqa: F401  (figures register themselves)
from aelab.report.search.conclusions import summary
from aelab.report.search.drawing import KINDS
from aelab.report.style import role
from aelab.report.svg import Inliner
from aelab.report.tables import Column, Head, Table, metric_table
from aelab.runs.search import SearchFolder
from aelab.runs.search_results import Contender, Proof, SearchResults, load

SECTIONS = ("Proof", "Search", "Hyperparameters")


def build_search_report(folder: SearchFolder) -> Path:
    """Write the figures and ``report.html`` of a search; gives its path.

    The same search gives the same bytes. Raises RunError if its trials have not been collected.
    """
    results, inliner = load(folder), Inliner()
    figures = embed(folder.write_figure, inliner, KINDS, [("", "", results)])
    proof = results.proof
    html = page.render(
        "search.html.j2",
        results,
        inliner,
        summary=list(summary(results)),
        test=test_table(results, proof) if proof else None,
        contenders=[(each, settings(results, each)) for each in proof.contenders] if proof else [],
        places=decimals(results.values.values()),
        failures=[
            (f"trial {trial.number}", trial.reason or "no reason is known")
            for trial in results.state("fail")
        ],
        sections=by_section(figures, SECTIONS),
    )
    return folder.write_report(html)


def test_table(results: SearchResults, proof: Proof) -> Table:
    """Every metric on test of the choice and the references, and their differences."""
    columns: list[Column] = []
    for name, estimates in proof.test.items():
        found = proof.contender(name)
        color = role(results.model, {results.model}) if not columns else ""
        columns.append(Column(Head(found.title, color, f"{found.epochs} epochs"), estimates))
    chosen = columns[0].head.title
    for name, gaps in proof.differences.items():
        short = proof.contender(name).title.split(",")[0]
        marks = {
            n: "better"
            for n, gap in gaps.items()
            if gap.separates and proof.metrics[n].improves(gap.value)
        }
        columns.append(Column(Head(f"{chosen} − {short}", kind="difference"), gaps, marks))
    return metric_table(list(proof.metrics.values()), columns, lambda _: "")


def settings(results: SearchResults, contender: Contender) -> dict[str, str]:
    """What the search has chosen for a contender, by the title of the setting."""
    model, network = contender.settings[results.model], contender.settings["network"]
    values: dict[str, Any] = {**model, **network, "latent_dim": contender.settings["latent_dim"]}
    return {d.title: setting_text(values[d.name]) for d in results.dimensions}
