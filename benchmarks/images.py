"""The training images of the benchmark."""

from functools import cache

import numpy as np

from aelab.data.dataset import Data
from aelab.data.sources import load_data
from benchmarks.contestants import Images


@cache
def data(folder: str) -> Data:
    """MNIST as the lab splits it."""
    return load_data(folder)


def repeated(folder: str, count: int) -> Images:
    """``count`` training images, repeated if there are fewer."""
    images = data(folder).train.images
    return np.ascontiguousarray(np.resize(images, (count, images.shape[1])))
