"""A study's page: one self-contained file, from what the study has written."""

from pathlib import Path

from aelab.report import page
from aelab.report.embed import embed
from aelab.report.numbers import slug
from aelab.report.study import curves, seeds  # noqa: F401  (figures register themselves)
from aelab.report.study.conclusions import conclusions, course, headline, reasons
from aelab.report.study.drawing import ALONG, SEEDS, SweepView
from aelab.report.study.results import StudyResults, load
from aelab.report.style import role
from aelab.report.svg import Inliner
from aelab.report.tables import Column, Head, Table, glossary, metric_table
from aelab.runs.records import Metric
from aelab.runs.study import Study


def build_study_report(study: Study) -> Path:
    """Write the figures and ``report.html`` of a study; gives its path."""
    found, inliner = load(study), Inliner()
    strips = embed(study.write_figure, inliner, SEEDS, [("", "", found)])
    sweeps = []
    for sweep in found.sweeps:
        view = SweepView(found, sweep)
        figures = embed(study.write_figure, inliner, ALONG, [(f"-{slug(sweep.setting)}", "", view)])
        sweeps.append((sweep, figures, course(found, sweep)))
    html = page.render(
        "study.html.j2",
        found,
        inliner,
        summary=headline(found),
        seeds=strips,
        sweeps=sweeps,
        table=comparison_table(found),
        glossary=glossary(found.measures.values()),
        reasons=reasons(found),
        conclusions=conclusions(found),
    )
    return study.write_report(html)


def comparison_table(found: StudyResults) -> Table:
    """Every metric at the base by family: the mean over the seeds of every model."""
    columns = []
    for model in (*found.models, *found.baselines):
        baseline = model in found.baselines
        head = Head(
            found.title(model),
            role="" if baseline else role(model, found.titles),
            kind="baseline" if baseline else "",
        )
        summaries = found.base.models[model]
        estimates = {name: s.estimate for name, s in summaries.items()}
        columns.append(Column(head, dict.fromkeys(found.measures) | estimates))

    def anchor(metric: Metric) -> str:
        return f"m-{slug(metric.name)}"

    return metric_table(list(found.measures.values()), columns, anchor)
