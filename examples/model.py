"""A model of your own, compared with the AE: python examples/model.py

In a file of src/aelab/models/, or in a package with the entry point ``aelab.plugins``, the command
line has it as well: aelab run --models ae sparse --sparse.strength 1
"""

from typing import final

import torch
from pydantic import Field
from torch import Tensor

import aelab
from aelab.losses import Batch, Loss
from aelab.models import Autoencoder, Objective, model


@final
@model("sparse", title="Sparse AE")
class SparseAE(Autoencoder):
    """An AE with an L1 penalty on its codes."""

    class Config(Objective):
        """The weight of the penalty."""

        strength: float = Field(0.1, ge=0, description="Weight of the L1 term.")

    config: Config

    def weights(self, epoch: float) -> dict[str, float]:  # noqa: ARG002
        """The weights of the terms; a term without one counts once."""
        return {"sparsity": self.config.strength}

    def encode(self, x_BD: Tensor) -> Tensor:
        """The code ``(B, Z)`` of images ``(B, D)`` in [0, 1]."""
        z_BZ: Tensor = self.encoder(x_BD)
        return z_BZ

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:  # noqa: ARG002
        """Reconstruction in nats per image, and the L1 norm of the code."""
        z_BZ = self.encode(batch.x)
        terms = {
            "reconstruction": self.reconstruction(self.decode(z_BZ), batch.x),
            "sparsity": z_BZ.abs().sum(-1),
        }
        return Loss(terms, self.weights(epoch))


if __name__ == "__main__":
    experiment = aelab.preset(
        "quick", models=("ae", "sparse"), latent_dim=(8,), ae={"epochs": 5}, sparse={"epochs": 5}
    )
    run = aelab.run_lab(experiment)
    print(f"The comparison: {run.path / 'report.html'}")
