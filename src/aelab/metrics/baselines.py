"""What stands beside the models: PCA of the same size, and raw pixels.

Shape legend: N images, D pixels, K components.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self, final

import torch
from torch import Tensor

from aelab.data.binarize import Protocol, to_unit
from aelab.data.dataset import Data
from aelab.errors import AelabError
from aelab.losses import Batch
from aelab.metrics.base import Array
from aelab.metrics.context import BATCH, DecodedSubject, Subject
from aelab.metrics.evaluation import Evaluation, measure
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


@dataclass(frozen=True, eq=False)
class Pca:
    """Principal components: the linear autoencoder of least squared error."""

    mean: Tensor  # (D,)
    components: Tensor  # (K, D), orthonormal rows by falling variance

    @classmethod
    def fit(cls, images_ND: Array, components: int) -> Self:
        """The exact eigenvectors of the covariance of uint8 images, in float64."""
        pixels = images_ND.shape[1]
        require_components(components, *images_ND.shape)
        total_D = torch.zeros(pixels, dtype=torch.float64)
        moment_DD = torch.zeros(pixels, pixels, dtype=torch.float64)
        for batch in torch.split(torch.from_numpy(images_ND), BATCH):  # bounded memory
            x_BD = to_unit(batch).double()
            total_D += x_BD.sum(0)
            moment_DD += x_BD.T @ x_BD
        mean_D = total_D / len(images_ND)
        _, vectors_DD = torch.linalg.eigh(moment_DD / len(images_ND) - mean_D.outer(mean_D))
        return cls(mean_D, vectors_DD[:, -components:].flip(1).T.contiguous())

    def encode(self, x_BD: Tensor) -> Tensor:
        """Coordinates ``(B, K)``, float32."""
        return ((x_BD.double() - self.mean) @ self.components.T).float()

    def decode(self, z_BK: Tensor) -> Tensor:
        """Pixels ``(B, D)``, float32; unclipped, so that PCA stays linear."""
        return (z_BK.double() @ self.components + self.mean).float()


@final
@dataclass(kw_only=True, eq=False)
class PcaBaseline(DecodedSubject):
    """PCA fitted to the training images."""

    latent_dim: int

    own_capabilities = frozenset[Capability]({"codes", "pixels"})

    @cached_property
    def pca(self) -> Pca:
        """The fit."""
        return Pca.fit(self.images("train"), self.latent_dim)

    def encode(self, batch: Batch) -> Tensor:
        """Coordinates along the components."""
        return self.pca.encode(batch.x)

    def reconstruct(self, batch: Batch) -> Tensor:
        """The projection onto the components, unclipped."""
        return self.pca.decode(self.pca.encode(batch.x))

    @cached_property
    def reconstructions(self) -> Tensor:
        """The unclipped linear reconstruction."""
        return self.pca.decode(torch.from_numpy(self.codes("test")))


@final
@dataclass(kw_only=True, eq=False)
class PixelBaseline(Subject):
    """The images as their own codes."""

    own_capabilities = frozenset[Capability]({"codes"})  # a copy is no reconstruction

    def encode(self, batch: Batch) -> Tensor:
        """The pixels."""
        return batch.x


def evaluate_baseline(
    name: str, latent_dim: int | None, data: Data, seed: int, protocol: Protocol = "grey"
) -> Evaluation:
    """Measure "pca" (of ``latent_dim`` components) or "pixels"; what they lack is None."""
    if name == "pixels":
        return measure(PixelBaseline(data=data, seed=seed, protocol=protocol))
    assert name == "pca", f"no baseline is named {name}"
    assert latent_dim is not None, "PCA needs a number of components"
    return measure(PcaBaseline(data=data, seed=seed, protocol=protocol, latent_dim=latent_dim))
