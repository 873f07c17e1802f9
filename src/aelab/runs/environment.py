"""Versions and machine: what a number can depend on beside the experiment."""

import os
import platform
from importlib.metadata import version
from typing import Any

from aelab.nets import matmul as products


def environment() -> dict[str, Any]:
    """What a number can depend on beside the experiment."""
    return {
        "aelab": version("aelab"),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "matrix_products": products.library(),
        "cpus": os.cpu_count(),
        "threads_per_model": 1,
    }
