"""Versions and machine, which results can depend on."""

import os
import platform
from importlib.metadata import version
from typing import Any

from aelab.nets import matmul


def environment() -> dict[str, Any]:
    """Versions and machine, as a manifest holds them."""
    return {
        "aelab": version("aelab"),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "matrix_products": matmul.library(),
        "cpus": os.cpu_count(),
        "threads_per_model": 1,
    }
