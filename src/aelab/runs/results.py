"""What the folders of runs, studies and searches have in common."""

import contextlib
import errno
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from aelab.errors import RunError
from aelab.runs.creation import default_path, kind_of
from aelab.runs.environment import environment
from aelab.runs.files import temporary_path
from aelab.runs.folder import RUNS, Folder

_COMMANDS = {
    "run": "show, resume, evaluate, report, explore, export and compare",
    "study": f"show, resume, evaluate and report, and its runs are in {RUNS}/",
    "search": "show, resume and report",
}


class ResultFolder(Folder, ABC):
    """The folder of a run, a study or a search: an experiment, its results and their report."""

    kind: ClassVar[str]

    def __init__(self, path: Path | str) -> None:
        super().__init__(Path(path))
        found = kind_of(self.path)
        if found is None:
            raise RunError(
                f"{path} is not a {self.kind} folder: name one that aelab {self.kind} has made."
            )
        if found != self.kind:
            raise RunError(
                f"{path} is a {found}, not a {self.kind}: open it with aelab {_COMMANDS[found]}."
            )

    @classmethod
    def is_at(cls, path: Path) -> bool:
        """Whether the folder at ``path`` is of this kind."""
        return kind_of(path) == cls.kind

    @classmethod
    def make(
        cls, path: Path, contents: Mapping[str, Mapping[str, Any]], default: str = "", **facts: Any
    ) -> Self:
        """Make the folder with its first files, whole or not at all; none is ever overwritten.

        Args:
            path: Where.
            contents: JSON files by name.
            default: With a name, the folder is the next free ``runs/<date>-<name>`` instead.
            facts: What the manifest says beside time, versions and status.
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
            now = datetime.now(UTC).isoformat(timespec="seconds")
            folder.note(
                created=now, status="running", environment=environment(), kind=cls.kind, **facts
            )
            for name, content in contents.items():
                folder.write_json(name, content)
            while True:
                try:
                    made.rename(path)  # it never replaces a folder that has files
                    return cls(path)
                except OSError as error:
                    if not default or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        shutil.rmtree(made)
                        raise
                    path = default_path(default)  # another process has taken the one before
        except OSError as error:
            raise RunError(f"Cannot make the run folder {path}: {error.strerror}.") from None

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """All results, as ``--json`` prints them."""

    def experiment(self) -> dict[str, Any]:
        """The experiment, as plain settings."""
        return self.read_json("experiment.json")

    @contextlib.contextmanager
    def count_seconds(self) -> Iterator[None]:
        """Add the time spent within it, unless it raises, to the seconds in the manifest."""
        began = time.perf_counter()
        yield
        self.note(seconds=self.manifest().get("seconds", 0.0) + time.perf_counter() - began)

    def write_figure(self, name: str, data: bytes) -> Path:
        """Write a figure."""
        return self.write(f"figures/{name}", data)

    def write_report(self, html: str) -> Path:
        """Write the report."""
        return self.write_text("report.html", html)
