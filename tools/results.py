"""Write docs/results.md and the numbers of every seed from the published study: make results."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from aelab.report.conclusions import Finding
from aelab.report.numbers import decimals, interval, number
from aelab.report.study.conclusions import conclusions, course, headline, p_text
from aelab.report.study.results import Found, Summary, Sweep, load, setting_title
from aelab.runs import Study

DOCS = Path(__file__).parents[1] / "docs"
ALONG = ("mse", "negative_elbo", "kl", "active_units", "probe_accuracy", "coverage_prior",
         "coverage_gaussian", "coverage_mixture")  # fmt: skip


def page(found: Found, commands: Iterable[str]) -> str:
    """Everything that the study decided and measured, as Markdown."""
    blocks = [
        "# Results",
        "Written by `make results` from the study that these commands made; nothing here is typed "
        "by hand. The numbers of every seed stand in [results.csv](results.csv).",
        "\n".join(["```", *commands, "```"]),
        *map(_said, headline(found)),
        "## The claims",
        "Δ is the mean of the paired differences with its 95% interval over seeds; how a claim is "
        "decided stands in [studies.md](studies.md).",
        _table(["", "claim", "Δ", "δ", "p, Holm", "verdict"], _claims(found)),
        "\n".join(f"- {_said(finding)}" for finding in conclusions(found)),
        "## The measures",
        f"Mean over the seeds, with the 95% interval of that mean; d = {found.latent_dim}. What "
        "each one is stands in [measures.md](measures.md).",
        _measures(found),
    ]
    for sweep in found.sweeps:
        blocks += [
            f"## Along {setting_title(sweep.setting)}",
            _sweep(found, sweep),
            "\n".join(f"- {finding.lead}" for finding in course(found, sweep)),
        ]
    return "\n\n".join(blocks) + "\n"


def _said(finding: Finding) -> str:
    evidence = "; ".join(item.text for item in finding.evidence)
    return f"{finding.lead} {evidence}".strip()


def _claims(found: Found) -> Iterator[list[str]]:
    for item in found.claims:
        value, ends = item.amount.text(item.summary.estimate) if item.summary else ("–", "")
        holm = "–" if item.holm is None else p_text(item.holm)
        yield [str(item.place), item.says, f"{value} {ends}".strip(), item.amount.threshold_text,
               holm, item.verdict]  # fmt: skip


def _measures(found: Found) -> str:
    models = [*found.models, *found.baselines]
    rows = []
    for name, measure in found.measures.items():
        here = {m: found.base.models[m][name] for m in models if name in found.base.models[m]}
        if here:
            places = decimals([summary.mean for summary in here.values()])
            rows.append([measure.label, *(_cell(here.get(m), places) for m in models)])
    return _table(["", *map(found.title, models)], rows)


def _cell(summary: Summary | None, places: int) -> str:
    if summary is None:
        return ""
    return f"{number(summary.mean, places)} {interval(summary.estimate, places)}".strip()


def _sweep(found: Found, sweep: Sweep) -> str:
    rows = []
    for name in ALONG:
        measure = found.measures.get(name)
        for model in found.models if measure else ():
            series = sweep.series(model, name)
            if any(series):
                places = decimals([s.mean for s in series if s])
                cells = [number(s.mean, places) if s else "" for s in series]
                rows.append([f"{found.title(model)}: {measure.label if measure else name}", *cells])
    return _table(["", *(f"**{s.label}**" if s.base else s.label for s in sweep.stops)], rows)


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    study = Study(Path(sys.argv[1]))
    (DOCS / "results.md").write_text(page(load(study), sys.argv[2:]), encoding="utf-8")
    (DOCS / "results.csv").write_bytes(study.read("seeds.csv"))
