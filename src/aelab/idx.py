"""IDX files, the format of MNIST: found in any published layout, read within known bounds.

A file is a header of big-endian 32-bit words, then the values, one byte each::

    0x0000 08 d | size 1 | ... | size d | values          d = 3 for images, 1 for labels

No header is believed before it is checked. Its sizes are bounded before any memory is taken, and
no more than one byte beyond what they promise is ever read, so neither a header of 2^31 images
nor a gzip bomb costs memory.
"""

import gzip
import hashlib
import math
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from aelab.errors import DataError

#: The four files of a data set by role, with the number of dimensions that each one has.
ROLES = {"train-images": 3, "train-labels": 1, "t10k-images": 3, "t10k-labels": 1}
FRESH_COPY = "get a fresh copy of it"

_MAX_BYTES = 2**30  # the largest published file, EMNIST byclass, has 0.55e9 values
_SIDES = range(2, 257)  # pixels; what the networks of the lab can be built for
_DEFLATE_LIMIT = 1032  # no deflate stream grows more than this many times
_CHUNK = 2**20
_NAME = re.compile(
    r"(?P<collection>(?:\w+-)*?)(?P<part>train|t10k|test)-"
    r"(?P<kind>images(?=[-.]idx3)|labels(?=[-.]idx1))[-.]idx[13]-ubyte(?:\.gz)?",
    re.ASCII,
)


@dataclass(frozen=True, eq=False)
class Idx:
    """One file in memory: ``values`` is ``(N, H, W)`` or ``(N,)``; the hash is of the raw bytes."""

    values: NDArray[np.uint8]
    sha256: str


@dataclass(frozen=True)
class Found:
    """The sound files of a folder by role; ``notes`` says which copies were passed over and why."""

    files: dict[str, Path]
    sha256: dict[str, str]
    notes: tuple[str, ...]


