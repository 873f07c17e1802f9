"""Every measure of the lab: one decorated function each, found by being imported here."""

import importlib
import pkgutil

from aelab.metrics.base import (
    METRICS,
    Context,
    Estimate,
    Evaluation,
    Metric,
    estimate,
    metric,
    paired_difference,
)

for _sibling in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_sibling}")

from aelab.metrics.arrays import collect_arrays
from aelab.metrics.baselines import evaluate_baseline
from aelab.models import GaussianAutoencoder


def evaluate(context: Context) -> Evaluation:
    """Every measure that the model can have, and the arrays for the figures."""
    import numpy as np

    metrics: dict[str, Estimate | None] = {}
    per_image = {}
    context.model.eval()
    for name, measure in METRICS.items():
        if measure.needs == "posterior" and not isinstance(context.model, GaussianAutoencoder):
            metrics[name] = None
            continue
        context.report(f"measuring {measure.title}")
        result = measure.function(context)
        metrics[name] = estimate(result, context.seed, len(context.data.test))
        if isinstance(result, np.ndarray):
            per_image[name] = result.astype(np.float32)
    return Evaluation(metrics, per_image, collect_arrays(context))


__all__ = [
    "METRICS",
    "Context",
    "Estimate",
    "Evaluation",
    "Metric",
    "collect_arrays",
    "estimate",
    "evaluate",
    "evaluate_baseline",
    "metric",
    "paired_difference",
]
