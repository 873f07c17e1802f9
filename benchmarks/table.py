"""Markdown tables, and the exponent of a scaling law."""

from collections.abc import Sequence

import numpy as np


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns of numbers are aligned right."""
    right = [all(_is_number(row[i]) for row in rows if row[i]) for i in range(len(header))]
    rule = ["---:" if to_right else "---" for to_right in right]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


def _is_number(text: str) -> bool:
    return text.lstrip("−-≈")[:1].isdigit()


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The p of cost ∝ sizeᵖ, by least squares of the logarithms."""
    slope, _ = np.polyfit(np.log(sizes), np.log(costs), 1)
    return float(slope)
