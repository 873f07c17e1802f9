"""What a measure is: its registry, its estimate, and the interval around it.

Shape legend: N images, M measures, R resamples.
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

Array = NDArray[Any]
Better = Literal["lower", "higher"] | None
Family = Literal["reconstruction", "likelihood", "latent", "representation", "generation"]

FAMILIES: tuple[Family, ...] = (
    "reconstruction",
    "likelihood",
    "latent",
    "representation",
    "generation",
)

RESAMPLES = 2_000
_CHUNK = 100  # resamples at a time: 8 MB of weights for 10,000 images


@dataclass(frozen=True)
class Estimate:
    """A number about ``n`` images, with its 95% interval where one value an image exists."""

    value: float
    low: float | None
    high: float | None
    n: int


Function = Callable[[Any], float | Array | Estimate | None]
F = TypeVar("F", bound=Function)


@dataclass(frozen=True)
class Metric:
    """A measure with everything that a table says about it.

    Measures that belong together (one quantity for several samplers, or at several strengths) name
    the ``panel`` of the report that shows them all, the ``quantity`` that they share, and the
    ``sampler`` or the place ``at`` which each one stands.
    """

    name: str
    title: str
    unit: str
    better: Better
    family: Family
    needs: frozenset[Capability]
    description: str
    function: Function
    panel: str = ""
    quantity: str = ""
    sampler: str = ""
    at: float | None = None
    classifier: bool = False  # whether its value depends on the digit classifier
    asked: Callable[[Any], bool] = lambda _: True  # of the settings of the evaluation

    def applies_to(self, capabilities: Collection[Capability]) -> bool:
        """Whether the metric is defined for a model or baseline of these capabilities."""
        return self.needs.issubset(capabilities)


METRICS: Registry[Metric] = Registry("metric", "[a-z][a-z0-9_.]*")


def metric(
    name: str,
    *,
    title: str,
    family: Family,
    unit: str = "",
    better: Better = None,
    needs: Capability | Collection[Capability] = "decoder",
    panel: str = "",
    quantity: str = "",
    sampler: str = "",
    at: float | None = None,
    classifier: bool = False,
    asked: Callable[[Any], bool] = lambda _: True,
) -> Callable[[F], F]:
    """Register a measure; its docstring's first line is the description in the report.

    The function takes a :class:`~aelab.metrics.context.Context` and returns a number, or one
    value for each test image, shape ``(N,)``: then the mean, its interval and the comparison of
    two models follow by themselves. An :class:`Estimate` tells what its number is about, where
    that is not all test images; None is "not defined". ``needs`` names the capabilities that the
    function uses (:data:`aelab.models.base.Capability`); for a model or baseline that lacks one,
    the metric is "not defined". ``classifier``
    says that values are comparable under one digit classifier only. ``asked`` says
    whether the settings of an evaluation ask for it; a run that does not is silent about it.
    """

    def register(function: F) -> F:
        if not function.__doc__:
            raise AelabError(f"The metric {name} has no docstring: its first line describes it.")
        if family not in FAMILIES:
            raise AelabError(
                f"The metric {name} has the family {family}: choose from {', '.join(FAMILIES)}."
            )
        description = function.__doc__.strip().splitlines()[0]
        needed = frozenset([needs] if isinstance(needs, str) else needs)
        if unknown := needed - set(get_args(Capability)):
            raise AelabError(
                f"The metric {name} needs {', '.join(sorted(unknown))}: choose from "
                f"{', '.join(get_args(Capability))}."
            )
        made = Metric(
            name=name,
            title=title,
            unit=unit,
            better=better,
            family=family,
            needs=needed,
            description=description,
            function=function,
            panel=panel,
            quantity=quantity,
            sampler=sampler,
            at=at,
            classifier=classifier,
            asked=asked,
        )
        METRICS.register(name, made, function)
        return function

    return register


def bootstrap_means(values_NM: Array, seed: int) -> Array:
    """The means of ``RESAMPLES`` resamples of the images, shape ``(R, M)``.

    Every measure sees the same resamples, and so does every model of a run. A resample is a row of
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
        return [Estimate(float(mean), None, None, n) for mean in means]
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
