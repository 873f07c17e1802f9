"""Writes IDX files for the tests, by a second reading of the format."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.uint8]


def idx_bytes(values: Array) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


def make_set(
    train: int = 120, test: int = 40, classes: int = 10, height: int = 4, width: int = 5
) -> dict[str, Array]:
    """A small data set by role; every image is unlike every other."""
    images = np.zeros((train + test, height, width), dtype=np.uint8)
    images.reshape(len(images), -1)[:, :2] = np.arange(train + test, dtype=">u2").view(
        (np.uint8, 2)
    )
    return {
        "train-images-idx3-ubyte": images[:train],
        "train-labels-idx1-ubyte": (np.arange(train) % classes).astype(np.uint8),
        "t10k-images-idx3-ubyte": images[train:],
        "t10k-labels-idx1-ubyte": (np.arange(test) % classes).astype(np.uint8),
    }


def write_set(
    folder: Path,
    arrays: dict[str, Array] | None = None,
    rename: Callable[[str], str] = lambda role: role,
) -> dict[str, Array]:
    """Write ``arrays`` under names that may end in ``.gz`` or lie in a folder; returns them."""
    arrays = make_set() if arrays is None else arrays
    for role, values in arrays.items():
        path = folder / rename(role)
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = idx_bytes(values)
        path.write_bytes(gzip.compress(raw, 1) if path.suffix == ".gz" else raw)
    return arrays


def hashes(arrays: dict[str, Array]) -> dict[str, str]:
    return {role: hashlib.sha256(idx_bytes(values)).hexdigest() for role, values in arrays.items()}
