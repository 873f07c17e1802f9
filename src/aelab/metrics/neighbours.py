"""Distances between two samples of feature vectors.

Precision, recall, density, coverage by k-nearest-neighbour balls; Fréchet and kernel distance.
All in float64: each is a small difference of large numbers. Distance matrices are computed in
blocks of rows and never held.

Shape legend: N real samples, M generated ones, B rows of a block, F features.
"""

import torch
from torch import Tensor

NEIGHBOURS = 5
BLOCK = 100  # rows of a distance matrix: 8 MB for 10,000 samples


def radii(samples_NF: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """The distance of each sample to its k-th neighbour, itself not counted, ``(N,)``."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(samples_NF.numpy())
    return torch.from_numpy(search.kneighbors()[0][:, -1])


def overlap(
    real_NF: Tensor, generated_MF: Tensor, real_radii_N: Tensor, k: int = NEIGHBOURS
) -> dict[str, Tensor]:
    """Precision and recall of Kynkäänniemi et al. (2019); density and coverage of Naeem (2020).

    Args:
        real_NF: The real samples.
        generated_MF: The generated samples.
        real_radii_N: The ``radii`` of the real samples.
        k: The number of neighbours.

    Returns:
        ``precision`` ``(M,)``, whether a generated sample lies in some real ball; ``recall``
        ``(N,)``, whether a real sample lies in some generated ball; ``density`` ``(M,)``, in how
        many real balls a generated sample lies, by k; ``coverage`` ``(N,)``, whether a real ball
        contains some generated sample. Each metric is the mean.
    """
    generated_radii_M = radii(generated_MF, k)
    balls_M = torch.zeros(len(generated_MF), dtype=torch.float64)
    recall, coverage = [], []
    for real_BF, radii_B in zip(real_NF.split(BLOCK), real_radii_N.split(BLOCK), strict=True):
        distance_BM = torch.cdist(real_BF, generated_MF)
        inside_BM = distance_BM < radii_B[:, None]
        balls_M += inside_BM.sum(0)
        coverage.append(inside_BM.any(1))
        recall.append((distance_BM < generated_radii_M).any(1))
    return {
        "precision": (balls_M > 0).double(),
        "recall": torch.cat(recall).double(),
        "density": balls_M / k,
        "coverage": torch.cat(coverage).double(),
    }


def frechet(real_NF: Tensor, generated_MF: Tensor) -> float:
    """‖μ − μ'‖² + tr(Σ + Σ' − 2 (Σ Σ')^½), the Fréchet distance of the two fitted Gaussians.

    Dowson and Landau (1982). The last trace is that of (Σ^½ Σ' Σ^½)^½, which is symmetric.
    """
    shift_F = real_NF.mean(0) - generated_MF.mean(0)
    covariance_FF, other_FF = torch.cov(real_NF.T), torch.cov(generated_MF.T)
    values_F, vectors_FF = torch.linalg.eigh(covariance_FF)
    root_FF = (vectors_FF * values_F.clamp_min(0).sqrt()) @ vectors_FF.T
    cross_F = torch.linalg.eigvalsh(root_FF @ other_FF @ root_FF).clamp_min(0).sqrt()
    traces = covariance_FF.trace() + other_FF.trace() - 2 * cross_F.sum()
    return float(shift_F.square().sum() + traces)


def kernel_distance(real_NF: Tensor, generated_MF: Tensor, within: float | None = None) -> float:
    """Unbiased MMD² with the kernel (x·y / F + 1)³, as in the kernel Inception distance.

    Bińkowski et al. (2018), section 3; MMD²_u of Gretton et al. (2012), eq. 3, over all samples at
    once. It may be below 0. ``within`` is the ``kernel_within`` of the real samples, if known.
    """
    own = kernel_within(real_NF) if within is None else within
    across = _kernel_sum(real_NF, generated_MF) / (len(real_NF) * len(generated_MF))
    return own + kernel_within(generated_MF) - 2 * across


def kernel_within(samples_NF: Tensor) -> float:
    """The mean of the kernel over pairs of different samples."""
    n, width = samples_NF.shape
    diagonal = float((samples_NF.square().sum(-1) / width + 1).pow(3).sum())
    return (_kernel_sum(samples_NF, samples_NF) - diagonal) / (n * (n - 1))


def _kernel_sum(a_NF: Tensor, b_MF: Tensor) -> float:
    total = 0.0
    for a_BF in a_NF.split(BLOCK):
        base_BM = (a_BF @ b_MF.T).div_(a_BF.shape[1]).add_(1)
        total += float((base_BM.square().mul_(base_BM)).sum())
    return total
