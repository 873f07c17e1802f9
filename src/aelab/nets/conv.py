"""Convolutional networks."""

import math
from itertools import pairwise

from torch import nn

from aelab.errors import AelabError
from aelab.nets.matmul import Dense
from aelab.nets.network import ACTIVATIONS, Network, Size, network


@network("conv")
def conv(
    settings: Network, image_size: Size, outputs: int, latent_dim: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """Strided 4×4 convolutions that halve the image, mirrored by transposed ones."""
    factor = 2 ** len(settings.hidden)
    height, width = image_size
    if height % factor or width % factor:
        raise AelabError(
            f"A conv network with {len(settings.hidden)} layers needs image sides divisible by "
            f"{factor}, but the images are {height} × {width}: give fewer --network.hidden widths."
        )
    activation = ACTIVATIONS[settings.activation]
    grid = (settings.hidden[-1], height // factor, width // factor)
    encoder: list[nn.Module] = [nn.Unflatten(1, (1, height, width))]
    for inputs, channels in zip((1, *settings.hidden), settings.hidden, strict=False):
        encoder += [nn.Conv2d(inputs, channels, 4, stride=2, padding=1), activation()]
    encoder += [nn.Flatten(), Dense(math.prod(grid), outputs)]
    decoder: list[nn.Module] = [
        Dense(latent_dim, math.prod(grid)),
        activation(),
        nn.Unflatten(1, grid),
    ]
    backwards = (*reversed(settings.hidden), 1)
    for inputs, channels in pairwise(backwards):
        decoder += [nn.ConvTranspose2d(inputs, channels, 4, stride=2, padding=1), activation()]
    return nn.Sequential(*encoder), nn.Sequential(*decoder[:-1], nn.Flatten())
