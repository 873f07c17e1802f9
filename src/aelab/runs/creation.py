"""Where new folders of runs, studies and searches go, and the kind of an existing one."""

import shutil
from datetime import datetime
from pathlib import Path

from aelab.errors import RunError
from aelab.runs.folder import Folder


def kind_of(path: Path) -> str | None:
    """The kind of a folder: "run", "study", "search", or None if it is none of these."""
    manifest = Folder(path).manifest()
    return manifest.get("kind", "run") if "experiment.json" in manifest["files"] else None


def require_space(path: Path, needed: int) -> None:
    """Raise RunError if the disk has no room for ``needed`` bytes in a folder to be made."""
    try:
        there = next(parent for parent in path.absolute().parents if parent.exists())
        free = shutil.disk_usage(there).free
    except OSError:
        return  # making the folder will report why it cannot be made
    if free < needed:
        takes, has = (f"{size / 1e6:,.0f} MB" for size in (needed, free))
        raise RunError(
            f"{path} would take about {takes}, and its disk has {has} free: make room, or name an "
            "--out on another disk."
        )


def default_path(preset: str) -> Path:
    """``runs/<date>-<preset>``, with a number if that exists."""
    stem = Path("runs") / f"{datetime.now().astimezone():%Y-%m-%d}-{preset}"
    path, count = stem, 1
    while path.exists():
        count += 1
        path = stem.with_name(f"{stem.name}-{count}")
    return path
