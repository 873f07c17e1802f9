"""What the folders of runs, studies and searches have in common."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from aelab.runs.creation import create_folder, kind_of, require_kind
from aelab.runs.folder import Folder


class ResultFolder(Folder):
    """The folder of a run, a study or a search: an experiment, its results and their report."""

    kind: ClassVar[str]

    def __init__(self, path: Path | str) -> None:
        super().__init__(Path(path))
        require_kind(self.path, self.kind)

    @classmethod
    def is_at(cls, path: Path) -> bool:
        """Whether the folder at ``path`` is of this kind."""
        return kind_of(path) == cls.kind

    @classmethod
    def make(
        cls, path: Path, contents: Mapping[str, Mapping[str, Any]], default: str = "", **facts: Any
    ) -> Self:
        """Make the folder with its first files; one that exists is never overwritten.

        Args:
            path: Where.
            contents: JSON files by name.
            default: With a name, the folder is the next free ``runs/<date>-<name>`` instead.
            facts: What the manifest says beside time, versions and status.
        """
        return cls(create_folder(path, contents, default, kind=cls.kind, **facts))

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
