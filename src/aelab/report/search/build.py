"""A search's records to one self-contained page."""

from pathlib import Path

from aelab.report import page
from aelab.report.figures.base import by_section, embed
from aelab.report.search import hyperparameters, trials  # noqa: F401  (figures register themselves)
from aelab.report.search.conclusions import summary
from aelab.report.search.drawing import KINDS, SearchView
from aelab.report.search.records import load
from aelab.report.search.tables import best_table, contender_table, setting, test_table
from aelab.report.svg import Inliner
from aelab.report.tables import settings_table
from aelab.runs.search import SearchFolder


SECTIONS = ("Proof", "Search", "Hyperparameters")


def build_search_report(folder: SearchFolder) -> Path:
    """Write the figures and ``report.html`` of a search; gives its path.

    The same search gives the same bytes. Raises RunError if its trials have not been collected.
    """
    results, inliner = load(folder), Inliner()
    figures = embed(folder, inliner, KINDS, [("", "", SearchView(results))])
    proof = results.proof
    html = page.render(
        "search.html.j2",
        css=inliner.css,
        images=inliner.definitions,
        results=results,
        name=results.name,
        manifest=results.manifest,
        subject=results.key,
        summary=summary(results),
        test=test_table(results, proof) if proof else None,
        contenders=contender_table(results, proof) if proof else None,
        best=best_table(results),
        failures=[
            (f"trial {trial.number}", trial.reason or "no reason is known")
            for trial in results.state("fail")
        ],
        sections=by_section(figures, SECTIONS),
        facts=setting(results),
        settings=settings_table(results.experiment),
    )
    return folder.write_report(html)
