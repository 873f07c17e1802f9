"""The search space of a setting, declared with its field.

``learning_rate: Annotated[float, Range(1e-4, 1e-2, log=True)] = Field(1e-3, …)``. A search finds
every such field by itself, also in a new model.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, on a logarithmic scale if ``log``, integers if ``whole``.

    A range that is not ``by_default`` is searched only on request, because more is always better
    (a larger code reconstructs better) or because it changes what is compared.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    by_default: bool = True


@dataclass(frozen=True)
class Choice:
    """One of ``options``; declared for settings whose field ``where[0]`` is ``where[1]``."""

    options: tuple[Any, ...]
    where: tuple[str, Any] | None = None
    by_default: bool = True
