"""One self-contained HTML file, and its figures, from what a run has written."""

from aelab.report.build import build_report
from aelab.report.figures import FIGURES, Drawing, FigureKind, View
from aelab.report.study import build_study_report

__all__ = ["FIGURES", "Drawing", "FigureKind", "View", "build_report", "build_study_report"]
