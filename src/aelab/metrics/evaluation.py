"""Every measure of a subject, and for a model the arrays that its figures are made from."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aelab.metrics import generation
from aelab.metrics.arrays import collect_arrays
from aelab.metrics.base import METRICS, Array, Estimate, estimate_means
from aelab.metrics.context import Context, Subject


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured; None where a measure is not defined.

    ``per_image`` holds float32 ``(N,)`` for the measures that have a value for each test image,
    ``facts`` what must be said beside the numbers, as plain JSON.
    """

    metrics: dict[str, Estimate | None]
    per_image: dict[str, Array]
    arrays: dict[str, Array] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def measure(subject: Subject) -> Evaluation:
    """Every registered measure, in the order of the registry."""
    count = len(subject.data.test.labels)
    metrics: dict[str, Estimate | None] = dict.fromkeys(METRICS)
    per_image: dict[str, Array] = {}
    for name, metric in METRICS.items():
        if not metric.applies_to(subject.capabilities):
            continue
        subject.report(f"measuring {metric.title}")
        result = metric.function(subject)
        if isinstance(result, np.ndarray):
            assert result.shape == (count,), f"{name} has shape {result.shape}"
            per_image[name] = result.astype(np.float32)
        elif isinstance(result, Estimate) or result is None:
            metrics[name] = result
        else:
            metrics[name] = Estimate(float(result), None, None, count)
    if per_image:
        # From the stored float32 values, so that a reader of the file finds the same numbers.
        columns = np.stack(list(per_image.values()), axis=1)
        metrics.update(zip(per_image, estimate_means(columns, subject.seed), strict=True))
    return Evaluation(metrics, per_image)


def evaluate(context: Context) -> Evaluation:
    """Every measure of a trained model, and every array of its run folder."""
    measured = measure(context)
    arrays = collect_arrays(context, measured.per_image)
    facts = {"generation": generation.facts(context)}
    return dataclasses.replace(measured, arrays=arrays, facts=facts)
