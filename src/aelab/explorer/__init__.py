"""The explorer: one page that runs the models of a run in the browser."""

from aelab.explorer.build import build_explorer
from aelab.explorer.serve import serve

__all__ = ["build_explorer", "serve"]
