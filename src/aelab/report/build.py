"""A run's page: figures, tables and sentences in one self-contained file."""

from pathlib import Path

from aelab.report import page
from aelab.report.comparison import cards, comparison_table, sampler_table
from aelab.report.conclusions import caveat, findings, summary
from aelab.report.figures import FIGURES, SECTIONS, View
from aelab.report.figures.base import Embedded, by_section, embed
from aelab.report.numbers import duration, listing
from aelab.report.planes import planes
from aelab.report.results import Json, Model, Results, load
from aelab.report.style import role
from aelab.report.svg import Inliner
from aelab.report.tables import (
    SAMPLERS,
    Facts,
    Head,
    Table,
    data_facts,
    facts,
    glossary,
    machine_facts,
    settings_table,
    text_table,
)
from aelab.runs.run import Run


def build_report(run: Run) -> Path:
    """Write the figures and ``report.html`` of a run that has been evaluated; gives its path.

    The same run gives the same bytes. Raises RunError if nothing has been measured yet.
    """
    results, inliner = load(run), Inliner()
    views = (
        View(
            latent_dim,
            results.of_dim(latent_dim),
            results.label_names,
            results.image_size,
            baselines=results.beside(latent_dim),
            measures=results.measures,
        )
        for latent_dim in results.latent_dims
    )
    named = [(f"-{view.latent_dim}", f"d = {view.latent_dim}", view) for view in views]
    figures = embed(run, inliner, FIGURES, named)
    return run.write_report(render(results, figures, inliner, run.explorer is not None))


def render(
    results: Results, figures: list[Embedded], inliner: Inliner, explorer: bool = False
) -> str:
    """The page, without any reading or writing."""
    dims, main = results.latent_dims, results.latent_dims[0]
    generation = (model.facts.get("generation") for model in results.models)
    return page.render(
        "report.html.j2",
        css=inliner.css,
        images=inliner.definitions,
        results=results,
        name=results.name,
        manifest=results.manifest,
        subject=f"preset {preset}" if (preset := results.experiment.get("preset")) else "",
        roles={m.name: role(m.name, results.model_names) for m in results.models},
        explorer=explorer,
        main=main,
        summary=summary(results, main),
        cards=cards(results, main),
        tables=[(d, comparison_table(results, d)) for d in dims],
        samplers=[(d, table) for d in dims if (table := sampler_table(results, d))],
        generation=next(filter(None, generation), None),
        glossary=glossary(m for m in results.measures.values() if m.panel in ("", SAMPLERS)),
        health=[(d, *checks) for d in dims if any(checks := health(results, d))],
        sections=by_section(figures, SECTIONS),
        planes=planes(results),
        findings=[(d, found) for d in dims if (found := findings(results, d))],
        caveat=caveat(results),
        facts=setting(results),
        models=model_table(results),
        settings=settings_table(results.experiment),
    )


def health(
    results: Results, latent_dim: int
) -> tuple[list[tuple[Model, Json]], list[tuple[Model, Json]]]:
    """What asks for attention in the models of one size, the worst first, and what passed."""
    found = [
        (model, check)
        for model in results.of_dim(latent_dim)
        for check in model.facts.get("health", ())
    ]
    found.sort(key=lambda item: ("bad", "note", "fine").index(item[1]["state"]))
    return (
        [item for item in found if item[1]["state"] != "fine"],
        [item for item in found if item[1]["state"] == "fine"],
    )


def setting(results: Results) -> Facts:
    """Data, experiment, machine: everything a number may depend on."""
    experiment, manifest = results.experiment, results.manifest
    paired = any(results.pair(d) for d in results.latent_dims)
    differs = listing(results.pair_differs_in) or "nothing but the objective"
    return facts(
        Data=data_facts(results.data, results.protocol),
        Experiment={
            "preset": experiment.get("preset"),
            "seed": experiment.get("seed"),
            "split seed": experiment.get("split_seed"),
            "the pair differs in": differs if paired else None,
        },
        Machine={
            "aelab": manifest.get("aelab"),
            **machine_facts(manifest.get("environment", {})),
            "time, whole run": duration(manifest["seconds"]) if "seconds" in manifest else None,
        },
    )


def model_table(results: Results) -> Table:
    """Parameters, epochs, time and status of every model."""
    rows = []
    for model in results.models:
        known = model.facts
        parameters = f"{known['parameters']:,}" if "parameters" in known else "–"
        cells = [
            str(model.latent_dim), parameters, str(known.get("epochs", "–")),
            duration(known.get("seconds")), str(known.get("status", "–")),
        ]  # fmt: skip
        rows.append((Head(model.title, role(model.name, results.model_names)), cells))
    heads = ("Model", "d", "Parameters", "Epochs", "Training time", "Status")
    return text_table("Models", heads, rows, "")
