"""Repair of a damaged run folder: each damaged file is reported by name and never used.

Files that can be made from others are deleted, so that a resume makes them again. History and
weights come from the last checkpoint, which holds both. Nothing can replace experiment.json or a
manifest.
"""

from collections.abc import Callable

from aelab.errors import RunError
from aelab.experiment.settings import Experiment
from aelab.runs.folder import Folder
from aelab.runs.models import ModelFolder
from aelab.runs.run import Run
from aelab.training.checkpoints import ended, newest_state, write_final
from aelab.training.settings import Training

Warn = Callable[[str], None]
# What happens without these files of a model; any other file is made again.
_REPLACEABLE = {
    "checkpoints/": "The checkpoint before it is used, if one is needed.",
    "best.safetensors": "The model is retrained, if it is needed.",
    "blocks/": "That part is evaluated again.",
    "ais.json": "aelab evaluate --ais makes it again.",
}


def is_whole(run: Run, experiment: Experiment) -> bool:
    """Whether a run is finished and undamaged. Raises RunError as :func:`repair` does."""
    of_run, of_models = _find_damage(run, experiment)
    finished = run.manifest().get("status") == "finished"
    return finished and not of_run and not any(damaged for _, damaged in of_models)


def repair(run: Run, experiment: Experiment, warn: Warn) -> None:
    """Delete the damaged files of a run with a warning for each, and restore what a checkpoint has.

    A run that lacks a file afterwards is no longer marked as finished: a resume makes it again. The
    caller must hold the lock of the run. Raises RunError, before anything is changed, if nothing
    can replace a damaged file.
    """
    of_run, of_models = _find_damage(run, experiment)
    missed = _delete(run, of_run, warn)
    for folder, damaged in of_models:
        lost = _delete(folder, damaged, warn)
        if name_and_size := experiment.by_key.get(folder.path.name):
            _from_checkpoint(folder, lost, experiment.training(name_and_size[0]))
        if "arrays.npz" in lost and folder.has("metrics.json"):
            folder.remove("metrics.json")  # the two are made together
        missed |= {name for name in lost if not name.startswith(tuple(_REPLACEABLE))}
    if missed:
        run.note(status="running")
    run.adopt_evaluation()


def _find_damage(
    run: Run, experiment: Experiment
) -> tuple[dict[str, str], list[tuple[ModelFolder, dict[str, str]]]]:
    """What is damaged in the folder of the run, and in that of each model."""
    of_models = [(folder, folder.damaged()) for folder in run.model_folders()]
    for folder, damaged in of_models:
        trained = folder.has("weights.safetensors") and "weights.safetensors" not in damaged
        name_and_size = experiment.by_key.get(folder.path.name)
        if name_and_size and trained and "history.jsonl" in damaged:
            _, rows, _ = newest_state(folder)
            if not ended(rows, experiment.training(name_and_size[0])):
                raise RunError(
                    f"{folder.path / 'history.jsonl'} is damaged, and no checkpoint has it: "
                    f"delete {folder.path}, and aelab resume makes it again."
                )
    return run.damaged(), of_models


def _delete(folder: Folder, damaged: dict[str, str], warn: Warn) -> set[str]:
    """Delete the damaged files with a warning for each; their names."""
    for name, why in damaged.items():
        folder.remove(name)
        begins = (then for prefix, then in _REPLACEABLE.items() if name.startswith(prefix))
        warn(f"{why} {next(begins, 'It is made again.')}")
    return set(damaged)


def _from_checkpoint(folder: ModelFolder, lost: set[str], config: Training) -> None:
    """Restore history and weights from the newest checkpoint."""
    if "best.safetensors" in lost and not folder.has("weights.safetensors"):
        for name in folder.checkpoints().values():
            folder.remove(name)  # only a new start finds the best epoch again
    state, rows, _ = newest_state(folder)
    if "history.jsonl" in lost and state and len(rows) == state.epoch:
        folder.write_history(rows)
    if "weights.safetensors" in lost and state and ended(rows, config):
        write_final(folder, state.tensors, config)
