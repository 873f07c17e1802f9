"""The device of training and evaluation, found by name before anything is trained."""

from typing import Literal

import torch

from aelab.errors import AelabError

Device = Literal["auto", "cpu", "cuda", "mps"]


def find_device(name: Device) -> torch.device:
    """The device to train on; ``auto`` takes CUDA where there is one, else the CPU.

    MPS is taken only when asked for: small networks gain nothing from it. Raises AelabError if
    there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not _is_here(name):
        raise AelabError(
            f"There is no {name} device here that torch can use: aelab doctor lists those there "
            "are, --device cpu always works."
        )
    return torch.device(name)


def evaluation_device(name: Device) -> torch.device:
    """The device to evaluate on: that of the training, or the CPU if it is not available.

    The CPU replaces MPS, which has no float64.
    """
    return torch.device("cuda" if name == "cuda" and torch.cuda.is_available() else "cpu")


def _is_here(name: Device) -> bool:
    if name == "cuda":
        return torch.cuda.is_available()
    return name == "cpu" or torch.backends.mps.is_available()
