"""Computes every metric of a model or baseline, and for a model the arrays of its figures."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aelab.metrics import generation, importance
from aelab.metrics.arrays import collect_arrays
from aelab.metrics.base import METRICS, Array, estimate_means
from aelab.metrics.context import BaseContext, Context
from aelab.runs.records import Estimate


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The estimates of all metrics; None where a metric is not defined.

    ``per_image`` holds float32 ``(N,)`` for the metrics that have a value for each test image,
    ``facts`` the conditions that belong to the numbers, as plain JSON.
    """

    metrics: dict[str, Estimate | None]
    per_image: dict[str, Array]
    arrays: dict[str, Array] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def evaluate_metrics(context: BaseContext) -> Evaluation:
    """Every registered metric, in the order of the registry."""
    count = len(context.data.test.labels)
    metrics: dict[str, Estimate | None] = dict.fromkeys(METRICS)
    per_image: dict[str, Array] = {}
    for name, metric in METRICS.items():
        if not metric.applies_to(context.capabilities):
            continue
        context.report(f"computing {metric.title}")
        result = metric.function(context)
        if isinstance(result, np.ndarray):
            assert result.shape == (count,), f"{name} has shape {result.shape}"
            per_image[name] = result.astype(np.float32)
        elif isinstance(result, Estimate) or result is None:
            metrics[name] = result
        else:
            metrics[name] = Estimate(float(result), n=count)
    if per_image:
        # From the stored float32 values, so that a reader of the file finds the same numbers.
        columns = np.stack(list(per_image.values()), axis=1)
        metrics.update(zip(per_image, estimate_means(columns, context.seed), strict=True))
    return Evaluation(metrics, per_image)


def evaluate(context: Context) -> Evaluation:
    """Every metric of a trained model, and every array of its run folder."""
    evaluation = evaluate_metrics(context)
    arrays = collect_arrays(context, evaluation.per_image)
    facts: dict[str, Any] = {}
    if "likelihood" in context.capabilities:
        facts["likelihood"] = importance.facts(context)
    if "decoder" in context.capabilities:
        facts["generation"] = generation.facts(context)
    return dataclasses.replace(evaluation, arrays=arrays, facts=facts)
