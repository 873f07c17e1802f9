"""How short the weights may be for the page to show what PyTorch shows."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from aelab.explorer.pack import Kind, shortened

TOLERANCE = 1e-3
CHECKED = 2_000  # inputs


@torch.inference_mode()
def kind_for(network: nn.Module, inputs_BD: Tensor, shown: Callable[[Tensor], Tensor]) -> Kind:
    """float16 for the large tensors of ``network``, or a byte more each where that is not enough.

    Enough is 1e-3 in whatever ``shown`` makes of the network's outputs for every one of the inputs.
    """
    inputs_BD = inputs_BD[:CHECKED]
    short = copy.deepcopy(network)
    for parameter in short.parameters():
        parameter.copy_(torch.from_numpy(shortened(parameter.cpu().numpy(), "float16")))
    difference = (shown(short(inputs_BD)) - shown(network(inputs_BD))).abs().max()
    return "float16" if float(difference) <= TOLERANCE else "float24"
