"""A search's records to one self-contained page."""

from pathlib import Path

from aelab.report import page
from aelab.report.embed import by_section, embed
from aelab.report.numbers import decimals
from aelab.report.search import hyperparameters, trials  # noqa: F401  (figures register themselves)
from aelab.report.search.conclusions import summary
from aelab.report.search.drawing import KINDS
from aelab.report.search.tables import settings, test_table
from aelab.report.svg import Inliner
from aelab.runs.search import SearchFolder
from aelab.runs.search_results import load

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
