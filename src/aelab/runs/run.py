"""The folder of a run."""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aelab.errors import RunError
from aelab.runs.environment import environment
from aelab.runs.folder import Folder, make_folder
from aelab.runs.models import Arrays, ModelFolder
from aelab.runs.results import ResultFolder
from aelab.runs.summary import summary

_STAGING = "evaluation.part"  # a new evaluation of a run, until it is complete
_STAGED = "evaluation"  # a complete one, until it has replaced the one before


class Run(ResultFolder):
    """The folder of a run."""

    kind = "run"

    @classmethod
    def create(cls, path: Path, experiment: Mapping[str, Any], **facts: Any) -> "Run":
        """Make the folder; one that exists is never overwritten."""
        return cls.make(path, {"experiment.json": experiment}, **facts)

    def _repr_html_(self) -> str | None:
        """The table of results, for a notebook, once there are any."""
        try:
            html: str = summary(self.metrics())._repr_mimebundle_((), ())["text/html"]
        except RunError:
            return None
        return html

    def metrics(self) -> dict[str, Any]:
        """All metrics; docs/run-folder.md describes their shape."""
        return self.read_json("metrics.json")

    def record(self) -> dict[str, Any]:
        """All results: the metrics."""
        return self.metrics()

    def model_keys(self) -> list[str]:
        """The models of the run, such as ``ae-16``, in the experiment's order."""
        experiment = self.experiment()
        return [f"{name}-{d}" for d in experiment["latent_dim"] for name in experiment["models"]]

    def model(self, key: str) -> ModelFolder:
        """The folder of one model."""
        return ModelFolder(self.own(f"models/{key}"))

    def model_folders(self) -> list[ModelFolder]:
        """The folders of all models and baselines that exist."""
        found = sorted((self.path / "models").glob("*/"))
        return [ModelFolder(self.own(f"models/{path.name}")) for path in found]

    def staging(self, key: str) -> ModelFolder:
        """Where a new evaluation of a model is written until that of every model is complete."""
        return ModelFolder(self.own(f"{_STAGING}/{key}"))

    def begin_evaluation(self) -> None:
        """Begin a new evaluation, or continue one that was interrupted under the same versions."""
        folder, before = Folder(self.own(_STAGING)), None
        with contextlib.suppress(RunError):
            before = folder.manifest().get("environment")
        if before != environment():
            shutil.rmtree(folder.path, ignore_errors=True)
            make_folder(folder.path)
            folder.note(environment=environment())

    def end_evaluation(self) -> None:
        """Replace the metrics of each model by those of a new evaluation, which is complete."""
        self.own(_STAGING).rename(self.own(_STAGED))
        self.adopt_evaluation()

    def adopt_evaluation(self) -> None:
        """Replace the metrics by those of a complete evaluation, if there is one.

        The rename in ``end_evaluation`` decides: if the process dies in here, the next writer does
        the rest. The run's own metrics.json is still the old one, so the run is unfinished.
        """
        staged = self.own(_STAGED)
        if not staged.is_dir():
            return
        self.note(status="running")
        for path in sorted(staged.glob("*/")):
            new, old = ModelFolder(self.own(f"{_STAGED}/{path.name}")), self.model(path.name)
            for name in ("arrays.npz", "metrics.json"):
                old.write(name, new.read(name))
        staged.rename(self.own(_STAGING))  # so that a half removed one does not count as complete
        shutil.rmtree(self.own(_STAGING))

    def history(self, key: str) -> list[dict[str, Any]]:
        """The history of one model, a row an epoch."""
        return self.model(key).history()

    def arrays(self, key: str) -> Arrays:
        """The arrays of one model."""
        return self.model(key).arrays()

    @property
    def explorer(self) -> Path | None:
        """The explorer, if it has been built."""
        return self.path / "explorer.html" if self.has("explorer.html") else None

    def write_explorer(self, html: str) -> Path:
        """Write the explorer."""
        return self.write_text("explorer.html", html)

    def export_path(self, form: str) -> Path:
        """Where models are exported to, unless a path is given."""
        return self.path / "exports" / form
