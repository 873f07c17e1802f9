"""Where things are kept that are made or fetched once and serve many runs."""

import os
from pathlib import Path

from platformdirs import user_cache_dir


def cache_path() -> Path:
    """The folder that ``AELAB_CACHE`` names, else the platform's cache folder of aelab."""
    return Path(os.environ.get("AELAB_CACHE") or user_cache_dir("aelab"))
