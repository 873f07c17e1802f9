"""A run's page: figures, tables and sentences in one self-contained file."""

from collections.abc import Callable
from pathlib import Path

from aelab.report import page
from aelab.report.comparison import cards, comparison_table, sampler_table
from aelab.report.conclusions import caveat, findings, summary
from aelab.report.embed import Embedded, by_section, embed, nothing
from aelab.report.figures import FIGURES, SECTIONS, View
from aelab.report.results import Results, load
from aelab.report.style import role
from aelab.report.svg import Inliner
from aelab.report.tables import SAMPLERS, glossary
from aelab.runs.run import Run


def build_report(run: Run, workers: int = 1, meanwhile: Callable[[], object] = nothing) -> Path:
    """Write the figures and ``report.html`` of a run that has been evaluated; gives its path.

    The same run gives the same bytes, however many ``workers`` draw. ``meanwhile`` is called while
    they do. Raises RunError if the run has not been evaluated.
    """
    results, inliner = load(run), Inliner()
    views = [(f"-{d}", f"d = {d}", View(results, d)) for d in results.latent_dims]
    figures = embed(run.write_figure, inliner, FIGURES, views, workers, meanwhile)
    return run.write_report(render(results, figures, inliner, run.explorer is not None))


def render(
    results: Results, figures: list[Embedded], inliner: Inliner, explorer: bool = False
) -> str:
    """The page, without any reading or writing."""
    dims, main = results.latent_dims, results.latent_dims[0]
    likelihood, generation = (
        next((m.facts[name] for m in results.models if m.facts.get(name)), None)
        for name in ("likelihood", "generation")
    )
    return page.render(
        "report.html.j2",
        results,
        inliner,
        roles={m.name: role(m.name, results.model_names) for m in results.models},
        explorer=explorer,
        main=main,
        summary=summary(results, main),
        cards=cards(results, main),
        tables=[(d, comparison_table(results, d)) for d in dims],
        samplers=[(d, table) for d in dims if (table := sampler_table(results, d))],
        likelihood=likelihood,
        generation=generation,
        glossary=glossary(m for m in results.metrics.values() if m.panel in ("", SAMPLERS)),
        health=any(model.facts.get("health") for model in results.models),
        sections=by_section(figures, SECTIONS),
        findings=[(d, found) for d in dims if (found := findings(results, d))],
        caveat=caveat(results),
    )
