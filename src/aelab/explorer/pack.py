"""Packs arrays as text for a page: bytes grouped by significance, deflated, in base 85.

Float16 values barely compress. With all low bytes first and all high bytes after them they take
about a sixth less, because signs and exponents of neighbouring weights are similar.
"""

import string
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["uint8", "float16", "float24", "float32"]
#: Tensors of at most this many numbers stay float32.
SMALL = 16_384
#: The deflate level: 9 takes six times as long for a page that is 0.2% smaller.
LEVEL = 7
# No character that JSON or HTML has to escape; unpack.js has the same alphabet.
ALPHABET = string.digits + string.ascii_letters + "!#$%()*+-;=?@^_`{|}~,.:"


def pack(array: NDArray[Any], kind: Kind) -> dict[str, Any]:
    """A record of JSON types that ``unpack.js`` turns into a typed array."""
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = deflate.compress(_bytes(array, kind).T.tobytes()) + deflate.flush()
    return {"kind": kind, "length": len(data), "data": _base85(data)}


def pack_tensor(tensor: NDArray[Any], large: Kind) -> dict[str, Any]:
    """A network's tensor as ``large``, or as float32 if it is small."""
    return pack(tensor, "float32" if tensor.size <= SMALL else large)


def shortened(tensor: NDArray[Any], large: Kind) -> NDArray[np.float32]:
    """A tensor as it is after packing and unpacking, in float32."""
    if tensor.size <= SMALL or large == "float32":
        return tensor.astype(np.float32)
    if large == "float16":
        return tensor.astype(np.float16).astype(np.float32)
    short = np.zeros((tensor.size, 4), np.uint8)
    short[:, 1:] = _bytes(tensor, "float24")
    return short.view("<f4").astype(np.float32).reshape(tensor.shape)


def _bytes(array: NDArray[Any], kind: Kind) -> NDArray[np.uint8]:
    """The bytes of each number, the lowest first, shape ``(numbers, bytes)``."""
    if kind == "float24":  # float32 rounded to its upper three bytes
        bits = np.ascontiguousarray(array, "<f4").view("<u4").reshape(-1, 1) + np.uint32(0x80)
        return bits.view(np.uint8)[:, 1:]
    values = np.ascontiguousarray(array, np.dtype(kind).newbyteorder("<"))
    return values.reshape(-1, 1).view(np.uint8)


def _base85(data: bytes) -> str:
    """Five characters for four bytes; the data are padded with zeros."""
    words = np.frombuffer(data + bytes(-len(data) % 4), ">u4").astype(np.int64)
    digits = words[:, None] // 85 ** np.arange(4, -1, -1) % 85
    characters: NDArray[np.uint8] = np.frombuffer(ALPHABET.encode(), np.uint8)[digits]
    return characters.tobytes().decode()
