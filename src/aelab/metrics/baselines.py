"""What needs no network: PCA of the same size, and the raw pixels themselves."""

from dataclasses import dataclass

import numpy as np
import torch

from aelab.data import Data, Split
from aelab.metrics.base import METRICS, Array, Codes, Evaluation, estimate
from aelab.metrics.reconstruction import signal_to_noise, similarity, squared_error
from aelab.metrics.representation import nearest_neighbours_correct, probe_correct


@dataclass(frozen=True)
class PCA:
    """The best linear code: mean ``(D,)`` and orthonormal components ``(D, Z)``."""

    mean: Array
    components: Array

    @classmethod
    def fit(cls, x_ND: Array, size: int) -> "PCA":
        """Eigenvectors of the covariance of ``x``, in float64; Pearson (1901)."""
        mean = x_ND.mean(0, dtype=np.float64)
        gram = np.zeros((x_ND.shape[1], x_ND.shape[1]))
        for start in range(0, len(x_ND), 10_000):  # bounded memory
            block = x_ND[start : start + 10_000] - mean
            gram += block.T @ block
        _, vectors = np.linalg.eigh(gram)
        return cls(mean, vectors[:, ::-1][:, :size])

    def encode(self, x_ND: Array) -> Array:
        """Codes ``(N, Z)``."""
        codes: Array = (x_ND - self.mean) @ self.components
        return codes

    def decode(self, z_NZ: Array) -> Array:
        """Images ``(N, D)``, unclipped."""
        images: Array = z_NZ @ self.components.T + self.mean
        return images


def unit(split: Split) -> Array:
    """Images as float32 in [0, 1]."""
    scaled: Array = split.images.astype(np.float32) / np.float32(255)
    return scaled


def evaluate_baseline(name: str, latent_dim: int | None, data: Data, seed: int) -> Evaluation:
    """Measure ``pca`` (with ``latent_dim`` components) or ``pixels``; the rest is not defined."""
    train, validation, test = (unit(split) for split in (data.train, data.validation, data.test))
    labels = (data.train.labels, data.validation.labels, data.test.labels)
    per_image: dict[str, Array] = {}
    if name == "pca":
        assert latent_dim is not None
        pca = PCA.fit(train, latent_dim)
        codes = Codes(*(pca.encode(x) for x in (train, validation, test)), labels=labels)
        shown = torch.from_numpy(pca.decode(codes.test))
        x = torch.from_numpy(test).double()
        error = squared_error(shown, x)
        per_image |= {
            "mse": error,
            "psnr": signal_to_noise(error),
            "ssim": similarity(shown.float(), x.float(), data.image_size),
        }
    else:
        codes = Codes(train, validation, test, labels=labels)
    per_image["knn_accuracy"] = nearest_neighbours_correct(codes)
    per_image["probe_accuracy"] = probe_correct(codes)
    metrics = {
        key: estimate(per_image[key], seed, len(test)) if key in per_image else None
        for key in METRICS
    }
    return Evaluation(metrics, per_image, arrays={})
