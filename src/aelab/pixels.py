"""The data protocols: how stored grey levels become the pixels that a model is trained on.

``grey`` takes them as numbers in [0, 1]; ``dynamic`` draws each pixel anew at every presentation,
with the grey level as its probability (Salakhutdinov and Murray, 2008); ``static`` draws once.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aelab.randomness import numpy_stream

Protocol = Literal["grey", "dynamic", "static"]


def to_unit(images_BD: Tensor) -> Tensor:
    """uint8 images as float32 in [0, 1]."""
    return images_BD.to(torch.float32).mul_(1 / 255)


def binarise(images_BD: Tensor, generator: torch.Generator) -> Tensor:
    """One Bernoulli draw a pixel of uint8 images, as float32 0 or 1."""
    return torch.bernoulli(to_unit(images_BD), generator=generator)


def prepare(images_BD: Tensor, protocol: Protocol, generator: torch.Generator) -> Tensor:
    """A batch of uint8 images as the protocol presents it, float32; static ones are frozen."""
    return binarise(images_BD, generator) if protocol == "dynamic" else to_unit(images_BD)


def freeze(images: NDArray[np.uint8], seed: int, split: str) -> NDArray[np.uint8]:
    """One seeded draw of a whole split, as uint8 0 or 255, shape as given."""
    generator = numpy_stream(seed, "binarise", split)
    frozen = np.empty_like(images)
    for start in range(0, len(images), 5_000):  # bounded memory
        block = images[start : start + 5_000]
        frozen[start : start + 5_000] = 255 * (generator.random(block.shape) < block / 255)
    return frozen
