"""The digits: where they come from, and the one split into training, validation and test.

A data set is resolved once, in the parent process, which may download; what comes out is a small
record, and every worker process reads and verifies exactly the files that it names.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from aelab.download import MNIST_SHA256, fetch_mnist
from aelab.errors import DataError
from aelab.idx import bad, read_idx, shown
from aelab.layout import ROLES, find_idx
from aelab.randomness import numpy_stream

_BUNDLED_NAME = "5,000 bundled digits"
_BUNDLED_FILE = "mnist_5k.csv"
_BUNDLED_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"
_BUNDLED_HELD_OUT = 500  # for validation, and as many for test


@dataclass(frozen=True, eq=False)
class Split:
    """Images ``(N, H*W)`` as uint8 grey levels, and labels ``(N,)`` as classes from 0."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Data:
    """A data set in memory, with what a report must say about it."""

    train: Split
    validation: Split
    test: Split
    name: str  # "MNIST", "5,000 bundled digits" or the folder's name
    source: str  # "folder", "bundled", "cache" or "download"
    why: str  # one sentence: which source, and why this one
    image_size: tuple[int, int]  # height and width in pixels
    classes: int
    label_names: tuple[str, ...]  # by class, the label that the files use
    sha256: dict[str, str]  # file name -> SHA-256 of its raw (decompressed) bytes
    split: str  # the sizes and how they were drawn, in words


@dataclass(frozen=True)
class Source:
    """Where the data is, decided once; of plain JSON types (``Source(**asdict(source))``)."""

    kind: str
    name: str
    why: str
    files: dict[str, str]  # role -> absolute path; empty if bundled
    sha256: dict[str, str]  # role -> SHA-256 of the raw bytes, verified at every load

    def load(
        self, *, seed: int = 0, validation: int | None = None, train_size: int | None = None
    ) -> Data:
        """Read, verify and split the data.

        ``validation`` images are drawn by class from the training files (default: one sixth,
        10,000 of MNIST; 500 of the bundled digits). ``train_size`` keeps that many of the rest:
        the first ones, so that a smaller training set is a part of a larger one. The images are
        in an order in which every stretch holds the classes in proportion; the test files keep
        their own order. Raises DataError if a file is not what it was or the sizes cannot be had.
        """
        images, labels, test = _read_bundled() if self.kind == "bundled" else self._read()
        values, classes = np.unique(labels, return_inverse=True)
        order = _order_by_class(classes, seed)
        if test is None:
            if validation is None:
                validation = _BUNDLED_HELD_OUT
            chosen, order = np.split(order, [_BUNDLED_HELD_OUT])
            test_images, test_classes = images[chosen], classes[chosen]
            tested = "from the 5,000 digits, none of them in the official test set's role"
        else:
            ...
