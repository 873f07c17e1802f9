"""Encoders and decoders: plain ``nn.Sequential`` stacks, chosen by name, initialised from a seed.

An encoder ends in ``outputs`` numbers an image (d for an AE, 2d for a Gaussian posterior); a
decoder begins with d and ends in one logit a pixel.
"""

from torch import nn

from aelab.nets.conv import conv
from aelab.nets.mlp import mlp
from aelab.nets.network import Builder, Network, Size


def build(
    network: Network, image_size: Size, outputs: int, latent_dim: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """The encoder ``(B, D) -> (B, outputs)`` and the decoder ``(B, latent_dim) -> (B, D)``."""
    return BUILDERS[network.kind](network, image_size, outputs, latent_dim)


BUILDERS: dict[str, Builder] = {"mlp": mlp, "conv": conv}
