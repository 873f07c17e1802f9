"""IDX files, the format of MNIST, read within known bounds.

A file is a header of big-endian 32-bit words, then the values, one byte each::

    0x0000 08 d | size 1 | ... | size d | values          d = 3 for images, 1 for labels

A header is checked before it is used: its sizes are bounded before memory is allocated, and at most
one byte beyond them is read, so that neither a header of 2^31 images nor a gzip bomb costs memory.
"""

import gzip
import hashlib
import io
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aelab.errors import DataError

_MAX_BYTES = 2**30  # the largest published file, EMNIST byclass, has 0.55e9 values
_SIDES = range(2, 257)  # pixels; what the networks of the lab can be built for
_DEFLATE_LIMIT = 1032  # no deflate stream grows more than this many times
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class Idx:
    """One file in memory: ``values`` is ``(N, H, W)`` or ``(N,)``; the hash is of the raw bytes."""

    values: NDArray[np.uint8]
    sha256: str


def read_idx(path: Path, dims: int) -> Idx:
    """Read one file of ``dims`` dimensions, gzipped or not (by its content, not its name).

    Raises DataError, in one sentence that names the file, for anything but a whole and valid one.
    """
    try:
        if not path.is_file():  # a pipe or a device could block or never end
            raise bad(path, "is missing or is not a plain file")
        with path.open("rb") as file:
            stored = os.fstat(file.fileno()).st_size
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                return _parse(path, file, dims, least=stored, most=stored)
            with gzip.GzipFile(fileobj=file) as content:
                return _parse(path, content, dims, least=0, most=stored * _DEFLATE_LIMIT)
    except EOFError as error:
        raise bad(path, "is truncated: its gzip stream ends early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise bad(path, f"is a corrupt gzip file ({error})") from error
    except OSError as error:
        raise unreadable(path, error) from error


def _parse(
    path: Path, content: io.BufferedReader | gzip.GzipFile, dims: int, least: int, most: int
) -> Idx:
    """Header, then values; what is stored unpacks to between ``least`` and ``most`` bytes."""
    header = content.read(4 + 4 * dims)
    if header[:2] != b"\0\0":
        raise bad(path, "is not an IDX file (wrong magic number)")
    if header[2:3] != b"\x08":
        raise bad(path, "does not hold unsigned bytes (IDX type 0x08)", "convert it to bytes")
    if header[3:4] != bytes([dims]):
        raise bad(path, f"does not have {dims} dimension{'s' if dims > 1 else ''}")
    if len(header) < 4 + 4 * dims:
        raise bad(path, "is truncated inside its header")
    sizes: tuple[int, ...] = struct.unpack(f">{dims}I", header[4:])
    _check_sizes(path, sizes)
    size = math.prod(sizes)
    promised = len(header) + size
    if not least <= promised <= most:
        what = "is truncated" if promised > most else "is too long"
        raise bad(path, f"{what}: its header promises {promised:,} bytes")

    values = np.empty(size, dtype=np.uint8)
    view, position = values.data, 0
    while count := content.readinto(view[position : position + _CHUNK]):
        position += count
    if position < size:
        raise bad(path, f"is truncated: it has {position:,} of the {size:,} values it promises")
    if content.read(1):  # at the end of a gzip stream this also checks its CRC
        raise bad(path, f"inflates past the {promised:,} bytes that its header promises")
    digest = hashlib.sha256(header)
    digest.update(view)
    return Idx(values.reshape(sizes), digest.hexdigest())


def _check_sizes(path: Path, sizes: tuple[int, ...]) -> None:
    """Raise DataError for sizes out of bounds, before memory is allocated for them."""
    if sizes[0] == 0:
        raise bad(path, f"holds zero {'images' if len(sizes) > 1 else 'labels'}")
    if any(side not in _SIDES for side in sizes[1:]):
        what = " × ".join(str(side) for side in sizes[1:])
        low, high = _SIDES[0], _SIDES[-1]
        raise bad(path, f"has images of {what} pixels", f"use {low} to {high} pixels a side")
    if math.prod(sizes) > _MAX_BYTES:
        what = f"promises {math.prod(sizes):,} bytes, over the limit of {_MAX_BYTES:,}"
        raise bad(path, what, "if it is not damaged, use a part of it")


def printable(path: Path | str) -> str:
    """The path as text that can be printed: without control characters or encoding errors."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path))


def bad(path: Path, what: str, remedy: str = "get a fresh copy of it") -> DataError:
    """The error for a file or folder, as one sentence: which one, what is wrong, what to do."""
    return DataError(f"{printable(path)} {what}; {remedy}.")


def unreadable(path: Path, error: Exception) -> DataError:
    """The error for a file or folder that the system cannot read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return bad(path, f"cannot be read ({reason})", "check its path, its permissions and its disk")
