"""The registry of metrics, and their estimates: means with bootstrap intervals.

Shape legend: N images, M metrics, R resamples.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from aelab.config.registry import Registry
from aelab.errors import AelabError
from aelab.models import Capability
from aelab.randomness import numpy_stream
from aelab.runs.records import Better, Estimate

Array = NDArray[Any]
Family = Literal["reconstruction", "likelihood", "latent", "representation", "generation"]

FAMILIES: tuple[Family, ...] = get_args(Family)

RESAMPLES = 2_000
_CHUNK = 100  # resamples at a time: 8 MB of weights for 10,000 images


Function = Callable[[Any], float | Array | Estimate | None]
F = TypeVar("F", bound=Function)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A registered metric with everything that a table says about it.

    Metrics of one ``panel`` are shown together in the report. Those that differ only in the
    ``sampler`` or in the strength ``at`` share the title ``quantity``.
    """

    name: str
    title: str
    unit: str = ""
    better: Better | None = None
    family: Family
    needs: frozenset[Capability]
    description: str
    function: Function
    panel: str = ""
    quantity: str = ""
    sampler: str = ""
    at: float | None = None
    classifier: bool = False  # whether its value depends on the digit classifier
    asked: Callable[[Any], bool] = lambda _: True  # whether the evaluation's settings ask for it

    def applies_to(self, capabilities: Collection[Capability]) -> bool:
        """Whether the metric is defined for a model or baseline of these capabilities."""
        return self.needs.issubset(capabilities)


METRICS: Registry[Metric] = Registry("metric", "[a-z][a-z0-9_.]*")


def metric(
    name: str,
    *,
    title: str,
    family: Family,
    needs: Capability | Collection[Capability] = "decoder",
    description: str = "",
    **fields: Any,
) -> Callable[[F], F]:
    """Register a function as a metric.

    The function takes a :class:`~aelab.metrics.context.Context`. It returns a number, an
    :class:`Estimate` of its own, None for "not defined", or one value for each test image, shape
    ``(N,)``, from which the mean, its interval and paired differences follow.

    Args:
        name: The name in files and settings.
        title: The name in tables.
        family: The section of the report.
        needs: The capabilities that the function uses (:data:`aelab.models.base.Capability`). For
            a model or baseline that lacks one, the metric is "not defined".
        description: A sentence; by default the first line of the function's docstring.
        fields: Other fields of :class:`Metric`, such as ``unit`` and ``better``.

    Returns:
        A decorator for the function.

    Raises:
        AelabError: The name is taken, or the metric has no description or an unknown family or
            capability.
    """

    def register(function: F) -> F:
        text = description or (function.__doc__ or "").strip().partition("\n")[0]
        if not text:
            raise AelabError(f"The metric {name} has no docstring: its first line describes it.")
        if family not in FAMILIES:
            raise AelabError(
                f"The metric {name} has the family {family}: choose from {', '.join(FAMILIES)}."
            )
        needed = frozenset([needs] if isinstance(needs, str) else needs)
        if unknown := needed - set(get_args(Capability)):
            raise AelabError(
                f"The metric {name} needs {', '.join(sorted(unknown))}: choose from "
                f"{', '.join(get_args(Capability))}."
            )
        made = Metric(
            name=name, title=title, family=family, needs=needed, description=text,
            function=function, **fields,
        )  # fmt: skip
        METRICS.register(name, made, function)
        return function

    return register


def mean_only(values_N: Array) -> Estimate | None:
    """The mean of some values, without an interval; None if there are no values."""
    return Estimate(float(values_N.mean()), n=len(values_N)) if len(values_N) else None


def bootstrap_means(values_NM: Array, seed: int) -> Array:
    """The means of ``RESAMPLES`` resamples of the images, shape ``(R, M)``.

    Every metric and every model of a run uses the same resamples. A resample is a row of
    multinomial weights, so that all its means are one matrix product.
    """
    n = len(values_NM)
    generator = numpy_stream(seed, "bootstrap", n)
    values_NM = values_NM.astype(np.float64)
    chunks = []
    for start in range(0, RESAMPLES, _CHUNK):
        rows = min(_CHUNK, RESAMPLES - start)
        drawn = generator.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        chunks.append(weights.astype(np.float64) @ values_NM / n)
    return np.concatenate(chunks)


def estimate_means(values_NM: Array, seed: int) -> list[Estimate]:
    """For each column the mean and its 95% percentile-bootstrap interval over the images.

    One image has no interval.
    """
    n = len(values_NM)
    means = values_NM.mean(axis=0, dtype=np.float64)
    if n == 1:
        return [Estimate(float(mean), n=n) for mean in means]
    low, high = np.percentile(bootstrap_means(values_NM, seed), [2.5, 97.5], axis=0)
    return [
        Estimate(float(mean), float(a), float(b), n)
        for mean, a, b in zip(means, low, high, strict=True)
    ]


def paired_differences(a_NM: Array, b_NM: Array, seed: int) -> list[Estimate]:
    """For each column the mean of b − a over the same images, with its 95% bootstrap interval.

    This compares two fixed models over images; it says nothing about other seeds.
    """
    assert a_NM.shape == b_NM.shape, "a paired difference needs the same images on both sides"
    return estimate_means(b_NM.astype(np.float64) - a_NM.astype(np.float64), seed)
