"""The folder of a study, which holds the runs of every seed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aelab.runs.folder import RUNS
from aelab.runs.results import ResultFolder


class Study(ResultFolder):
    """The folder of a study: its claims, the runs of every seed, the results over all seeds."""

    kind = "study"

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
        return cls.make(path, contents, **facts)

    def claims(self) -> list[dict[str, Any]]:
        """The claims that were frozen."""
        claims: list[dict[str, Any]] = self.read_json("claims.json")["claims"]
        return claims

    def run_path(self, name: str) -> Path:
        """The path of the run of that name, which may not exist yet."""
        return self.own(f"{RUNS}/{name}")

    def results(self) -> dict[str, Any]:
        """The results over all runs; docs/studies.md describes their shape."""
        return self.read_json("study.json")

    def record(self) -> dict[str, Any]:
        """All results."""
        return self.results()

    def write_results(self, results: Mapping[str, Any], table: str) -> None:
        """Write the results, and the raw values of every seed as CSV."""
        self.write_text("seeds.csv", table)
        self.write_json("study.json", results)
