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
from aelab.report.search.records import SearchResults, load
from aelab.report.setting import flat
from aelab.report.style import VARIABLES, Inliner, model_color, png, svg
from aelab.runs.search import SearchFolder


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
    results, inliner = load(folder), Inliner()
    exhibits = list(_exhibits(folder, results, inliner))
    return folder.write_report(render(results, exhibits, inliner))


def _exhibits(folder: SearchFolder, results: SearchResults, inliner: Inliner) -> Iterator[Exhibit]:
    for kind in KINDS.values():
        drawing, small = kind.draw(Look(results)), kind.draw(Look(results, narrow=True))
        if drawing is None or small is None:
            continue
        vector = svg(drawing.figure)
        folder.write_figure(f"{kind.name}.svg", vector)
        folder.write_figure(f"{kind.name}.png", png(drawing.figure))
        wide = inliner.inline(vector, f"{kind.name}-w", drawing.alt)
        narrow = inliner.inline(svg(small.figure), f"{kind.name}-n", small.alt)
        yield Exhibit(kind, Markup(wide), Markup(narrow))


def render(results: SearchResults, exhibits: list[Exhibit], inliner: Inliner) -> str:
    """The page, without any reading or writing."""
    style = "\n".join([shared_style(), text("aelab.report", "report.css"), inliner.css, ""])
    script = shared_script()
    templates = environment("aelab.report")
    templates.filters |= {"slug": slug, "duration": duration, "estimate": words.estimated}
    columns, against, rows = words.test_rows(results)
    return templates.get_template("search.html.j2").render(
        results=results,
        role=VARIABLES[model_color(results.model, {results.model})],
        summary=list(words.summary(results)),
        columns=columns,
        against=against,
        rows=rows,
        contenders=[
            (row, words.settings(results, row))
            for row in (results.proof.contenders if results.proof else ())
        ],
        best=words.best_trials(results),
        failures=words.failures(results),
        sections=[
            (section, [found for found in exhibits if found.kind.section == section])
            for section in dict.fromkeys(found.kind.section for found in exhibits)
        ],
        setting=words.setting(results),
        settings=list(flat(results.experiment)),
        style=Markup(style),
        script=Markup(script),
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
    )
