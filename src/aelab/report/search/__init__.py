"""The page of a search: one self-contained HTML file and its figures."""

from aelab.report.search.build import build_search_report

__all__ = ["build_search_report"]
