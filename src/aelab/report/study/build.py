"""A study's page: one self-contained file, from what the study has written."""

from pathlib import Path

from aelab.report import page
from aelab.report.figures.base import embed
from aelab.report.numbers import duration, listing
from aelab.report.page import slug
from aelab.report.results import Measure
from aelab.report.study import curves, seeds  # noqa: F401  (figures register themselves)
from aelab.report.study.conclusions import conclusions, course, headline, reasons
from aelab.report.study.drawing import ALONG, SEEDS, StudyView, SweepView
from aelab.report.study.results import StudyResults, load
from aelab.report.style import role
from aelab.report.svg import Inliner
from aelab.report.tables import (
    Column,
    Facts,
    Head,
    Table,
    data_facts,
    facts,
    glossary,
    machine_facts,
    measure_rows,
    settings_table,
    text_table,
)
from aelab.runs.study import Study


def build_study_report(study: Study) -> Path:
    """Write the figures and ``report.html`` of a study; gives its path."""
    found, inliner = load(study), Inliner()
    strips = embed(study, inliner, SEEDS, [("", "", StudyView(found))])
    sweeps = []
    for sweep in found.sweeps:
        view = SweepView(found, sweep)
        figures = embed(study, inliner, ALONG, [(f"-{slug(sweep.setting)}", "", view)])
        sweeps.append((sweep, figures, course(found, sweep)))
    html = page.render(
        "study.html.j2",
        css=inliner.css,
        images=inliner.definitions,
        found=found,
        name=found.name,
        manifest=found.manifest,
        subject=f"preset {preset}" if (preset := found.experiment.get("preset")) else "",
        summary=headline(found),
        seeds=strips,
        sweeps=sweeps,
        table=measure_table(found),
        glossary=glossary(found.measures.values()),
        reasons=reasons(found),
        conclusions=conclusions(found),
        facts=setting(found),
        runs=text_table(
            "All runs",
            ("Run", "Models", "Status"),
            [(Head(f"runs/{run['name']}", code=True), (", ".join(run["models"]), run["status"]))
             for run in found.runs],
            "settings",
        ),
        formulas=text_table(
            "The formula of each claim",
            ("Claim", "Δ of a seed"),
            [(Head(f"{item.place} {item.name}"), (item.delta,)) for item in found.claims],
            "settings",
        ),
        settings=settings_table(found.experiment),
    )  # fmt: skip
    return study.write_report(html)


def measure_table(found: StudyResults) -> Table:
    """Every measure at the base by family: the mean over the seeds of every model."""
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

    def anchor(measure: Measure) -> str:
        return f"m-{slug(measure.name)}"

    groups = measure_rows(list(found.measures.values()), columns, anchor)
    heads = Head("Measure"), *(column.head for column in columns)
    return Table("Measures of every model", heads, tuple(groups))


def setting(found: StudyResults) -> Facts:
    """Data, seeds, the frozen claims and the machines: everything a verdict may depend on."""
    manifest, machines = found.manifest, found.environments
    return facts(
        Data=data_facts(found.data, found.protocol),
        Study={
            "preset": found.experiment.get("preset"),
            "seeds": _span(found.seeds),
            "the models differ in": listing(found.pair_differs_in) or "nothing but the objective",
            "claims frozen": manifest.get("created"),
            "SHA-256 of the claims": found.claims_hash,
            "runs": len(found.runs),
            "time": duration(manifest["seconds"]) if "seconds" in manifest else None,
        },
        **{
            f"Machine{f' {place}' if len(machines) > 1 else ''}": machine_facts(environment)
            for place, environment in enumerate(machines, 1)
        },
    )


def _span(numbers: tuple[int, ...]) -> str:
    if len(numbers) > 2 and numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return listing(map(str, numbers))
