"""Builds explorer.html: one self-contained page that runs the networks of a run."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from aelab.explorer.bundle import bundle
from aelab.explorer.content import content
from aelab.metrics import Context, obtain_classifier
from aelab.report.page import environment, policy_hash, text
from aelab.report.results import Results, load
from aelab.runs.run import Run


def build_explorer(run: Run, contexts: Mapping[str, Context]) -> Path:
    """Write ``explorer.html`` of an evaluated run; the same run gives the same bytes.

    Args:
        run: The run.
        contexts: The trained models with the run's data, by the model's key.

    Returns:
        The path of the page.

    Raises:
        RunError: The run has no metrics yet.
    """
    results = load(run)
    first = next(iter(contexts.values()))
    classifier = obtain_classifier(first.data, first.report)
    return run.write_explorer(render(results, content(results, contexts, classifier)))


def render(results: Results, embedded: Mapping[str, Any]) -> str:
    """The HTML of the page; reads no data."""
    style = text("aelab.report", "base.css") + text("aelab.explorer", "explorer.css")
    models = embedded["models"]
    theme, script = text("aelab.report", "theme.js"), bundle(modules(), "main")
    return (
        environment("aelab.explorer")
        .get_template("explorer.html.j2")
        .render(
            results=results,
            has_plane=any(model["d"] == 2 for model in models),
            has_prior_plane=any(model["d"] == 2 and model["posterior"] for model in models),
            has_posterior=any(model["posterior"] for model in models),
            content=embedded,
            style=Markup(style),
            theme=Markup(theme),
            script=Markup(script),
            style_hash=policy_hash(style),
            script_hashes=[policy_hash(theme), policy_hash(script)],
        )
    )


def modules() -> dict[str, str]:
    """The page's JavaScript modules by name."""
    folder = files("aelab.explorer") / "static"
    return {
        path.name.removesuffix(".js"): path.read_text(encoding="utf-8")
        for path in folder.iterdir()
        if path.name.endswith(".js")
    }
