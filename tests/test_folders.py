import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aelab.data.download import MNIST_SHA256
from aelab.data.folders import find_idx, read_set
from aelab.data.sources import load_data
from aelab.errors import DataError
from tests.idx_files import Array, hashes, idx_bytes, make_set, write_set

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def dotted(role: str) -> str:
    return role.replace("-idx", ".idx")


def read(folder: Path) -> tuple[Array, ...]:
    found = find_idx(folder, {})
    return read_set({role: str(path) for role, path in found.files.items()}, found.sha256)


@pytest.mark.parametrize(
    "rename",
    [
        lambda role: role,
        dotted,
        lambda role: f"{role}.gz",
        lambda role: f"{dotted(role)}.gz",
        lambda role: f"{role}/{role}",
        lambda role: f"{dotted(role)}/{role}.gz",
        lambda role: role.replace("t10k", "test"),
        lambda role: f"kmnist-{role.replace('t10k', 'test')}.gz",
    ],
)
def test_every_layout_gives_the_same_arrays(tmp_path: Path, rename: Callable[[str], str]) -> None:
    arrays = write_set(tmp_path, rename=rename)
    (tmp_path / "README.md").write_text("Not data.")
    (tmp_path / "train-images.png").mkdir()
    assert find_idx(tmp_path, {}).sha256 == hashes(arrays)
    assert find_idx(tmp_path, {}).notes == ()
    for ours, theirs in zip(read(tmp_path), arrays.values(), strict=True):
        assert np.array_equal(ours, theirs)


def test_emnist_images_are_turned(tmp_path: Path) -> None:
    arrays = make_set()
    stored = {
        role: values.transpose(0, 2, 1).copy() if values.ndim == 3 else values
        for role, values in arrays.items()
    }
    name = "emnist-letters-{}.gz"
    write_set(tmp_path, stored, lambda role: name.format(role.replace("t10k", "test")))
    images, _, test_images, _ = read(tmp_path)
    assert np.array_equal(images, arrays[IMAGES])
    assert np.array_equal(test_images, arrays[TEST_IMAGES])


def test_two_collections_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    write_set(tmp_path, rename=lambda role: f"emnist-digits-{role}")
    write_set(tmp_path, rename=lambda role: f"emnist-letters-{role}")
    with pytest.raises(DataError, match=r"more than one data set \(emnist-digits-\*, emnist-le"):
        find_idx(tmp_path, {})


def write_kaggle(folder: Path) -> dict[str, Array]:
    """The archive of hojjatk/mnist-dataset: each file flat with a dot and nested without."""
    write_set(folder, rename=dotted)
    return write_set(folder, rename=lambda role: f"{role}/{role}")


@pytest.mark.parametrize("damaged", [f"{IMAGES}/{IMAGES}", dotted(IMAGES)])
@pytest.mark.parametrize("damage", ["cut", "empty", "magic", "pixel"])
def test_the_sound_one_of_two_kaggle_copies_is_used(
    tmp_path: Path, damaged: str, damage: str
) -> None:
    arrays = write_kaggle(tmp_path)
    assert find_idx(tmp_path, {}).notes == ()
    path = tmp_path / damaged
    content = bytearray(path.read_bytes())
    if damage == "pixel":  # nothing in the format tells, only the checksum does
        content[100] ^= 1
    elif damage == "magic":
        content[2] = 9
    keep = {"cut": -1, "empty": 0}.get(damage, len(content))
    path.write_bytes(content[:keep])
    found = find_idx(tmp_path, hashes(arrays))
    assert found.sha256 == hashes(arrays)
    assert found.files[IMAGES] != path
    [note] = found.notes
    assert damaged in note
    assert f"{found.files[IMAGES]} was used instead." in note
    if damage == "pixel":
        with pytest.raises(DataError, match="copies of one file that differ"):
            find_idx(tmp_path, {})


def test_two_damaged_copies_are_both_named(tmp_path: Path) -> None:
    write_kaggle(tmp_path)
    for name in (f"{LABELS}/{LABELS}", dotted(LABELS)):
        (tmp_path / name).write_bytes(b"\0\0")
    with pytest.raises(DataError) as caught:
        find_idx(tmp_path, {})
    assert f"{LABELS}/{LABELS} " in str(caught.value)
    assert f"{dotted(LABELS)} " in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / TEST_LABELS).unlink()
    with pytest.raises(DataError, match=f"has no {TEST_LABELS}; a data set is four IDX files"):
        find_idx(tmp_path, {})


@pytest.mark.parametrize(
    ("name", "words"),
    [("nothing", "No such file"), ("file", "Not a directory"), ("a\0b", "cannot be read")],
)
def test_what_is_no_folder(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=words):
        find_idx(tmp_path / name, {})


@pytest.mark.parametrize("nested", [False, True])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, nested: bool) -> None:
    folder, outside = tmp_path / "data", tmp_path / "data-outside"
    write_set(folder, rename=lambda role: f"{role}/{role}" if nested else role)
    write_set(outside)
    link = folder / IMAGES / IMAGES if nested else folder / IMAGES
    link.unlink()
    link.symlink_to(outside / IMAGES)
    with pytest.raises(DataError, match=f"{IMAGES} is a link that leads out of its folder"):
        find_idx(folder, {})


