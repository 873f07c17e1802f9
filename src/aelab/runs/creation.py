"""New folders of runs, studies and searches, and the kind of an existing one."""

import errno
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aelab.errors import RunError
from aelab.runs.environment import environment
from aelab.runs.files import temporary_path
from aelab.runs.folder import RUNS, Folder

_COMMANDS = {
    "run": "show, resume, evaluate, report, explore, export and compare",
    "study": f"show, resume, evaluate and report, and its runs are in {RUNS}/",
    "search": "show, resume and report",
}


def kind_of(path: Path) -> str | None:
    """The kind of a folder: "run", "study", "search", or None if it is none of these."""
    manifest = Folder(path).manifest()
    return manifest.get("kind", "run") if "experiment.json" in manifest["files"] else None


def require_kind(path: Path, kind: str) -> None:
    """Raise RunError unless a folder is of this kind."""
    found = kind_of(path)
    if found is None:
        raise RunError(f"{path} is not a {kind} folder: name one that aelab {kind} has made.")
    if found != kind:
        raise RunError(f"{path} is a {found}, not a {kind}: open it with aelab {_COMMANDS[found]}.")


def create_folder(
    path: Path, contents: Mapping[str, Mapping[str, Any]], default: str = "", **facts: Any
) -> Path:
    """Make a folder with its first files in it, whole or not at all; gives its path.

    With ``default``, the path is ``default_path(default)``, again if another process takes it.
    """
    try:
        if default:
            path = default_path(default)
        elif path.exists():
            raise RunError(f"{path} exists: name another --out, or resume it by aelab resume.")
        path.parent.mkdir(parents=True, exist_ok=True)
        made = temporary_path(path)
        made.mkdir()
        folder = Folder(made)
        folder.note(created=now(), status="running", environment=environment(), **facts)
        for name, content in contents.items():
            folder.write_json(name, content)
        while True:
            try:
                made.rename(path)  # it never replaces a folder that has files
                return path
            except OSError as error:
                if not default or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    shutil.rmtree(made)
                    raise
                path = default_path(default)
    except OSError as error:
        raise RunError(f"Cannot make the run folder {path}: {error.strerror}.") from None


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


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
