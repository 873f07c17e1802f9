"""Every measure of the lab. A new file in this folder registers itself by being imported here."""

import importlib
import pkgutil

from aelab.metrics.base import FAMILIES, METRICS, Estimate, Metric, metric, paired_difference
from aelab.metrics.baselines import BASELINES, evaluate_baseline
from aelab.metrics.classifier import obtain as obtain_classifier
from aelab.metrics.context import Context, Subject
from aelab.metrics.evaluation import Evaluation, evaluate

for _sibling in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_sibling}")
for _name in sorted(METRICS, key=lambda name: FAMILIES.index(METRICS[name].family)):
    METRICS[_name] = METRICS.pop(_name)  # tables go from family to family, as EVALUATION.md does

__all__ = [
    "BASELINES",
    "METRICS",
    "Context",
    "Estimate",
    "Evaluation",
    "Metric",
    "Subject",
    "evaluate",
    "evaluate_baseline",
    "metric",
    "obtain_classifier",
    "paired_difference",
]
