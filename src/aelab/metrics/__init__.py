"""The metrics. A new file in this folder registers its metrics by being imported here."""

import importlib
import pkgutil

from aelab.metrics.annealing import ais_check
from aelab.metrics.base import FAMILIES, METRICS, Estimate, Metric, metric, paired_differences
from aelab.metrics.baselines import BASELINES, evaluate_baseline, require_components
from aelab.metrics.classifier import obtain as obtain_classifier
from aelab.metrics.context import BaseContext, Context
from aelab.metrics.evaluation import Evaluation, evaluate
from aelab.metrics.health import health

for _sibling in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_sibling}")


def _position(name: str) -> tuple[int, bool]:
    """The order in tables: by family, and in each the file of that name first."""
    item = METRICS[name]
    own = item.function.__module__ == f"{__name__}.{item.family}"
    return FAMILIES.index(item.family), not own


for _name in sorted(METRICS, key=_position):
    METRICS[_name] = METRICS.pop(_name)

__all__ = [
    "BASELINES",
    "METRICS",
    "BaseContext",
    "Context",
    "Estimate",
    "Evaluation",
    "Metric",
    "ais_check",
    "evaluate",
    "evaluate_baseline",
    "health",
    "metric",
    "obtain_classifier",
    "paired_differences",
    "require_components",
]
