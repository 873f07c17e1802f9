"""A drawn figure as files of a folder and as elements of a page."""

from markupsafe import Markup

from aelab.report.figures.base import Drawing
from aelab.report.style import Inliner, png, svg
from aelab.runs.run import Run
from aelab.runs.study import Study


def pictures(
    folder: Run | Study, inliner: Inliner, name: str, wide: Drawing, narrow: Drawing
) -> tuple[Markup, Markup]:
    """A figure as the page's two elements; the wide one is kept as SVG and PNG too."""
    vector = svg(wide.figure)
    folder.write_figure(f"{name}.svg", vector)
    folder.write_figure(f"{name}.png", png(wide.figure))
    return (
        Markup(inliner.inline(vector, f"{name}-w", wide.alt)),
        Markup(inliner.inline(svg(narrow.figure), f"{name}-n", narrow.alt)),
    )
