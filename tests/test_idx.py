import contextlib
import gzip
import hashlib
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from aelab.data.idx import printable, read_idx
from aelab.errors import DataError
from tests.idx_files import Array, idx_bytes

IMAGES = npst.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(2, 9), st.integers(2, 9)))
LABELS = npst.arrays(np.uint8, st.tuples(st.integers(1, 40)))
ARRAYS = st.one_of(IMAGES, LABELS)
# Every example writes the whole file anew, so the folder can serve all of them.
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def header(*sizes: int, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)


@same_folder
@given(values=ARRAYS, packed=st.booleans())
def test_any_array_round_trips(tmp_path: Path, values: Array, packed: bool) -> None:
    raw = idx_bytes(values)
    idx = read_idx(write(tmp_path, gzip.compress(raw) if packed else raw), values.ndim)
    assert np.array_equal(idx.values, values)
    assert idx.values.shape == values.shape
    assert idx.values.flags.c_contiguous
    assert idx.sha256 == hashlib.sha256(raw).hexdigest()


@same_folder
@given(values=ARRAYS, packed=st.booleans(), data=st.data())
def test_any_truncation_is_a_data_error(
    tmp_path: Path, values: Array, packed: bool, data: st.DataObject
) -> None:
    content = gzip.compress(idx_bytes(values)) if packed else idx_bytes(values)
    path = write(tmp_path, content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError):
        read_idx(path, values.ndim)


@same_folder
@given(values=ARRAYS, data=st.data())
def test_any_changed_header_byte_is_a_data_error(
    tmp_path: Path, values: Array, data: st.DataObject
) -> None:
    content = bytearray(idx_bytes(values))
    place = data.draw(st.integers(0, 3 + 4 * values.ndim))
    content[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DataError):
        read_idx(write(tmp_path, bytes(content)), values.ndim)


@same_folder
@given(values=ARRAYS, data=st.data())
def test_any_damage_to_a_gzip_is_found_or_harmless(
    tmp_path: Path, values: Array, data: st.DataObject
) -> None:
    content = bytearray(gzip.compress(idx_bytes(values)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    try:
        idx = read_idx(write(tmp_path, bytes(content)), values.ndim)
    except DataError:
        return
    assert np.array_equal(idx.values, values)


@same_folder
@given(content=st.binary(max_size=200), dims=st.sampled_from([1, 3]))
def test_no_bytes_raise_anything_but_a_data_error(
    tmp_path: Path, content: bytes, dims: int
) -> None:
    for raw in (content, gzip.compress(content), header(2, 2, 2)[: 4 * dims] + content):
        with contextlib.suppress(DataError):
            read_idx(write(tmp_path, raw), dims)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "wrong magic"),
        (b"<html>no such file</html>", "wrong magic"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "wrong magic"),
        (header(1, 2, 2, kind=0x0D) + bytes(16), "unsigned bytes"),
        (header(4) + bytes(4), "3 dimensions"),
        (header(1, 2, 2)[:9], "inside its header"),
        (header(0, 28, 28), "zero images"),
        (header(2, 2, 2) + bytes(7), "truncated"),
        (header(2, 2, 2) + bytes(9), "too long"),
        (header(4, 1, 28) + bytes(4 * 28), "1 × 28 pixels"),
        (header(1, 257, 2) + bytes(514), "257 × 2 pixels"),
        (header(2**31, 28, 28), "promises 1,683,627,180,032 bytes"),
        (header(2**32 - 1, 2**32 - 1, 2**32 - 1), "pixels"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_each_fault_is_one_sentence(
    tmp_path: Path, content: bytes, words: str, packed: bool
) -> None:
    path = write(tmp_path, gzip.compress(content) if packed else content)
    with pytest.raises(DataError) as caught:
        read_idx(path, 3)
    text = str(caught.value)
    if packed:
        words = words.replace("too long", "inflates past the 24 bytes")
    assert words in text
    assert text.startswith(str(path))
    assert "; " in text
    assert text.endswith(".")
    assert "\n" not in text
    assert caught.value.exit_code == 3


def test_zero_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds zero labels"):
        read_idx(write(tmp_path, header(0)), 1)


def test_a_gzip_with_a_wrong_checksum(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(idx_bytes(np.ones((3, 4, 4), np.uint8))))
    content[-8] ^= 1  # of the CRC at the end
    with pytest.raises(DataError, match=r"corrupt gzip file.*CRC"):
        read_idx(write(tmp_path, bytes(content)), 3)


def test_missing_file_folder_and_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "nothing", tmp_path, tmp_path / "pipe"):
        with pytest.raises(DataError, match="missing or is not a plain file"):
            read_idx(path, 3)


def peak_bytes(path: Path) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_idx(path, 3)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_costs_no_memory(tmp_path: Path) -> None:
    zeros = gzip.compress(bytes(2**24), 9)  # members of a gzip file may be strung together
    path = write(tmp_path, gzip.compress(header(10, 28, 28)) + zeros * 256)  # 4 GiB
    assert path.stat().st_size < 5e6
    assert peak_bytes(path) < 2e6
    with pytest.raises(DataError, match="inflates past the 7,856 bytes"):
        read_idx(path, 3)


@pytest.mark.parametrize("count", [2**31, 2**32 - 1, 1_000_000])
@pytest.mark.parametrize("packed", [False, True])
def test_a_header_that_lies_costs_no_memory(tmp_path: Path, count: int, packed: bool) -> None:
    raw = header(count, 28, 28) + bytes(5000)
    assert peak_bytes(write(tmp_path, gzip.compress(raw) if packed else raw)) < 2e6


def test_shown_has_no_control_characters() -> None:
    assert printable("a\x1b[31m\n\udcff/é") == "a�[31m��/é"
