"""Dense networks."""

import math
from itertools import pairwise

from torch import nn

from aelab.nets.matmul import Dense
from aelab.nets.network import ACTIVATIONS, Network, Size, network


@network("mlp")
def mlp(
    settings: Network, image_size: Size, outputs: int, latent_dim: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """Dense stacks D-hidden-outputs and d-hidden reversed-D."""
    pixels = math.prod(image_size)
    activation = ACTIVATIONS[settings.activation]

    def stack(*widths: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for inputs, units in pairwise(widths):
            layers += [Dense(inputs, units), activation()]
        return nn.Sequential(*layers[:-1])

    hidden = settings.hidden
    return stack(pixels, *hidden, outputs), stack(latent_dim, *reversed(hidden), pixels)
