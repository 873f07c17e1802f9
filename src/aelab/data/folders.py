"""A data set in IDX files: which file of a folder has which role, and whether all four fit.

Published archives differ in spelling (``-idx3-ubyte`` or ``.idx3-ubyte``), in compression and in
nesting; the Kaggle archive of MNIST holds each file twice, flat and in a folder of its own name.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aelab.data.idx import bad, printable, read_idx, unreadable
from aelab.errors import DataError

#: The four files of a data set by role, which is the file's name in MNIST, with the number of
#: dimensions. A file may have another name in its folder.
ROLES = {
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}

#: Training images ``(N, H, W)`` and labels ``(N,)``, then the test images and labels.
Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

_NAME = re.compile(
    r"(?P<collection>(?:\w+-)*?)(?P<part>train|t10k|test)-"
    r"(?P<kind>images(?=[-.]idx3)|labels(?=[-.]idx1))[-.](?P<type>idx[13]-ubyte)(?:\.gz)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Found:
    """The valid files of a folder by role; ``notes`` says which copies were not used and why."""

    files: dict[str, Path]
    sha256: dict[str, str]
    notes: tuple[str, ...]


def find_idx(folder: Path, known: Mapping[str, str]) -> Found:
    """Find the four files of the data set in ``folder`` and read each to check it.

    Names may have either spelling, ``t10k`` or ``test``, ``.gz``, and a collection's prefix
    (``emnist-digits-``); a file may lie in a folder of its own name. Of several copies the first
    valid one is used; if valid copies differ, the one whose SHA-256 is in ``known`` (by role).

    Raises:
        DataError: If a file is missing or damaged, or if copies differ and none is known.
    """
    collections: dict[str, dict[str, list[Path]]] = {}
    try:
        for path, collection, role in _idx_paths(folder):
            collections.setdefault(collection, {}).setdefault(role, []).append(path)
    except DataError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unreadable(folder, error) from error
    if len(collections) > 1:
        names = ", ".join(sorted(f"{name}*" for name in collections))
        what = f"holds more than one data set ({names})"
        raise bad(folder, what, "give each one a folder of its own")
    roles = next(iter(collections.values()), {})
    if missing := [role for role in ROLES if role not in roles]:
        what = f"has no {', no '.join(missing)}"
        raise bad(folder, what, "a data set is four IDX files, gzipped or not")
    notes: list[str] = []
    chosen = {role: _choose(roles[role], role, known.get(role), notes) for role in ROLES}
    files = {role: path for role, (path, _) in chosen.items()}
    return Found(files, {role: digest for role, (_, digest) in chosen.items()}, tuple(notes))


def read_set(files: Mapping[str, str], sha256: Mapping[str, str]) -> Arrays:
    """Read the four files (paths and hashes by role), each verified, all checked together.

    The test part may lack a class that the training part has. Raises DataError if counts within a
    part, image sizes or classes of the parts do not match.
    """
    paths = {role: Path(files[role]) for role in ROLES}
    arrays: list[NDArray[np.uint8]] = []
    for role, path in paths.items():
        idx = read_idx(path, ROLES[role])
        if idx.sha256 != sha256[role]:
            raise bad(path, "has changed since the run began", "name the same data by --data")
        # EMNIST stores each image column by column.
        turned = ROLES[role] == 3 and path.name.startswith("emnist-")
        arrays.append(idx.values.transpose(0, 2, 1) if turned else idx.values)
    images, labels, test_images, test_labels = arrays
    _, train_path, test_path, test_labels_path = paths.values()
    for path, ours, theirs in (
        (train_path, labels, images),
        (test_labels_path, test_labels, test_images),
    ):
        if len(ours) != len(theirs):
            what = f"has {len(ours):,} labels for {len(theirs):,} images"
            raise bad(path, what, "get labels and images from one data set")
    if images.shape[1:] != test_images.shape[1:]:
        pixels = " against ".join(f"{a.shape[1]} × {a.shape[2]}" for a in (test_images, images))
        what = f"does not have images of the size of the training images ({pixels} pixels)"
        raise bad(test_path, what, "get all four files from one data set")
    if len(untrained := np.setdiff1d(test_labels, labels)):
        what = f"has the label {untrained[0]}, which no training image has"
        remedy = "add training images of that class or leave it out of the test part"
        raise bad(test_labels_path, what, remedy)
    return images, labels, test_images, test_labels


def _choose(copies: list[Path], role: str, known: str | None, notes: list[str]) -> tuple[Path, str]:
    """The copy to use and its hash; adds to ``notes`` what was wrong with the others."""
    sound: dict[str, Path] = {}
    problems: list[str] = []
    for path in copies:
        try:
            sound.setdefault(read_idx(path, ROLES[role]).sha256, path)
        except DataError as error:
            problems.append(str(error).rstrip("."))
    if not sound:
        raise DataError(" and ".join(problems) + ".")
    if known is not None and known in sound:
        others = [path for digest, path in sound.items() if digest != known]
        problems += [f"{printable(path)} differs from the published file" for path in others]
        sound = {known: sound[known]}
    if len(sound) > 1:
        names = " and ".join(printable(path) for path in sound.values())
        raise DataError(f"{names} are copies of one file that differ; remove the wrong one.")
    [(digest, path)] = sound.items()
    notes += [f"{problem}: {printable(path)} was used instead." for problem in problems]
    return path, digest


def _idx_paths(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Each file that is named like an IDX file, with its collection's prefix and its role."""
    root = Path(os.path.realpath(folder))
    for entry in _named_like_idx(folder, root):
        for path in _named_like_idx(entry, root) if entry.is_dir() else [entry]:
            match = _NAME.fullmatch(path.name)
            if match and path.is_file():
                part = "train" if match["part"] == "train" else "t10k"
                yield path, match["collection"], f"{part}-{match['kind']}-{match['type']}"


def _named_like_idx(folder: Path, root: Path) -> Iterator[Path]:
    """The entries of ``folder`` with such a name, in order; a link out of ``root`` is refused."""
    for path in sorted(folder.iterdir()):
        if _NAME.fullmatch(path.name):
            if not Path(os.path.realpath(path)).is_relative_to(root):
                raise bad(path, "is a link that leads out of its folder", "put the file there")
            yield path
