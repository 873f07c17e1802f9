"""A network of your own for any model: python examples/network.py

In a file of src/aelab/nets/ or in a plugin, the command line has it as --network.kind residual.
"""

import math

from torch import Tensor, nn

import aelab
from aelab.nets import Network, network


class Block(nn.Module):
    """x + f(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x_BH: Tensor) -> Tensor:
        """Shape ``(B, H)``, as the input."""
        changed: Tensor = self.layers(x_BH)
        return x_BH + changed


@network("residual")
def residual(
    settings: Network, image_size: tuple[int, int], outputs: int, latent_dim: int
) -> tuple[nn.Module, nn.Module]:
    """A residual block for each hidden layer, all of the first one's width."""
    pixels, width = math.prod(image_size), settings.hidden[0]

    def stack(inputs: int, last: int) -> nn.Module:
        blocks = [Block(width) for _ in settings.hidden]
        return nn.Sequential(nn.Linear(inputs, width), *blocks, nn.Linear(width, last))

    return stack(pixels, outputs), stack(latent_dim, pixels)


if __name__ == "__main__":
    data = aelab.load_data("bundled")
    experiment = aelab.preset("quick", network={"kind": "residual", "hidden": (128, 128)})
    model = experiment.build("vae-16")
    training = experiment.training("vae").model_copy(update={"epochs": 5})
    for epoch in aelab.fit(model, data, training, seed=0):
        print(f"epoch {epoch.index}: −ELBO {epoch.validation.total:.1f} nats on validation images")
