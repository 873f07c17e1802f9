"""One self-contained HTML file, and its figures, from what a run has written."""

import contextlib
import os
import sys


def _import_matplotlib() -> None:
    """Import it without the backend that ``MPLBACKEND`` names: the figures need none.

    A notebook sets it for every process, also where that backend is not installed.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with contextlib.suppress(ValueError):  # the caller's pyplot still finds its backend
            mpl.rcParams["backend"] = backend


_import_matplotlib()

from aelab.report.build import build_report  # noqa: E402
from aelab.report.figures import FIGURES, Drawing, FigureKind, View  # noqa: E402
from aelab.report.study import build_study_report  # noqa: E402

__all__ = ["FIGURES", "Drawing", "FigureKind", "View", "build_report", "build_study_report"]
