"""Arrays to figures, by pure functions; a new figure is one decorated function."""

from aelab.report.figures import curves, generation, latent, reconstruction, training  # noqa: F401
from aelab.report.figures.base import FIGURES, SECTIONS, Drawing, FigureKind, View

__all__ = ["FIGURES", "SECTIONS", "Drawing", "FigureKind", "View"]