def test_a_linked_folder_inside_leads_out_too(tmp_path: Path) -> None:
    write_set(tmp_path / "outside")
    folder = tmp_path / "data"
    write_set(folder)
    (folder / dotted(IMAGES)).symlink_to(tmp_path / "outside", target_is_directory=True)
    with pytest.raises(DataError, match="is a link that leads out"):
        find_idx(folder, {})


def test_links_within_and_to_the_folder_are_fine(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    arrays = write_set(folder)
    (folder / dotted(IMAGES)).symlink_to(IMAGES)
    (folder / f"{LABELS}.gz").symlink_to(f"{LABELS}.gz")  # a loop is no file
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    assert find_idx(tmp_path / "link", {}).sha256 == hashes(arrays)


def test_a_folder_or_file_without_permission() -> None:
    """Root may read anything, so the attempt is made by another user."""
    # Not tmp_path: its parents are closed to others.
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        modes = {"closed": 0o000, "no-search": 0o444, "no-list": 0o111, "file": 0o755}
        for name, mode in modes.items():
            write_set(Path(root, name))
            Path(root, name, IMAGES).chmod(0o000 if name == "file" else 0o644)
            Path(root, name).chmod(mode)
        script = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from aelab.errors import DataError\n"
            "from aelab.data.folders import find_idx\n"
            "if os.getuid() == 0:\n"
            "    os.setuid(65534)\n"
            "for name in sys.argv[2:]:\n"
            "    try:\n"
            "        find_idx(Path(sys.argv[1], name), {})\n"
            "    except DataError as error:\n"
            "        print(error)\n"
        )
        try:
            done = subprocess.run(
                [sys.executable, "-c", script, root, *modes],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        finally:
            for name in modes:
                Path(root, name).chmod(0o755)
        reasons = done.stdout.splitlines()
        assert len(reasons) == len(modes)
        for name, reason in zip(modes, reasons, strict=True):
            assert reason.startswith(str(Path(root, name)))
            assert "cannot be read (Permission denied); check its path, its permissions" in reason


def spoil(arrays: dict[str, Array], fault: str) -> str:
    """Put one fault into ``arrays`` and return what the error must say."""
    if fault == "labels short":
        arrays[LABELS] = arrays[LABELS][:-1]
        return f"{LABELS} has 119 labels for 120 images"
    if fault == "test images short":
        arrays[TEST_IMAGES] = arrays[TEST_IMAGES][:-2]
        return f"{TEST_LABELS} has 40 labels for 38 images"
    if fault == "size":
        arrays[TEST_IMAGES] = arrays[TEST_IMAGES].transpose(0, 2, 1).copy()
        return f"{TEST_IMAGES} .*5 × 4 against 4 × 5 pixels"
    arrays[TEST_LABELS] = arrays[TEST_LABELS].copy()
    arrays[TEST_LABELS][7] = 10
    return (
        f"{TEST_LABELS} has the label 10, which no training image has; "
        "add training images of that class or leave it out of the test part"
    )


@pytest.mark.parametrize("fault", ["labels short", "test images short", "size", "stray test label"])
def test_files_that_do_not_fit_together(tmp_path: Path, fault: str) -> None:
    arrays = make_set()
    words = spoil(arrays, fault)
    write_set(tmp_path, arrays)
    with pytest.raises(DataError, match=words):
        read(tmp_path)


def test_the_test_part_may_lack_a_class(tmp_path: Path) -> None:
    arrays = make_set()
    kept = ~np.isin(arrays[TEST_LABELS], [3, 8])
    write_set(tmp_path, arrays | {role: arrays[role][kept] for role in (TEST_IMAGES, TEST_LABELS)})
    data = load_data(str(tmp_path))
    assert data.classes == 10
    assert np.unique(data.test.labels).tolist() == [0, 1, 2, 4, 5, 6, 7, 9]
    assert data.split.endswith("the folder's own test files, without an image of 3, 8")


def test_a_file_that_changed_is_not_used(tmp_path: Path) -> None:
    write_set(tmp_path, rename=lambda role: f"{role}.gz")
    found = find_idx(tmp_path, {})
    files = {role: str(path) for role, path in found.files.items()}
    path = found.files[IMAGES]
    raw = bytearray(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(raw, 9))  # other bytes on disk, the same data
    read_set(files, found.sha256)
    raw[-1] ^= 1
    path.write_bytes(gzip.compress(raw))
    with pytest.raises(DataError, match=f"{IMAGES}.gz has changed since the run began"):
        read_set(files, found.sha256)
    shutil.rmtree(tmp_path)
    with pytest.raises(DataError, match="is missing"):
        read_set(files, found.sha256)


def test_real_mnist(mnist_folder: Path) -> None:
    assert find_idx(mnist_folder, {}).sha256 == MNIST_SHA256
    assert idx_bytes(read(mnist_folder)[3])[:8] == bytes([0, 0, 8, 1, 0, 0, 0x27, 0x10])
