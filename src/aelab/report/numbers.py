"""How numbers are written: one place for digits, signs, intervals, units and lists."""

import math
import re
from collections.abc import Iterable

from aelab.runs.records import Estimate


def decimals(values: Iterable[float], significant: int = 4) -> int:
    """Decimals that give the largest of the values so many significant digits; 0 for counts."""
    sizes = [abs(value) for value in values]
    largest = max(sizes, default=0.0)
    if largest == 0 or all(size == round(size) for size in sizes):
        return 0
    return min(8, max(0, significant - 1 - math.floor(math.log10(largest))))


def number(value: float, places: int | None = None, *, sign: bool = False) -> str:
    """A number with a true minus and thousands separated; ``places`` decimals."""
    places = decimals([value]) if places is None else places
    rounded = round(value, places) + 0.0  # no negative zero
    text = f"{rounded:{'+' if sign and rounded else ''},.{places}f}"
    return text.replace("-", "−")


def interval(estimate: Estimate, places: int) -> str:
    """The 95% interval in brackets, or nothing."""
    if estimate.interval is None:
        return ""
    low, high = (number(end, places) for end in estimate.interval)
    return f"[{low}, {high}]"


def quantity(value: float | Estimate, unit: str = "", places: int | None = None) -> str:
    """A number with its unit and, of an estimate, its 95% interval."""
    estimate = value if isinstance(value, Estimate) else Estimate(value)
    places = decimals([estimate.value]) if places is None else places
    parts = number(estimate.value, places), unit, interval(estimate, places)
    return " ".join(filter(None, parts))


def difference(estimate: Estimate) -> tuple[str, str]:
    """A signed difference and its interval, in digits that fit the difference."""
    places = decimals([estimate.value, *(estimate.interval or ())], significant=3)
    return number(estimate.value, places, sign=True), interval(estimate, places)


def p_text(p: float) -> str:
    """A p-value with two significant digits."""
    return number(p, max(decimals([p], significant=2), 2)) if p < 1 else "1"


def duration(seconds: float | None) -> str:
    """A time span in the two units that matter; a dash if it is unknown."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def listing(items: Iterable[str]) -> str:
    """``a, b and c``."""
    *head, tail = list(items) or [""]
    return f"{', '.join(head)} and {tail}" if head else tail


def setting_text(value: object) -> str:
    """A setting's value."""
    if isinstance(value, list | tuple):
        return "-".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def plural(count: int, noun: str) -> str:
    """``1 seed`` or ``2 seeds``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def article(title: str) -> str:
    """``an AE`` or ``a VAE``."""
    return f"{'an' if title[:1] in 'AEIO' else 'a'} {title}"


def capital(text: str) -> str:
    """The text with a capital first letter; a β stays small."""
    return text[:1].upper() + text[1:] if text[:1].isascii() else text


def slug(text: str) -> str:
    """Letters, digits and hyphens only."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text)
