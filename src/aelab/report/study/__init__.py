"""The page of a study: claims, every seed, curves, and a conclusion made from the numbers."""

from aelab.report.study.build import build_study_report

__all__ = ["build_study_report"]