def shown(path: Path | str) -> str:
    """The path as text that is safe to print: no control characters, no broken encoding."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path))


def read_idx(path: Path, dims: int) -> Idx:
    """Read one file of ``dims`` dimensions, gzipped or not (the content tells, not the name).

    Raises DataError, in one sentence that names the file, for anything but a whole and valid one.
    """
    try:
        if not path.is_file():  # a pipe or a device could block or never end
            raise _bad(path, "is missing or is not a plain file")
        with path.open("rb") as file:
            stored = os.fstat(file.fileno()).st_size
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                return _parse(path, file, dims, stored, most=stored)
            with gzip.GzipFile(fileobj=file) as content:
                return _parse(path, content, dims, None, most=stored * _DEFLATE_LIMIT)
    except EOFError as error:
        raise _bad(path, "is truncated: its gzip stream ends early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _bad(path, f"is a corrupt gzip file ({error})") from error
    except OSError as error:
        raise unreadable(path, error) from error


def _parse(path: Path, content: BinaryIO, dims: int, stored: int | None, most: int) -> Idx:
    """Header, then values; ``stored`` is the exact size in bytes if known, ``most`` its bound."""
    header = content.read(4 + 4 * dims)
    if header[:2] != b"\0\0":
        raise _bad(path, "is not an IDX file (wrong magic number)")
    if header[2:3] != b"\x08":
        raise _bad(path, "does not hold unsigned bytes (IDX type 0x08)", "convert it to bytes")
    if header[3:4] != bytes([dims]):
        raise _bad(path, f"does not have {dims} dimension{'s' if dims > 1 else ''}")
    if len(header) < 4 + 4 * dims:
        raise _bad(path, "is truncated inside its header")
    sizes: tuple[int, ...] = struct.unpack(f">{dims}I", header[4:])
    _check_sizes(path, sizes)
    size = math.prod(sizes)
    promised = len(header) + size
    if promised > most or (stored is not None and promised < stored):
        what = "is truncated" if promised > most else "is too long"
        raise _bad(path, f"{what}: its header promises {promised:,} bytes")

    values = np.empty(size, dtype=np.uint8)
    view, position = memoryview(values), 0
    while count := content.readinto(view[position : position + _CHUNK]):  # type: ignore[attr-defined]
        position += count
    if position < size:
        raise _bad(path, f"is truncated: it has {position:,} of the {size:,} values it promises")
    if content.read(1):  # at the end of a gzip stream this also checks its CRC
        raise _bad(path, f"inflates past the {promised:,} bytes that its header promises")
    digest = hashlib.sha256(header)
    digest.update(view)
    return Idx(values.reshape(sizes), digest.hexdigest())


def _check_sizes(path: Path, sizes: tuple[int, ...]) -> None:
    """Refuse what the header promises before memory is taken for it."""
    if sizes[0] == 0:
        raise _bad(path, f"holds zero {'images' if len(sizes) > 1 else 'labels'}")
    if any(side not in _SIDES for side in sizes[1:]):
        what = " x ".join(str(side) for side in sizes[1:])
        low, high = _SIDES[0], _SIDES[-1]
        raise _bad(path, f"has images of {what} pixels", f"use {low} to {high} pixels a side")
    if math.prod(sizes) > _MAX_BYTES:
        what = f"promises {math.prod(sizes):,} bytes, over the limit of {_MAX_BYTES:,}"
        raise _bad(path, what, f"if that is its true size, cut it, else {FRESH_COPY}")


def find_idx(folder: Path, known: Mapping[str, str]) -> Found:
    """Find the four files of the data set in ``folder`` and read each to see that it is sound.

    Both spellings of a name (``-idx3-ubyte`` and ``.idx3-ubyte``), ``t10k`` or ``test``, gzipped
    or not, with a collection's prefix (``emnist-digits-``) or without one, flat or each in a
    folder of its own. Of several copies the first sound one is taken; where sound copies differ,
    the one whose SHA-256 is in ``known`` (by role). Raises DataError if there is no clear choice.
    """
    collections: dict[str, dict[str, list[Path]]] = {}
    for path, collection, role in _idx_paths(folder):
        collections.setdefault(collection, {}).setdefault(role, []).append(path)
    if len(collections) > 1:
        names = ", ".join(sorted(f"'{name}*'" for name in collections))
        what = f"holds more than one data set ({names})"
        raise _bad(folder, what, "move one of them to a folder of its own")
    roles = next(iter(collections.values()), {})
    if missing := [f"{role}-idx{dims}-ubyte" for role, dims in ROLES.items() if role not in roles]:
        what = f"has no {' and no '.join(missing)}"
        raise _bad(folder, what, "a data set is four IDX files, gzipped or not")
    files: dict[str, Path] = {}
    hashes: dict[str, str] = {}
    notes: list[str] = []
    for role in ROLES:
        files[role], hashes[role] = _choose(roles[role], role, known.get(role), notes)
    return Found(files, hashes, tuple(notes))


def _choose(copies: list[Path], role: str, known: str | None, notes: list[str]) -> tuple[Path, str]:
    """The copy to use and its hash; adds to ``notes`` what was wrong with the others."""
    sound: dict[str, Path] = {}
    problems: list[str] = []
    for path in copies:
        try:
            sound.setdefault(read_idx(path, ROLES[role]).sha256, path)
        except DataError as error:
            problems.append(str(error))
    if not sound:
        raise DataError(" and ".join(problems))
    if len(sound) > 1 and known in sound:
        others = [path for digest, path in sound.items() if digest != known]
        problems += [f"{shown(path)} differs from the published file" for path in others]
        sound = {known: sound[known]}
    if len(sound) > 1:
        names = " and ".join(shown(path) for path in sound.values())
        raise DataError(f"{names} are copies of one file that differ; remove the wrong one")
    [(digest, path)] = sound.items()
    notes += [f"{problem}, so {shown(path)} was used" for problem in problems]
    return path, digest


def _idx_paths(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Each file that is named like an IDX file, with its collection's prefix and its role."""
    root = Path(os.path.realpath(folder))
    for entry in _entries(folder):
        for path in [entry] if not _NAME.fullmatch(entry.name) else _unfold(entry, root):
            match = _NAME.fullmatch(path.name)
            if match and path.is_file():
                part = "train" if match["part"] == "train" else "t10k"
                yield path, match["collection"], f"{part}-{match['kind']}"


def _unfold(entry: Path, root: Path) -> list[Path]:
    """A file itself, or what a folder that is named like a file holds; nothing outside ``root``."""
    _stay_inside(entry, root)
    if not entry.is_dir():
        return [entry]
    inside = [path for path in _entries(entry) if _NAME.fullmatch(path.name)]
    for path in inside:
        _stay_inside(path, root)
    return inside


def _stay_inside(path: Path, root: Path) -> None:
    if not Path(os.path.realpath(path)).is_relative_to(root):
        raise _bad(path, "is a link that leads out of its folder", "put the file itself there")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError as error:
        raise _bad(folder, "does not exist", "check the path of the folder") from error
    except NotADirectoryError as error:
        raise _bad(folder, "is not a folder", "name the folder that holds the files") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unreadable(folder, error) from error


def unreadable(path: Path, error: Exception) -> DataError:
    """The error for a file or folder that the system does not let us read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return _bad(path, f"cannot be read ({reason})", "check its permissions and its disk")


def _bad(path: Path, what: str, remedy: str = FRESH_COPY) -> DataError:
    return DataError(f"{shown(path)} {what}; {remedy}")
