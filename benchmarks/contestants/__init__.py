"""The contestants, one per file; each runs in its own process (benchmarks.worker).

``start(images, setting)`` makes a contestant. It has ``epoch()``, which trains one epoch, and
``weights()``, which returns its weights under the names of aelab's VAE, or None if there are none
to compare.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Weights = dict[str, NDArray[Any]]

NAMES = ("encoder.0", "encoder.2", "decoder.0", "decoder.2")  # of the layers of 784-400-d-400-784


@dataclass(frozen=True)
class Setting:
    """The settings of all contestants: the VAE 784-400-d of the original recipe."""

    latent_dim: int = 16
    hidden: int = 400
    batch_size: int = 64
    learning_rate: float = 1e-4
    seed: int = 0


class Contestant(Protocol):
    """One way of training the VAE."""

    def epoch(self) -> None:
        """Train for one epoch."""
        ...

    def weights(self) -> Weights | None:
        """The trained weights under aelab's names, ``(out, in)`` and ``(out,)``."""
        ...


def named(layers: list[tuple[NDArray[Any], NDArray[Any]]]) -> Weights:
    """Weights ``(out, in)`` and biases of the four layers, from the image back to the image."""
    return {
        f"{name}.{kind}": np.asarray(values)
        for name, layer in zip(NAMES, layers, strict=True)
        for kind, values in zip(("weight", "bias"), layer, strict=True)
    }
