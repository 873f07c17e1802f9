"""The settings of the network that the models of a pair share, and the registry of networks."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, field_validator
from torch import nn

from aelab.config.base import Config
from aelab.config.ranges import Choice
from aelab.config.registry import Registry

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
Size = tuple[int, int]
Builder = Callable[["Network", Size, int, int], tuple[nn.Module, nn.Module]]
NETWORKS: Registry[Builder] = Registry("network")


def network(name: str) -> Callable[[Builder], Builder]:
    """Register a function that builds networks, as ``--network.kind``.

    The function takes the settings, the image size, the number of outputs of the encoder and the
    latent dimension. It returns an encoder ``(B, D) -> (B, outputs)`` and a decoder
    ``(B, latent_dim) -> (B, D)``, which ends in one logit for each pixel.

    Args:
        name: The name of the kind.

    Returns:
        A decorator for the function.

    Raises:
        AelabError: If the name cannot be used.
    """

    def register(builder: Builder) -> Builder:
        NETWORKS.register(name, builder, builder)
        return builder

    return register


def build(
    settings: "Network", image_size: Size, outputs: int, latent_dim: int
) -> tuple[nn.Module, nn.Module]:
    """The encoder ``(B, D) -> (B, outputs)`` and the decoder ``(B, latent_dim) -> (B, D)``."""
    return NETWORKS[settings.kind](settings, image_size, outputs, latent_dim)


class Network(Config):
    """The network that the models of a pair share."""

    kind: str = Field(
        "mlp", description="Dense (mlp), convolutional (conv), or another registered network."
    )
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

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in NETWORKS:
            raise ValueError(f"input should be {' or '.join(NETWORKS)}")
        return kind
