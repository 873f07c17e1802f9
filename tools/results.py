"""Write docs/NAME.md and the numbers of every seed from a study: make results.

python tools/results.py STUDY NAME COMMAND…
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from benchmarks.table import markdown

from aelab.experiment.presets import experiment_of
from aelab.report.conclusions import Finding
from aelab.report.numbers import decimals, number, p_text, quantity
from aelab.report.study.conclusions import conclusions, headline, trends
from aelab.report.study.results import StudyResults, Summary, Sweep, load
from aelab.report.tables import SAMPLERS
from aelab.runs.run import Run
from aelab.runs.study import Study

DOCS = Path(__file__).parents[1] / "docs"
ALONG = ("mse", "negative_elbo", "kl", "active_units", "probe_accuracy", "coverage_prior",
         "coverage_gaussian", "coverage_mixture")  # fmt: skip


def page(study: Study, name: str, commands: Iterable[str]) -> str:
    """The claims and metrics of a study, as Markdown."""
    found = load(study)
    blocks = [
        f"# Results of the preset {found.experiment['preset']}",
        "Written by `make results` from the study of these commands. The numbers of every seed are "
        f"in [{name}.csv]({name}.csv).",
        "\n".join(["```", *commands, "```"]),
        *map(_said, headline(found)),
        "## Training",
        _training(study, found),
        "The decrease of the validation total in the last fifth of the epochs shows whether "
        "training had converged.",
        "## Claims",
        "Δ is the mean of the paired differences with its 95% interval over seeds; "
        "[studies.md](studies.md) defines the verdicts.",
        markdown(["", "claim", "Δ", "δ", "p, Holm", "verdict"], list(_claims(found))),
        "\n".join(f"- {_said(finding)}" for finding in conclusions(found)),
        "## Metrics",
        f"Mean over the seeds, with the 95% interval of that mean; d = {found.latent_dim}. "
        "[metrics.md](metrics.md) defines the metrics.",
        _metrics(found),
        "## Samples: sampler × model",
        "Each sampler generates as many images as there are test images; both are compared in the "
        "features of the digit classifier. Only a VAE has a prior; the Gaussian and the mixture "
        "of ten are fitted to the training codes of each model.",
        _samplers(found),
    ]
    for sweep in found.sweeps:
        blocks += [
            f"## Sweep over {sweep.title}",
            _sweep(found, sweep),
            "\n".join(f"- {finding.lead}" for finding in trends(found, sweep)),
        ]
    return "\n\n".join(blocks) + "\n"


def _said(finding: Finding) -> str:
    evidence = "; ".join(item.text for item in finding.evidence)
    return f"{finding.lead} {evidence}".strip()


def _claims(found: StudyResults) -> Iterator[list[str]]:
    for item in found.claims:
        value, ends = item.amount.text(item.summary) if item.summary else ("–", "")
        holm = "–" if item.holm is None else p_text(item.holm)
        yield [str(item.place), item.says, f"{value} {ends}".strip(), item.amount.threshold_text,
               holm, item.verdict]  # fmt: skip


def _training(study: Study, found: StudyResults) -> str:
    base = experiment_of(study)
    rows = []
    for model in found.models:
        config = base.training(model)
        key = f"{model}-{found.latent_dim}"
        totals = np.array([
            [row["validation"]["total"] for row in Run(study.run_path(run["name"])).history(key)]
            for run in found.runs if not run["setting"] and model in run["models"]
        ])  # fmt: skip
        epochs = totals.shape[1]
        before, last = totals[:, epochs - 1 - max(1, epochs // 5)].mean(), totals[:, -1].mean()
        rows.append([found.title(model), f"{config.learning_rate:g}", str(config.batch_size),
                     config.schedule, str(epochs), number(last, 2),
                     number(before - last, 2)])  # fmt: skip
    return markdown(["", "learning rate", "batch", "schedule", "epochs", "validation total, nats",
                     "decrease in the last fifth"], rows)  # fmt: skip


def _samplers(found: StudyResults) -> str:
    drawn = [m for m in found.metrics.values() if m.panel == SAMPLERS]
    quantities = dict.fromkeys(m.quantity for m in drawn)
    titles = {m.sampler: m.sampler_title for m in drawn}
    rows = []
    for sampler, title in titles.items():
        for model in found.models:
            here = {m.quantity: found.base.models[model].get(m.name)
                    for m in drawn if m.sampler == sampler}  # fmt: skip
            if any(here.values()):
                cells = [_cell(c, decimals([c.value])) if c else "" for c in here.values()]
                rows.append([f"{found.title(model)}, {title}", *cells])
    return markdown(["", *quantities], rows)


def _metrics(found: StudyResults) -> str:
    models = [*found.models, *found.baselines]
    rows = []
    for name, metric in found.metrics.items():
        if metric.panel == SAMPLERS:
            continue
        here = {m: found.base.models[m][name] for m in models if name in found.base.models[m]}
        if here:
            places = decimals([summary.value for summary in here.values()])
            rows.append([metric.label, *(_cell(here.get(m), places) for m in models)])
    return markdown(["", *map(found.title, models)], rows)


def _cell(summary: Summary | None, places: int) -> str:
    if summary is None:
        return ""
    return quantity(summary, places=places)


def _sweep(found: StudyResults, sweep: Sweep) -> str:
    rows = []
    for name in ALONG:
        metric = found.metrics.get(name)
        for model in found.models if metric else ():
            series = sweep.series(model, name)
            if any(series):
                places = decimals([s.value for s in series if s])
                cells = [number(s.value, places) if s else "" for s in series]
                rows.append([f"{found.title(model)}: {metric.label if metric else name}", *cells])
    return markdown(["", *(f"**{s.label}**" if s.base else s.label for s in sweep.stops)], rows)


if __name__ == "__main__":
    path, name, *made_by = sys.argv[1:]
    study = Study(Path(path))
    (DOCS / f"{name}.md").write_text(page(study, name, made_by), encoding="utf-8")
    (DOCS / f"{name}.csv").write_bytes(study.read("seeds.csv"))
