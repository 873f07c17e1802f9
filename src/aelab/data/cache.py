"""The cache: files that are made or downloaded once and used by many runs."""

import os
from pathlib import Path

from platformdirs import user_cache_dir

from aelab.errors import RunError

_REMEDY = "set AELAB_CACHE to a folder that can be written"


def cache_path() -> Path:
    """The folder that ``AELAB_CACHE`` names, else the platform's cache folder of aelab.

    Raises RunError if neither is known, as for a user without a home folder.
    """
    try:
        return Path(os.environ.get("AELAB_CACHE") or user_cache_dir("aelab")).absolute()
    except RuntimeError:
        raise RunError(f"This user has no home folder to keep the cache in: {_REMEDY}.") from None


def require_cache(path: Path | None = None) -> Path:
    """The cache (or ``path``), which need not exist. Raises RunError if it cannot be written."""
    path = path or cache_path()
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if not (os.access(there, os.W_OK | os.X_OK) and there.is_dir()):
        raise RunError(f"The cache {path} cannot be written: {_REMEDY}.")
    return path
