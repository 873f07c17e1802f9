"""Damage in a run folder: told by the file's name, never used, and mended from what is left.

What was made from other files is let go of, so that whoever goes on makes it again; history and
weights come from the last checkpoint, which holds both. Nothing can replace experiment.json or a
manifest.
"""

from collections.abc import Callable

from aelab.errors import RunError
from aelab.experiment.settings import Experiment
from aelab.runs.folder import Folder
from aelab.runs.models import ModelFolder
from aelab.runs.run import Run
from aelab.training.checkpoints import best_epoch, ended, keep_best, keep_chosen, newest_state
from aelab.training.settings import Training

Tell = Callable[[str], None]
# What happens without a file of a model; without any other file it is made again.
_SPARE = {
    "checkpoints/": "The checkpoint before it serves, if one is needed.",
    "best.safetensors": "It is found again, if it is needed.",
    "blocks/": "That part is measured again.",
    "ais.json": "aelab evaluate --ais makes it again.",
}


def is_whole(run: Run, experiment: Experiment) -> bool:
    """Whether a run is finished and nothing in it is damaged. Raises RunError as ``mend`` does."""
    of_run, of_models = _find_damage(run, experiment)
    finished = run.manifest().get("status") == "finished"
    return finished and not of_run and not any(damaged for _, damaged in of_models)


def mend(run: Run, experiment: Experiment, tell: Tell) -> None:
    """Let go of the damaged files of a run, aloud, and of its being finished if one is missed.

    The caller must be the run's one writer, and makes again what is not there. Raises RunError,
    before anything is changed, if nothing can replace a damaged file.
    """
    of_run, of_models = _find_damage(run, experiment)
    missed = _let_go(run, of_run, tell)
    for folder, damaged in of_models:
        lost = _let_go(folder, damaged, tell)
        if name_and_size := experiment.by_key.get(folder.path.name):
            _from_checkpoint(folder, lost, experiment.training(name_and_size[0]))
        if "arrays.npz" in lost and folder.has("metrics.json"):
            folder.remove("metrics.json")  # the two are measured together
        missed |= {name for name in lost if not name.startswith(tuple(_SPARE))}
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
            state, rows, _ = newest_state(folder)
            if not ended(rows, state, experiment.training(name_and_size[0])):
                raise RunError(
                    f"{folder.path / 'history.jsonl'} is damaged, and no checkpoint has it: "
                    f"delete {folder.path} and aelab resume makes it anew."
                )
    return run.damaged(), of_models


def _let_go(folder: Folder, damaged: dict[str, str], tell: Tell) -> set[str]:
    for name, why in damaged.items():
        folder.remove(name)
        begins = (then for prefix, then in _SPARE.items() if name.startswith(prefix))
        tell(f"{why} {next(begins, 'It is made again.')}")
    return set(damaged)


def _from_checkpoint(folder: ModelFolder, lost: set[str], config: Training) -> None:
    """Put back what the newest checkpoint knows."""
    trained = folder.has("weights.safetensors")
    if "best.safetensors" in lost and not trained:
        _forget_after_best(folder)
    state, rows, _ = newest_state(folder)
    if "history.jsonl" in lost and state and len(rows) == state.epoch:
        folder.write_history(rows)
    if "weights.safetensors" in lost and state and ended(rows, state, config):
        keep_chosen(folder, state.tensors, config)


def _forget_after_best(folder: ModelFolder) -> None:
    """Take up training where the best weights, which are lost, come about again."""
    _, rows, _ = newest_state(folder)
    best = (best_epoch(rows), 0) if rows else (0, 0)
    for place in folder.checkpoints():
        if place > best:
            folder.drop_checkpoint(place)
    state, _, _ = newest_state(folder)
    if state and (state.epoch, state.step) == best:
        keep_best(folder, state)
