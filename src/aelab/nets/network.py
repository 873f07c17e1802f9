"""The settings of the network that the models of a pair share."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from aelab.config.base import Config
from aelab.config.ranges import Choice

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
