"""Choice of the precision of the embedded weights."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from aelab.explorer.pack import Kind, shortened

TOLERANCE = 1e-3
MAX_INPUTS = 2_000


@torch.inference_mode()
def kind_for(network: nn.Module, inputs_BD: Tensor, output: Callable[[Tensor], Tensor]) -> Kind:
    """The precision of a network's large tensors: float16 if that is precise enough, else float24.

    Args:
        network: The network.
        inputs_BD: Inputs to compare on; at most 2,000 are used.
        output: What the page makes of the network's outputs. It may differ by at most 1e-3.
    """
    inputs_BD = inputs_BD[:MAX_INPUTS]
    short = copy.deepcopy(network)
    for parameter in short.parameters():
        parameter.copy_(torch.from_numpy(shortened(parameter.cpu().numpy(), "float16")))
    difference = (output(short(inputs_BD)) - output(network(inputs_BD))).abs().max()
    return "float16" if float(difference) <= TOLERANCE else "float24"
