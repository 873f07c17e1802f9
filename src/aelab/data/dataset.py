"""A data set in memory: three splits of images and labels."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aelab.errors import DataError

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, Part, Part] = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Images ``(N, H*W)`` as uint8 grey levels, and labels ``(N,)`` as classes from 0.

    Raises DataError for arrays of another type or shape.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        images, labels = (np.asarray(array) for array in (self.images, self.labels))
        if images.dtype != np.uint8 or images.ndim != 2:
            raise DataError(
                "Images must be grey levels from 0 to 255 as uint8 of shape (N, height * width), "
                f"not {images.dtype} of shape {images.shape}: convert and flatten them first."
            )
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1] or not len(labels):
            raise DataError(
                f"{len(images):,} images need as many integer labels and at least one, "
                f"not {labels.dtype} of shape {labels.shape}."
            )
        # torch shares the memory of arrays that are contiguous and writable.
        object.__setattr__(self, "images", np.require(images, requirements=["C", "W"]))
        object.__setattr__(self, "labels", labels.astype(np.int64, copy=False))

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Data:
    """A data set in memory, with what a report must say about it.

    Raises DataError if its parts do not fit ``image_size`` and ``classes``, or if there is nothing
    to learn: training images that are all the same.
    """

    train: Split
    validation: Split
    test: Split
    name: str  # "MNIST", "5,000 bundled digits" or the folder's name
    source: str  # "folder", "bundled", "cache" or "download"
    why: str  # which source, why this one, and which damaged copies were passed over
    image_size: tuple[int, int]  # height and width in pixels
    classes: int
    label_names: tuple[str, ...]  # by class, the label that the files use
    sha256: dict[str, str]  # MNIST's file name -> SHA-256 of the raw (decompressed) bytes
    split: str  # the sizes and how they were drawn, in words

    def __post_init__(self) -> None:
        height, width = self.image_size
        for part in PARTS:
            images, labels = getattr(self, part).images, getattr(self, part).labels
            if images.shape[1] != height * width:
                raise DataError(
                    f"The {part} images of {self.name} have {images.shape[1]:,} pixels, which is "
                    f"not {height} × {width}: correct image_size or the images."
                )
            if not 0 <= labels.min() <= labels.max() < self.classes:
                raise DataError(
                    f"The {part} labels of {self.name} go from {labels.min()} to {labels.max()}, "
                    f"not from 0 to {self.classes - 1}: correct classes or the labels."
                )
        first = self.train.images[0]
        if all(np.array_equal(image, first) for image in self.train.images):
            raise DataError(
                f"All training images of {self.name} are the same: training needs at least two "
                "different ones."
            )
