"""What a training keeps on its way and at its end: checkpoints, the best weights, the chosen ones.

A checkpoint holds the state of the loop and the history up to it, so that it is all a resume needs.
"""

import contextlib
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, final

import safetensors.torch
import torch
from torch import Tensor

from aelab.errors import RunError
from aelab.runs.models import ModelFolder, Place
from aelab.training.records import State
from aelab.training.settings import Training

_HISTORY = "history"  # JSON as bytes, among the tensors


@final
class Due:
    """Says when a checkpoint is due: after epochs or minutes, and when the process is to end."""

    def __init__(self, epochs: int, minutes: float | None) -> None:
        self.epochs = epochs if minutes is None else 0
        self.seconds = math.inf if minutes is None else 60 * minutes
        self.to_end = False
        self.kept()

    def kept(self) -> None:
        """A checkpoint has been kept: the minutes begin anew."""
        self.next = time.monotonic() + self.seconds

    def __call__(self) -> bool:
        """Whether one is due wherever training stands; asked at every step."""
        return self.to_end or time.monotonic() >= self.next

    def at(self, state: State) -> bool:
        """Whether one is due at this state."""
        whole = not state.step and self.epochs > 0 and state.epoch % self.epochs == 0
        return whole or self()

    @contextlib.contextmanager
    def told_to_end(self) -> Iterator[None]:
        """Within it SIGTERM asks for a last checkpoint; the process ends when it is left."""
        before = signal.signal(signal.SIGTERM, lambda *_: setattr(self, "to_end", True))
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
        if self.to_end:
            signal.raise_signal(signal.SIGTERM)  # ends it as the signal would have
            sys.exit(128 + signal.SIGTERM)  # nothing after an untimely end may believe in the end


def ended(rows: list[dict[str, Any]], state: State | None, config: Training) -> bool:
    """Whether training is over: at an epoch's end, by the number of epochs or by patience."""
    if not rows or (state and state.step):
        return False
    patience = config.early_stopping
    stopped = patience is not None and len(rows) - best_epoch(rows) >= patience
    return stopped or len(rows) == config.epochs


def best_epoch(rows: list[dict[str, Any]]) -> int:
    """The epoch (from 1) with the lowest validation total, among those with today's weights.

    Totals under different weights, as in a KL warm-up, are different objectives.
    """
    weights = rows[-1]["validation"]["weights"]
    comparable = [row for row in rows if row["validation"]["weights"] == weights]
    best: int = min(comparable, key=lambda row: row["validation"]["total"])["epoch"]
    return best


def keep_best(folder: ModelFolder, state: State) -> None:
    """Keep the weights of the best epoch so far, for a training that may stop early."""
    folder.write("best.safetensors", _weights(state.tensors))


def keep_chosen(
    folder: ModelFolder, last: Mapping[str, Tensor], config: Training
) -> Mapping[str, Tensor]:
    """Keep the weights that a training gives, those of its last or of its best epoch."""
    if config.early_stopping:
        last = folder.tensors("best.safetensors")
    folder.write("weights.safetensors", _weights(last))
    return last


def _weights(tensors: Mapping[str, Tensor]) -> bytes:
    data: bytes = safetensors.torch.save(
        {name: value for name, value in tensors.items() if name.startswith("model/")}
    )
    return data


def write_state(folder: ModelFolder, state: State, rows: list[dict[str, Any]]) -> None:
    """Keep a checkpoint: a state, and the history up to it."""
    history = torch.frombuffer(bytearray(json.dumps(rows).encode()), dtype=torch.uint8)
    data = safetensors.torch.save({**state.tensors, _HISTORY: history})
    folder.write_checkpoint((state.epoch, state.step), data)


def newest_state(
    folder: ModelFolder, fits: Callable[[State], bool] = lambda _: True
) -> tuple[State | None, list[dict[str, Any]], list[str]]:
    """The newest state that verifies, the history up to it, and what was wrong with newer ones.

    A checkpoint that is damaged or that ``fits`` refuses is passed over.
    """
    warnings: list[str] = []
    for place in reversed(folder.checkpoints()):
        try:
            tensors = folder.checkpoint(place)
            history = tensors.pop(_HISTORY, None)  # before format 2 it stood in the folder only
            rows = folder.history()[: place[0]] if history is None else _rows(history, place)
            state = State(place[0], tensors)
            if not fits(state):
                raise RunError(f"The checkpoint of epoch {place[0]} is not one of this training.")
        except RunError as error:
            warnings.append(f"{error} Falling back to the checkpoint before it.")
            continue
        return state, rows, warnings
    return None, [], warnings


def _rows(history: Tensor, place: Place) -> list[dict[str, Any]]:
    """The history in a checkpoint. Raises RunError: a right checksum is no proof of sense."""
    try:
        rows = json.loads(bytes(history.numpy()))
    except (ValueError, TypeError, RecursionError):
        rows = None
    if not isinstance(rows, list) or list(map(_epoch, rows)) != list(range(1, place[0] + 1)):
        raise RunError(f"The checkpoint of epoch {place[0]} holds no history.")
    return rows


def _epoch(row: Any) -> int | None:
    """The number of the epoch that a record of the history is of; None if it is no record."""
    try:
        float(row["seconds"]), float(row["validation"]["total"]), row["validation"]["weights"]
        return int(row["epoch"])
    except (TypeError, ValueError, KeyError):
        return None
