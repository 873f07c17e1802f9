"""The baselines: PCA of the same size, and raw pixels."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from aelab.data.binarize import Protocol, to_unit
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
    def pca(self) -> PCA:
        """The exact components, in float64."""
        images = torch.from_numpy(self.images("train"))
        require_components(self.latent_dim, *images.shape)
        pca = PCA(self.latent_dim, svd_solver="covariance_eigh")
        return pca.fit(to_unit(images).double().numpy())

    def encode(self, batch: Batch) -> Tensor:
        """Coordinates along the components."""
        return torch.from_numpy(self.pca.transform(batch.x.double().numpy())).float()

    def reconstruct(self, batch: Batch) -> Tensor:
        """The projection onto the components, unclipped, so that PCA stays linear."""
        codes = self.encode(batch).double().numpy()
        return torch.from_numpy(self.pca.inverse_transform(codes)).float()


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
