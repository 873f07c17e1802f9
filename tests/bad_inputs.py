"""Inputs that are damaged, impossible or nonsense, drawn from a seed: trials of make torture."""

import contextlib
import gzip
import shutil
import struct
import tomllib
import tracemalloc
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from aelab.data.sources import resolve_data
from aelab.errors import AelabError, DataError
from aelab.experiment.presets import load_toml, validate
from tests.idx_files import idx_bytes, make_set, write_set

if TYPE_CHECKING:
    from tests.torture import Ground

Rng = np.random.Generator
LABELS = ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")
MOST_MEMORY = 3e6  # bytes; the smallest of the files below that lie promises hundreds of times more


def damage(sound: bytes, rng: Rng) -> bytes:
    """The bytes with one bit flipped, or cut short."""
    return cut(sound, rng) if rng.random() < 0.5 else flipped(sound, rng)


def cut(sound: bytes, rng: Rng) -> bytes:
    """The bytes without some at the end."""
    return sound[: rng.integers(len(sound))]


def flipped(sound: bytes, rng: Rng) -> bytes:
    """The bytes with one bit flipped."""
    place, bit = int(rng.integers(len(sound))), int(rng.integers(8))
    return sound[:place] + bytes([sound[place] ^ 1 << bit]) + sound[place + 1 :]


def bad_idx(ground: "Ground", rng: Rng) -> str:
    """A damaged IDX file is refused by a DataError, or what is read has the shape it must have.

    A pixel that changed cannot be told in a data set whose checksum nobody knows.
    """
    folder = ground.folder / f"idx-{rng.integers(2**60)}"
    arrays = make_set()
    write_set(folder, arrays)
    role = str(rng.choice(list(arrays)))
    raw = bytearray(idx_bytes(arrays[role]))
    for _ in range(int(rng.integers(1, 4))):
        if len(raw) > 1 and rng.random() < 0.7:  # in the header, where most of the meaning is
            raw[rng.integers(min(16, len(raw)))] = int(rng.integers(256))
        else:
            raw = bytearray(damage(bytes(raw) or b"\0", rng))
    data = bytes(raw)
    if rng.random() < 0.5:
        data = gzip.compress(data, 1)
        if rng.random() < 0.5:
            data = damage(data, rng)
    (folder / role).write_bytes(data)
    try:
        found = resolve_data(str(folder)).load()
    except DataError:
        return "refused"
    finally:
        shutil.rmtree(folder)
    assert len(found.test.images) == len(found.test.labels) == len(arrays["t10k-labels-idx1-ubyte"])
    return "read, with a pixel or label changed"


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """Fail if what happens within takes more than MOST_MEMORY."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY, f"{peak / 1e6:.0f} MB"


def lie(raw: bytes, rng: Rng) -> bytes:
    """The file under a header that promises up to 2³² of everything, or nothing."""
    dims = raw[3]
    sizes = rng.choice([0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1], dims)
    return raw[:4] + struct.pack(f">{dims}I", *map(int, sizes)) + raw[4 + 4 * dims :]


def bomb(raw: bytes, rng: Rng) -> bytes:
    """The file, gzipped, with up to a gigabyte of zeros behind it."""
    zeros = gzip.compress(bytes(2**24), 9)  # members of a gzip file may be strung together
    return gzip.compress(raw) + zeros * int(rng.integers(1, 64))


def impossible_data(ground: "Ground", rng: Rng) -> str:
    """What no data set can have is refused in one sentence, and little memory is taken for it."""
    folder, arrays = ground.folder / f"impossible-{rng.integers(2**60)}", make_set()
    kind = rng.choice(["lie", "bomb", "stray label", "link"])
    role = LABELS[1] if kind == "stray label" else str(rng.choice(list(arrays)))
    if kind == "stray label":
        arrays[role] = arrays[role].copy()
        arrays[role][rng.integers(len(arrays[role]))] = rng.integers(10, 256)
    write_set(folder, arrays)
    path = folder / role
    if kind == "lie":
        path.write_bytes(lie(path.read_bytes(), rng))
    elif kind == "bomb":
        path.write_bytes(bomb(path.read_bytes(), rng))
    elif kind == "link":
        path.rename(ground.folder / f"outside-{folder.name}")
        path.symlink_to(ground.folder / f"outside-{folder.name}")
    said = ""
    with little_memory():
        try:
            resolve_data(str(folder)).load()
        except DataError as error:
            said = str(error)
    shutil.rmtree(folder)
    assert said.startswith(str(folder)), f"a {kind} in {role}: {said or 'not refused'}"
    assert "\n" not in said
    return f"{kind}: refused"


def one_bad_copy(ground: "Ground", rng: Rng) -> str:
    """Of the two copies in Kaggle's archive one is damaged: the other is used, and that is said.

    Where a damaged copy is a valid file too, nobody knows which is meant: that is refused.
    """
    folder = ground.folder / f"kaggle-{rng.integers(2**60)}"
    arrays = write_set(folder, rename=lambda role: role.replace("-idx", ".idx"))
    write_set(folder, arrays, rename=lambda role: f"{role}/{role}")
    role = str(rng.choice(list(arrays)))
    path = folder / (role.replace("-idx", ".idx") if rng.random() < 0.5 else f"{role}/{role}")
    path.write_bytes(damage(path.read_bytes(), rng))
    said = ""
    try:
        source = resolve_data(str(folder))
    except DataError as error:
        said = str(error)
    shutil.rmtree(folder)
    if said:
        assert "copies of one file that differ" in said
        return "refused, as both are valid"
    assert str(path) in source.why
    assert source.files[role] != str(path)
    return "the sound one used"


TOML = b"""preset = "recipe"
seed = 3
latent_dim = [16, 2]
pixels = "grey"

[network]
hidden = [400]

[vae]
beta = 1.0
epochs = 50
"""


def bad_toml(ground: "Ground", rng: Rng) -> str:
    """A configuration of random bytes is refused in one sentence, or it is a valid one."""
    raw = bytearray(TOML)
    for _ in range(int(rng.integers(1, 6))):
        place = int(rng.integers(len(raw)))
        end = min(len(raw), place + int(rng.integers(1, 12)))
        what = rng.integers(3)
        if what == 0:
            raw[place] = int(rng.integers(256))
        elif what == 1:
            del raw[place:end]
        else:
            raw[place:place] = raw[place:end]
    path = ground.folder / f"{rng.integers(2**60)}.toml"
    path.write_bytes(raw)
    try:
        experiment = load_toml(path)
    except AelabError:
        return "refused"
    finally:
        path.unlink()
    with contextlib.suppress(tomllib.TOMLDecodeError):
        validate(experiment.model_dump(mode="json"), "the same again")
    return "still valid"
