"""Encoders and decoders: plain ``nn.Sequential`` stacks, chosen by name, initialised from a seed.

An encoder ends in ``outputs`` numbers an image (d for an AE, 2d for a Gaussian posterior); a
decoder begins with d and ends in one logit a pixel.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from aelab.config import Config
from aelab.errors import AelabError
from aelab.products import Dense
from aelab.randomness import stream
from aelab.ranges import Choice

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
Size = tuple[int, int]
Builder = Callable[["Network", Size, int, int], tuple[nn.Sequential, nn.Sequential]]


class Network(Config):
    """The network that the models of a pair share."""

    kind: Literal["mlp", "conv"] = Field("mlp", description="Dense (mlp) or convolutional (conv).")
    hidden: Annotated[
        tuple[int, ...],
        Choice(((200,), (400,), (800,), (400, 200), (800, 400)), where=("kind", "mlp")),
        Choice(((16, 32), (32, 64), (64, 128)), where=("kind", "conv")),
    ] = Field(
        (400,),
        min_length=1,
        description="Widths of the hidden layers of the encoder, the decoder mirrors them "
        "(mlp: units, conv: channels, each layer halving the image).",
    )
    activation: Annotated[Literal["relu", "tanh", "gelu"], Choice(("relu", "tanh", "gelu"))] = (
        Field("relu", description="Nonlinearity of the hidden layers.")
    )


def build(
    network: Network, image_size: Size, outputs: int, latent_dim: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """The encoder ``(B, D) -> (B, outputs)`` and the decoder ``(B, latent_dim) -> (B, D)``."""
    return BUILDERS[network.kind](network, image_size, outputs, latent_dim)


def mlp(
    network: Network, image_size: Size, outputs: int, latent_dim: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """Dense stacks D-hidden-outputs and d-hidden reversed-D."""
    pixels = math.prod(image_size)
    activation = ACTIVATIONS[network.activation]

    def stack(*widths: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for inputs, units in pairwise(widths):
            layers += [Dense(inputs, units), activation()]
        return nn.Sequential(*layers[:-1])

    hidden = network.hidden
    return stack(pixels, *hidden, outputs), stack(latent_dim, *reversed(hidden), pixels)


def conv(
    network: Network, image_size: Size, outputs: int, latent_dim: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """Strided 4×4 convolutions that halve the image, mirrored by transposed ones."""
    factor = 2 ** len(network.hidden)
    height, width = image_size
    if height % factor or width % factor:
        raise AelabError(
            f"A conv network with {len(network.hidden)} layers needs image sides divisible by "
            f"{factor}, but the images are {height} × {width}: give fewer --network.hidden widths."
        )
    activation = ACTIVATIONS[network.activation]
    grid = (network.hidden[-1], height // factor, width // factor)
    encoder: list[nn.Module] = [nn.Unflatten(1, (1, height, width))]
    for inputs, channels in zip((1, *network.hidden), network.hidden, strict=False):
        encoder += [nn.Conv2d(inputs, channels, 4, stride=2, padding=1), activation()]
    encoder += [nn.Flatten(), Dense(math.prod(grid), outputs)]
    decoder: list[nn.Module] = [
        Dense(latent_dim, math.prod(grid)),
        activation(),
        nn.Unflatten(1, grid),
    ]
    backwards = (*reversed(network.hidden), 1)
    for inputs, channels in pairwise(backwards):
        decoder += [nn.ConvTranspose2d(inputs, channels, 4, stride=2, padding=1), activation()]
    return nn.Sequential(*encoder), nn.Sequential(*decoder[:-1], nn.Flatten())


BUILDERS: dict[str, Builder] = {"mlp": mlp, "conv": conv}


def initialise(module: nn.Module, seed: int) -> None:
    """Draw every weight from PyTorch's default distribution, U(±1/√fan_in), by its own stream.

    The stream is named after the parameter, so an AE and a VAE of one seed start from the same
    numbers wherever their networks agree: the pair differs in the model, not in the luck.
    """
    for name, layer in module.named_modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            continue
        # fan_in as torch.nn.init counts it: for a transposed convolution too, size(1) × kernel.
        bound = 1 / math.sqrt(layer.weight[0].numel())
        for part, parameter in layer.named_parameters(recurse=False):
            nn.init.uniform_(
                parameter, -bound, bound, generator=stream(seed, "weights", name, part)
            )
