"""Results to one self-contained page: figures, tables, sentences, and a strict content policy."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from aelab.report.comparison import slug
from aelab.report.conclusions import caveat, findings, summary
from aelab.report.figures import FIGURES, SECTIONS, FigureKind, View
from aelab.report.health import healths
from aelab.report.page import (
    environment,
    policy_hash,
    shared_script,
    shared_style,
    text,
)
from aelab.report.planes import planes
from aelab.report.plates import pictures
from aelab.report.results import Model, Results, load
from aelab.report.samplers import glossary, matrix
from aelab.report.setting import flat, setting, trained
from aelab.report.style import (
    INK,
    MODEL_COLORS,
    OTHER_COLORS,
    VARIABLES,
    Inliner,
    model_color,
)
from aelab.report.tables import cards, table
from aelab.runs.run import Run

# The roles of the theme that can fill an image: pictures are ink, heat maps a model's colour.
TINTS = [VARIABLES[color] for color in (INK, *MODEL_COLORS.values(), *OTHER_COLORS)]


@dataclass(frozen=True)
class Plate:
    """A figure of one latent size, in the two shapes that the page chooses from."""

    latent_dim: int
    wide: Markup
    narrow: Markup
    notes: dict[str, str]


@dataclass(frozen=True)
class Exhibit:
    """A kind of figure with its plates."""

    kind: FigureKind
    plates: tuple[Plate, ...]


def build_report(run: Run) -> Path:
    """Write the figures and ``report.html`` of a run that has been measured; gives its path.

    The same run gives the same bytes. Raises RunError if nothing has been measured yet.
    """
    results = load(run)
    inliner = Inliner()
    exhibits = [
        exhibit for kind in FIGURES.values() if (exhibit := _exhibit(run, results, kind, inliner))
    ]
    return run.write_report(render(results, exhibits, inliner, run.explorer is not None))


def _exhibit(run: Run, results: Results, kind: FigureKind, inliner: Inliner) -> Exhibit | None:
    plates = tuple(_plates(run, results, kind, inliner))
    return Exhibit(kind, plates) if plates else None


def _plates(run: Run, results: Results, kind: FigureKind, inliner: Inliner) -> Iterator[Plate]:
    told: set[str] = set()
    for latent_dim in results.latent_dims:
        models = results.of_dim(latent_dim)
        view = View(
            latent_dim,
            models,
            results.label_names,
            results.image_size,
            baselines=results.beside(latent_dim),
            measures=results.measures,
        )
        drawing, small = kind.draw(view), kind.draw(replace(view, narrow=True))
        if drawing is None or small is None:
            continue
        name = f"{kind.name}-{latent_dim}"
        wide, narrow = pictures(run, inliner, name, drawing, small)
        # An explanation that a larger code has had already is not repeated.
        notes = {title: text for title, text in drawing.notes.items() if title not in told}
        told |= notes.keys()
        yield Plate(latent_dim, wide, narrow, notes)


def render(
    results: Results, exhibits: list[Exhibit], inliner: Inliner, explorer: bool = False
) -> str:
    """The page, without any reading or writing."""
    tints = "\n".join(f".flood-{name}{{flood-color:var(--{name})}}" for name in TINTS)
    style = "\n".join([shared_style(), text("aelab.report", "report.css"), tints, inliner.css, ""])
    script = shared_script() + text("aelab.report", "report.js")
    main = results.latent_dims[0]

    def role(model: Model) -> str:
        return VARIABLES[model_color(model.name, results.model_names)]

    templates = environment("aelab.report")
    templates.filters |= {"slug": slug, "trained": trained, "role": role}
    return templates.get_template("report.html.j2").render(
        results=results,
        explorer=explorer,
        main=main,
        summary=summary(results, main),
        cards=cards(results, main),
        matrices=[grid for d in results.latent_dims if (grid := matrix(results, d))],
        glossary=glossary(results),
        healths=healths(results),
        tables=[table(results, latent_dim) for latent_dim in results.latent_dims],
        sections=[
            (section, found)
            for section in SECTIONS
            if (found := [exhibit for exhibit in exhibits if exhibit.kind.section == section])
        ],
        planes=planes(results),
        findings=[(d, findings(results, d)) for d in results.latent_dims],
        caveat=caveat(results),
        setting=setting(results),
        settings=list(flat(results.experiment)),
        style=Markup(style),
        script=Markup(script),
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
        tints=TINTS,
        store=Markup(inliner.store),
    )
