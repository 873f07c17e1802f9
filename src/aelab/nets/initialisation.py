"""Initial weights, from the seed alone."""

import math

from torch import nn

from aelab.randomness import stream


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
