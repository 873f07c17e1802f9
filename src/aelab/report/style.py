"""The look of the figures: one palette, one rc, and the same bytes for the same figure.

Figures are drawn in the colours of the light theme. Inline in the report each of these becomes the
CSS variable of the same role, so that light and dark both look native.
"""

import colorsys
import io
import warnings
from collections.abc import Callable, Collection
from importlib.resources import as_file, files
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, LINE, SURFACE = "#1d1e23", "#62636d", "#dddee4", "#fffffe"
# Blue and vermilion keep their distance under every common colour-vision deficiency.
MODEL_COLORS = {"ae": "#0c69a6", "vae": "#b9470b"}
OTHER_COLORS = ("#2f7d5b", "#7d4fa8", "#8a6a00", "#a83a6f")
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    SURFACE: "surface",
    **{color: name for name, color in MODEL_COLORS.items()},
    **{color: f"other-{index}" for index, color in enumerate(OTHER_COLORS)},
}
# Petroff (2021), arXiv:2107.02270: ten colours optimised for colour-vision deficiencies.
DIGITS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
FIGURE_DPI, RASTER_DPI = 160, 144
# A report looks the same whatever style or matplotlibrc the user has, and needs no LaTeX.
with as_file(files("aelab.report") / "templates" / "report.mplstyle") as _sheet:
    RC = mpl.rc_params_from_file(_sheet)


def model_color(name: str, names: Collection[str]) -> str:
    """The colour of a model's identity: fixed for AE and VAE, by place among the others."""
    if name in MODEL_COLORS:
        return MODEL_COLORS[name]
    others = sorted(set(names) - MODEL_COLORS.keys())
    return OTHER_COLORS[others.index(name) % len(OTHER_COLORS)]


def role(name: str, names: Collection[str]) -> str:
    """The CSS variable of that colour."""
    return VARIABLES[model_color(name, names)]


def class_colors(count: int) -> list[str]:
    """A colour a class; beyond ten, hues a golden angle apart in three lightnesses."""
    if count <= len(DIGITS):
        return list(DIGITS[:count])
    wheel = (
        colorsys.hls_to_rgb(0.618034 * k % 1, (0.42, 0.56, 0.68)[k % 3], 0.62) for k in range(count)
    )
    return ["#" + "".join(f"{round(255 * part):02x}" for part in rgb) for rgb in wheel]


def png(figure: Figure) -> bytes:
    """The figure as PNG, the same bytes for the same figure."""
    canvas: Any = FigureCanvasAgg(figure)
    return _printed(canvas.print_png, figure, FIGURE_DPI, {"Software": None})


def svg(figure: Figure) -> bytes:
    """The figure as SVG, without a date and with ids that follow from its content."""
    canvas: Any = FigureCanvasSVG(figure)
    return _printed(canvas.print_svg, figure, RASTER_DPI, {"Date": None, "Creator": None})


def _printed(
    write: Callable[..., object], figure: Figure, dpi: int, metadata: dict[str, None]
) -> bytes:
    """What a canvas writes; ``savefig`` would draw everything once more to find the layout."""
    buffer = io.BytesIO()
    figure.dpi = dpi
    with mpl.rc_context(RC), warnings.catch_warnings():
        # A browser has more glyphs than the font that measures the text here.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        write(buffer, metadata=metadata)
    figure.set_layout_engine("none")  # the other format keeps this layout, which is slow to find
    return buffer.getvalue()
