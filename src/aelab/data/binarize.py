"""The data protocols: how stored grey levels become the pixels that a model is trained on.

``grey`` scales them to [0, 1]; ``dynamic`` draws each pixel from a Bernoulli distribution whenever
an image is used, with the grey level as its probability (Salakhutdinov and Murray, 2008);
``static`` draws once.
"""

from typing import Literal, final

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
    """Draw each pixel of uint8 images from a Bernoulli distribution; float32, 0 or 1."""
    return torch.bernoulli(to_unit(images_BD), generator=generator)


def prepare(images_BD: Tensor, protocol: Protocol, generator: torch.Generator) -> Tensor:
    """A batch of uint8 images as float32 pixels by the protocol; static images are drawn before."""
    return binarise(images_BD, generator) if protocol == "dynamic" else to_unit(images_BD)


@final
class Batches:
    """Batches of stored images as pixels by the protocol, written into reused arrays."""

    def __init__(self, images_u8: Tensor, protocol: Protocol) -> None:
        self.images_u8 = images_u8
        self.protocol = protocol
        self.buffers: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def __call__(self, index_B: Tensor, generator: torch.Generator) -> Tensor:
        """The images at ``index``, float32 ``(B, D)``, as :func:`prepare` returns them.

        The next batch of the same size overwrites the result, so that nothing is allocated.
        """
        if len(index_B) not in self.buffers:
            bytes_BD = self.images_u8.new_empty(len(index_B), self.images_u8.shape[1])
            grey_BD, drawn_BD = (torch.empty_like(bytes_BD, dtype=torch.float32) for _ in "xy")
            self.buffers[len(index_B)] = bytes_BD, grey_BD, drawn_BD
        bytes_BD, grey_BD, drawn_BD = self.buffers[len(index_B)]
        torch.index_select(self.images_u8, 0, index_B, out=bytes_BD)
        torch.mul(bytes_BD, 1 / 255, out=grey_BD)
        if self.protocol != "dynamic":
            return grey_BD
        return torch.bernoulli(grey_BD, generator=generator, out=drawn_BD)


def freeze(images: NDArray[np.uint8], seed: int, split: str) -> NDArray[np.uint8]:
    """Draw every pixel of a split once from the seed; uint8, 0 or 255, of the same shape."""
    generator = numpy_stream(seed, "binarise", split)
    frozen = np.empty_like(images)
    for start in range(0, len(images), 5_000):  # bounded memory
        block = images[start : start + 5_000]
        frozen[start : start + 5_000] = 255 * (generator.random(block.shape) < block / 255)
    return frozen
