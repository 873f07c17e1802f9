"""A study's page: one self-contained file, from what the study has written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from aelab.report.comparison import FAMILIES, slug
from aelab.report.figures.base import Drawing
from aelab.report.numbers import decimals, interval, number
from aelab.report.page import (
    environment,
    policy_hash,
    shared_script,
    shared_style,
    text,
)
from aelab.report.plates import pictures
from aelab.report.results import Measure
from aelab.report.setting import flat
from aelab.report.study import curves
from aelab.report.study.conclusions import conclusions, course, headline, p_text, reasons
from aelab.report.study.results import Found, Sweep, load, setting_title
from aelab.report.study.setting import setting
from aelab.report.study.strips import strips
from aelab.report.style import VARIABLES, Inliner, model_color
from aelab.report.tables import NOT_DEFINED, Cell
from aelab.runs.study import Study


@dataclass(frozen=True)
class Exhibit:
    """A figure under its heading."""

    name: str
    title: str
    reading: str
    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class Section:
    """What an axis has shown."""

    sweep: Sweep
    title: str
    anchor: str
    exhibits: tuple[Exhibit, ...]


# name, title, how to read it, and what draws it along an axis
ALONG: tuple[
    tuple[str, str, str, Callable[[Found, Sweep, bool], Drawing | None]], ...
] = (
    (
        "rate-distortion",
        "Rate and distortion",
        "How many nats the code carries against how many the reconstruction still costs; crosses "
        "span the interval over seeds. On a grey line −ELBO is the same; lower is better.",
        curves.rate_distortion,
    ),
    (
        "measures",
        "Measures",
        "Mean over the seeds, with their interval as a band. Places stand at equal steps; the one "
        "in bold is where the claims are decided. Dotted level lines are models that the setting "
        "does not concern.",
        curves.measures,
    ),
    (
        "deltas",
        "The claims elsewhere",
        "Each claim’s Δ along the axis: above the dashed threshold it speaks for the claim. These "
        "are described, not decided: what was frozen is decided at the place in bold.",
        curves.deltas,
    ),
)  # fmt: skip


def build_study_report(study: Study) -> Path:
    """Write the figures and ``report.html`` of a study; gives its path."""
    found = load(study)
    inliner = Inliner()

    def exhibit(
        name: str, title: str, reading: str, draw: Callable[[bool], Drawing | None]
    ) -> Exhibit | None:
        wide, narrow = draw(False), draw(True)
        if wide is None or narrow is None:
            return None
        return Exhibit(name, title, reading, *pictures(study, inliner, name, wide, narrow))

    seeds = exhibit(
        "seeds",
        "Every seed",
        "A dot is a seed, the diamond their mean, the bar the interval. Right of the dashed line "
        "δ, in the tinted part, lies what the claim says; the thin line is no difference.",
        lambda narrow: strips(found, narrow),
    )
    sections = []
    for sweep in found.sweeps:
        anchor = f"sweep-{slug(sweep.setting)}"
        exhibits = [
            made
            for name, title, reading, draw in ALONG
            if (
                made := exhibit(
                    f"{name}-{slug(sweep.setting)}",
                    title,
                    reading,
                    lambda narrow, draw=draw, sweep=sweep: draw(found, sweep, narrow),  # type: ignore[misc]
                )
            )
        ]
        sections.append(Section(sweep, _heading(sweep), anchor, tuple(exhibits)))
    return study.write_report(_render(found, seeds, sections, inliner))


def _heading(sweep: Sweep) -> str:
    title = setting_title(sweep.setting)  # a β stays small
    return title[0].upper() + title[1:] if title[0].isascii() else title


def _render(found: Found, seeds: Exhibit | None, sections: list[Section], inliner: Inliner) -> str:
    styles = [text("aelab.report", name) for name in ("report.css", "study.css")]
    style = "\n".join([shared_style(), *styles, inliner.css, ""])
    script = shared_script() + text("aelab.report", "report.js")

    def role(model: str) -> str:
        return VARIABLES[model_color(model, found.titles)]

    templates = environment("aelab.report")
    templates.filters |= {"slug": slug, "role": role, "p": p_text, "number": number}
    return templates.get_template("study.html.j2").render(
        found=found,
        headline=headline(found),
        seeds=seeds,
        sections=[(section, course(found, section.sweep)) for section in sections],
        table=list(table(found)),
        reasons=reasons(found),
        conclusions=conclusions(found),
        setting=setting(found),
        settings=list(flat(found.experiment)),
        style=Markup(style),
        script=Markup(script),
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
        store=Markup(inliner.store),
    )


def table(found: Found) -> Iterator[tuple[str, list[tuple[Measure, list[Cell]]]]]:
    """Every measure at the base by family: the mean over the seeds of every model."""
    columns = [*found.models, *found.baselines]
    families = dict.fromkeys((*FAMILIES, *(m.family for m in found.measures.values())))
    for family in families:
        rows = []
        for measure in found.measures.values():
            known = [found.base.models[c].get(measure.name) for c in columns]
            if measure.family != family or not any(known):
                continue
            places = decimals(summary.mean for summary in known if summary)
            cells = [
                Cell(number(s.mean, places), interval(s.estimate, places))
                if s
                else Cell(NOT_DEFINED, defined=False)
                for s in known
            ]
            rows.append((measure, cells))
        if rows:
            yield family, rows
