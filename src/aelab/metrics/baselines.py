"""The baselines: PCA of the same size, and raw pixels.

Shape legend: D pixels, K components.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from aelab.data.binarize import Protocol
from aelab.data.dataset import Data
from aelab.errors import AelabError
from aelab.losses import Batch
from aelab.metrics.context import BaseContext
from aelab.metrics.evaluation import Evaluation, evaluate_metrics
from aelab.models import Capability

BASELINES = {"pca": "PCA", "pixels": "Raw pixels"}


def require_components(components: int, images: int, pixels: int) -> None:
    """Raise AelabError if PCA of so many images of so many pixels has fewer components."""
    if components > (most := min(images, pixels)):
        raise AelabError(
            f"PCA of {images:,} training images of {pixels:,} pixels has no {components} "
            f"components: choose --latent-dim of at most {most}, or leave PCA out by --baselines "
            "pixels."
        )


@final
@dataclass(kw_only=True, eq=False)
class PcaBaseline(BaseContext):
    """PCA fitted to the training images: the linear autoencoder of least squared error."""

    latent_dim: int

    own_capabilities = frozenset[Capability]({"codes", "pixels"})

    @cached_property
    def fitted(self) -> tuple[Tensor, Tensor]:
        """The mean image ``(D,)`` and the exact components ``(K, D)`` by variance, in float64."""
        count, pixels = self.images("train").shape
        require_components(self.latent_dim, count, pixels)
        total_D = torch.zeros(pixels, dtype=torch.float64)
        moment_DD = torch.zeros(pixels, pixels, dtype=torch.float64)
        for batch in self.batches("train"):  # scikit-learn would hold all images in float64
            x_BD = batch.x.double()
            total_D += x_BD.sum(0)
            moment_DD += x_BD.T @ x_BD
        mean_D = total_D / count
        _, vectors_DD = torch.linalg.eigh(moment_DD / count - mean_D.outer(mean_D))
        return mean_D, vectors_DD[:, -self.latent_dim :].flip(1).T.contiguous()

    def encode(self, batch: Batch) -> Tensor:
        """Coordinates along the components."""
        mean_D, components_KD = self.fitted
        return ((batch.x.double() - mean_D) @ components_KD.T).float()

    def reconstruct(self, batch: Batch) -> Tensor:
        """The projection onto the components, unclipped, so that PCA stays linear."""
        mean_D, components_KD = self.fitted
        return (self.encode(batch).double() @ components_KD + mean_D).float()


@final
@dataclass(kw_only=True, eq=False)
class PixelBaseline(BaseContext):
    """The images as their own codes."""

    own_capabilities = frozenset[Capability]({"codes"})  # a copy is no reconstruction

    def encode(self, batch: Batch) -> Tensor:
        """The pixels."""
        return batch.x


def evaluate_baseline(
    name: str, latent_dim: int | None, data: Data, seed: int, protocol: Protocol = "grey"
) -> Evaluation:
    """Evaluate "pca" (of ``latent_dim`` components) or "pixels"."""
    if name == "pixels":
        return evaluate_metrics(PixelBaseline(data=data, seed=seed, protocol=protocol))
    assert name == "pca", f"no baseline is named {name}"
    assert latent_dim is not None, "PCA needs a number of components"
    return evaluate_metrics(
        PcaBaseline(data=data, seed=seed, protocol=protocol, latent_dim=latent_dim)
    )
