"""The folder of a search: settings, the database of trials, results, proof and report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aelab.runs.folder import Folder
from aelab.runs.models import ModelFolder
from aelab.runs.results import ResultFolder
from aelab.runs.run import Run
from aelab.runs.study import Study


class SearchFolder(ResultFolder):
    """The folder of a search: settings, the database of trials, results, proof and report."""

    kind = "search"

    @classmethod
    def create(
        cls, path: Path, search: Mapping[str, Any], experiment: Mapping[str, Any], **facts: Any
    ) -> "SearchFolder":
        """Make the folder; one that exists is never overwritten."""
        contents = {"search.json": search, "experiment.json": experiment}
        return cls.make(path, contents, **facts)

    @property
    def database(self) -> Path:
        """The trials; a database that changes, so its checksum is not in the manifest."""
        return self.path / "trials.db"

    def search(self) -> dict[str, Any]:
        """The settings of the search."""
        return self.read_json("search.json")

    def results(self) -> dict[str, Any]:
        """The trials and what they say; see docs/hyperparameters.md for the shape."""
        return self.read_json("results.json")

    def record(self) -> dict[str, Any]:
        """All results, and the proof if there is one."""
        return {"proof": self.proof()} | self.results()

    def retrained(self, name: str, seed: int) -> ModelFolder:
        """What a setting, retrained with a fresh seed, has left."""
        return ModelFolder(self.own(f"proof/{name}/seed-{seed}"))

    def proof(self) -> dict[str, Any] | None:
        """The proof, if there is one."""
        return self.read_json("proof.json") if self.has("proof.json") else None


def trial_folder(path: Path, number: int) -> ModelFolder:
    """The history and weights of a trial, in the folder that trials leave theirs in."""
    return ModelFolder(Folder(path).own(f"trial-{number:04d}"))


def open_folder(path: Path) -> Run | Study | SearchFolder:
    """The run, study or search in a folder."""
    for kind in (Study, SearchFolder):
        if kind.is_at(path):
            return kind(path)
    return Run(path)
