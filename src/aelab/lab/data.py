"""The data of an experiment: opened for a new one, found again for a run, study or search."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aelab.data.cache import require_cache
from aelab.data.dataset import PARTS, Data
from aelab.data.idx import printable
from aelab.data.shared import share, shared
from aelab.data.sources import Source, resolve_data
from aelab.errors import DataError
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.metrics import require_components
from aelab.runs.pool import Event, Watch, shared_folder
from aelab.runs.results import ResultFolder
from aelab.runs.run import Run

BYTES_OF_RESULTS = 10_000_000  # arrays, figures and pages of a model


def load(source: Source, experiment: Experiment) -> Data:
    """The data of an experiment: what the parent process shares, or else read and verified."""
    return shared(_place(source, experiment)) or _read(source, experiment)


def read_and_share(source: Source, experiment: Experiment) -> Data:
    """Read and verify the data of an experiment, and share them with all worker processes."""
    data = _read(source, experiment)
    share(data, _place(source, experiment))
    return data


def _read(source: Source, experiment: Experiment) -> Data:
    return source.load(**_split(experiment))


def _split(experiment: Experiment) -> dict[str, Any]:
    return {
        "seed": experiment.split_seed,
        "validation": experiment.validation,
        "train_size": experiment.train_size,
    }


def _place(source: Source, experiment: Experiment) -> Path:
    key = repr((source, _split(experiment))).encode()
    return shared_folder() / f"data-{hashlib.sha256(key).hexdigest()[:16]}"


def open_data(experiment: Experiment, watch: Watch) -> tuple[Source, Data]:
    """Resolve and read the data of a new experiment, and say which they are.

    A run keeps the source: "auto" is resolved once, so that a resume reads the same files.
    """
    source = resolve_data(
        experiment.data, on_progress=lambda text: watch(Event("data", "message", text))
    )
    data = read_and_share(source, experiment)
    watch(Event("data", "message", f"{data.why} Split: {data.split}."))
    return source, data


def find_data(
    folder: ResultFolder,
    experiment: Experiment,
    data: str | None = None,
    *,
    for_workers: bool = True,
) -> tuple[Source, Data]:
    """Find and read the data of a run, study or search.

    Args:
        folder: The run, study or search.
        experiment: Its experiment.
        data: Where its data are now (a folder, ``mnist`` or ``bundled``), if they have moved.
        for_workers: Whether worker processes will use them, with whom they are then shared.

    Raises:
        DataError: If they cannot be read, or their checksums are not those in the manifest.
    """
    source = Source(**folder.manifest()["source"])
    if data is not None:
        source = resolve_data(data)
    elif source.files and not all(map(os.path.exists, source.files.values())):
        place = printable(Path(next(iter(source.files.values()))).parent)
        raise DataError(
            f"The data of {folder.path} are no longer in {place}: name the folder that they have "
            "moved to by --data."
        )
    found = (read_and_share if for_workers else _read)(source, experiment)
    require_same_data(found, folder.manifest()["data"]["sha256"], folder.path)
    return source, found


def load_run_data(run: Run, data: str | None = None) -> Data:
    """Load the data of a run, verified against what it was trained on.

    Args:
        run: The run.
        data: Where the data are now (a folder, ``mnist`` or ``bundled``), if they have moved.

    Returns:
        The same split as in the training.

    Raises:
        DataError: If they cannot be read, or their checksums are not those of the run.
    """
    return find_data(run, experiment_of(run), data, for_workers=False)[1]


def describe(data: Data) -> dict[str, Any]:
    """The facts about the data that a manifest holds."""
    return {
        "name": data.name,
        "source": data.source,
        "why": data.why,
        "split": data.split,
        "sha256": data.sha256,
        "label_names": list(data.label_names),
        "image_size": list(data.image_size),
        "counts": {name: len(getattr(data, name)) for name in PARTS},
    }


def require_same_data(data: Data, sha256: Mapping[str, str], owner: Path | str) -> None:
    """Raise DataError unless the data have the checksums ``sha256`` of the owner's data."""
    if dict(sha256) != data.sha256:
        raise DataError(
            f"{data.name} is not the data of {owner}: the checksums differ; name the folder of the "
            "same files by --data."
        )


def require_possible(experiment: Experiment, facts: Mapping[str, Any]) -> int:
    """Check that the models can be trained and evaluated here, on these data.

    Args:
        experiment: The settings of a run.
        facts: Those of :func:`describe`.

    Returns:
        About the bytes that the run takes on disk: of each model ten times its parameters (weights,
        and three states with Adam's moments while the oldest is replaced), and its results.

    Raises:
        AelabError: If a package or the cache is missing, or a network or a PCA does not fit the
            images.
    """
    require_cache()
    experiment.require_packages()
    height, width = facts["image_size"]
    for d in experiment.latent_dim if "pca" in experiment.baselines else ():
        require_components(d, facts["counts"]["train"], height * width)
    models = [experiment.build(key, (height, width)) for key in experiment.by_key]
    parameters = sum(model.parameter_count for model in models)
    return 4 * 10 * parameters + len(models) * BYTES_OF_RESULTS
