"""The folder of a study, which holds the runs of every seed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aelab.runs.creation import create_folder, kind_of, require_kind
from aelab.runs.folder import RUNS, Folder
from aelab.runs.run import Run


class Study(Folder):
    """A study folder: what was frozen first, the runs of every seed, what they say together."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(Path(path))
        require_kind(self.path, "study")

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether there is a study."""
        return kind_of(path) == "study"

    @classmethod
    def create(
        cls,
        path: Path,
        experiment: Mapping[str, Any],
        claims: list[dict[str, Any]],
        **facts: Any,
    ) -> "Study":
        """Make the folder and freeze the claims in it, before anything is trained."""
        contents = {"experiment.json": experiment, "claims.json": {"claims": claims}}
        return cls(create_folder(path, contents, kind="study", **facts))

    def experiment(self) -> dict[str, Any]:
        """The settings that every run starts from."""
        return self.read_json("experiment.json")

    def claims(self) -> list[dict[str, Any]]:
        """The claims that were frozen."""
        claims: list[dict[str, Any]] = self.read_json("claims.json")["claims"]
        return claims

    def run_path(self, name: str) -> Path:
        """Where the run of that name is, or is to be."""
        return self.own(f"{RUNS}/{name}")

    def results(self) -> dict[str, Any]:
        """What the runs say together; see docs/studies.md for its shape."""
        return self.read_json("study.json")

    def write_results(self, results: Mapping[str, Any], table: str) -> None:
        """Keep the results, and the raw values of every seed as CSV."""
        self.write_text("seeds.csv", table)
        self.write_json("study.json", results)

    def write_figure(self, name: str, data: bytes) -> Path:
        """Keep a figure file."""
        return self.write(f"figures/{name}", data)

    def write_report(self, html: str) -> Path:
        """Keep the report."""
        return self.write_text("report.html", html)


def opened(path: Path) -> Run | Study:
    """The run or the study in a folder."""
    return Study(path) if Study.is_at(path) else Run(path)
