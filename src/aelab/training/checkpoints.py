"""What a training writes: checkpoints, the weights of the best epoch, the final weights.

A checkpoint holds the state of the loop and the history up to it, which is all a resume needs.
"""

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from aelab.errors import RunError
from aelab.runs.models import ModelFolder
from aelab.training.records import State
from aelab.training.settings import Training

_HISTORY = "history"  # JSON as bytes, among the tensors


@contextlib.contextmanager
def before_sigterm(action: Callable[[], None]) -> Iterator[None]:
    """Within it SIGTERM calls ``action`` first, and then ends the process as it would have."""

    def end(*_: object) -> None:
        action()
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGTERM)
        sys.exit(128 + signal.SIGTERM)  # if the handler before returns: the caller must not go on

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def ended(rows: list[dict[str, Any]], config: Training) -> bool:
    """Whether training is over, by the number of epochs or by early stopping."""
    if not rows:
        return False
    patience = config.early_stopping
    stopped = patience is not None and len(rows) - best_epoch(rows) >= patience
    return stopped or len(rows) == config.epochs


def best_epoch(rows: list[dict[str, Any]]) -> int:
    """The epoch (from 1) with the lowest validation total under the loss weights of the last one.

    Totals under other weights, as in a KL warm-up, are of another objective.
    """
    weights = rows[-1]["validation"]["weights"]
    comparable = [row for row in rows if row["validation"]["weights"] == weights]
    best: int = min(comparable, key=lambda row: row["validation"]["total"])["epoch"]
    return best


def write_weights(folder: ModelFolder, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Write the weights among the tensors of a state."""
    weights = {key: value for key, value in tensors.items() if key.startswith("model/")}
    folder.write(name, safetensors.torch.save(weights))


def write_final(
    folder: ModelFolder, last: Mapping[str, Tensor], config: Training
) -> Mapping[str, Tensor]:
    """Write the final weights, those of the last epoch or, with early stopping, of the best one."""
    if config.early_stopping:
        last = folder.tensors("best.safetensors")
    write_weights(folder, "weights.safetensors", last)
    return last


def write_state(folder: ModelFolder, state: State, rows: list[dict[str, Any]]) -> None:
    """Write a checkpoint: a state, and the history up to it."""
    history = torch.frombuffer(bytearray(json.dumps(rows).encode()), dtype=torch.uint8)
    data = safetensors.torch.save({**state.tensors, _HISTORY: history})
    folder.write_checkpoint(state.epoch, data)


def newest_state(
    folder: ModelFolder, fits: Callable[[State], bool] = lambda _: True
) -> tuple[State | None, list[dict[str, Any]], list[str]]:
    """The newest valid state, the history up to it, and what was wrong with newer ones.

    A checkpoint that is damaged or that ``fits`` refuses is skipped.
    """
    warnings: list[str] = []
    for epoch, name in reversed(folder.checkpoints().items()):
        try:
            tensors = folder.tensors(name)
            history = tensors.pop(_HISTORY, None)  # before format 2 it was in the folder only
            rows = folder.history()[:epoch] if history is None else _rows(history, epoch)
            state = State(epoch, tensors)
            if not fits(state):
                raise RunError(f"The checkpoint of epoch {epoch} is not one of this training.")
        except RunError as error:
            warnings.append(f"{error} Falling back to the checkpoint before it.")
            continue
        return state, rows, warnings
    return None, [], warnings


def _rows(history: Tensor, epoch: int) -> list[dict[str, Any]]:
    """The history in a checkpoint. Raises RunError if it is none, whatever the checksum says."""
    try:
        rows: list[dict[str, Any]] = json.loads(bytes(history.numpy()))
        for row in rows:
            float(row["seconds"]), float(row["validation"]["total"]), row["validation"]["weights"]
        if [int(row["epoch"]) for row in rows] == list(range(1, epoch + 1)):
            return rows
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise RunError(f"The checkpoint of epoch {epoch} holds no history.")
