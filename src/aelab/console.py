"""The terminal: text is printed as it is."""

from typing import Any

from rich.console import Console


def console(least_width: int = 0, **options: Any) -> Console:
    """A console without markup: what looks like it comes from data, such as a folder's name."""
    made = Console(markup=False, emoji=False, highlight=False, **options)
    made.width = max(made.width, least_width)
    return made
