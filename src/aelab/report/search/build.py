"""A search's records to one self-contained page, by the machinery of every page of the lab."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from aelab.report.comparison import slug
from aelab.report.numbers import duration
from aelab.report.page import environment, policy_hash, shared_script, shared_style, text
from aelab.report.search import course, settings, words  # noqa: F401  (figures register themselves)
from aelab.report.search.drawing import KINDS, Kind, Look
from aelab.report.search.records import Hunt, load
from aelab.report.setting import flat
from aelab.report.style import VARIABLES, Inliner, model_color, png, svg
from aelab.runs import SearchFolder


@dataclass(frozen=True)
class Exhibit:
    """A figure in the two shapes that the page chooses from."""

    kind: Kind
    wide: Markup
    narrow: Markup


def build_search_report(folder: SearchFolder) -> Path:
    """Write the figures and ``report.html`` of a search; gives its path.

    The same search gives the same bytes. Raises RunError if its trials have not been collected.
    """
    hunt, inliner = load(folder), Inliner()
    exhibits = list(_exhibits(folder, hunt, inliner))
    return folder.write_report(render(hunt, exhibits, inliner))


def _exhibits(folder: SearchFolder, hunt: Hunt, inliner: Inliner) -> Iterator[Exhibit]:
    for kind in KINDS.values():
        drawing, small = kind.draw(Look(hunt)), kind.draw(Look(hunt, narrow=True))
        if drawing is None or small is None:
            continue
        vector = svg(drawing.figure)
        folder.write_figure(f"{kind.name}.svg", vector)
        folder.write_figure(f"{kind.name}.png", png(drawing.figure))
        wide = inliner.inline(vector, f"{kind.name}-w", drawing.alt)
        narrow = inliner.inline(svg(small.figure), f"{kind.name}-n", small.alt)
        yield Exhibit(kind, Markup(wide), Markup(narrow))


def render(hunt: Hunt, exhibits: list[Exhibit], inliner: Inliner) -> str:
    """The page, without any reading or writing."""
    style = "\n".join([shared_style(), text("aelab.report", "report.css"), inliner.css, ""])
    script = shared_script()
    templates = environment("aelab.report")
    templates.filters |= {"slug": slug, "duration": duration, "estimate": words.estimated}
    columns, against, rows = words.test_rows(hunt)
    return templates.get_template("search.html.j2").render(
        hunt=hunt,
        role=VARIABLES[model_color(hunt.model, {hunt.model})],
        summary=list(words.summary(hunt)),
        columns=columns,
        against=against,
        rows=rows,
        contenders=[
            (row, words.settings(hunt, row))
            for row in (hunt.proof.contenders if hunt.proof else ())
        ],
        best=words.best_trials(hunt),
        failures=words.failures(hunt),
        sections=[
            (section, [found for found in exhibits if found.kind.section == section])
            for section in dict.fromkeys(found.kind.section for found in exhibits)
        ],
        setting=words.setting(hunt),
        settings=list(flat(hunt.experiment)),
        style=Markup(style),
        script=Markup(script),
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
    )
