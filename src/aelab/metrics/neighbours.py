"""Distances between two samples of feature vectors.

Precision, recall, density, coverage by k-nearest-neighbour balls; Fréchet and kernel distance.
All in float64: each is a small difference of large numbers. Distance matrices are walked through
in blocks of rows, and never held.

Shape legend: N real samples, M drawn ones, B rows of a block, F features.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

NEIGHBOURS = 5
BLOCK = 100  # rows of a distance matrix: 8 MB for 10,000 samples


def squared_distances(a_NF: Tensor, b_MF: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared Euclidean distances from the rows of a to all of b, ``(B, M)`` at a time."""
    b_square_M = b_MF.square().sum(-1)
    for start in range(0, len(a_NF), BLOCK):
        rows = slice(start, min(start + BLOCK, len(a_NF)))
        a_BF = a_NF[rows]
        square_BM = a_BF.square().sum(-1, keepdim=True) + b_square_M
        yield rows, square_BM.addmm_(a_BF, b_MF.T, alpha=-2).clamp_min_(0)


def radii(samples_NF: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """The squared distance of each sample to its k-th neighbour, itself not counted, ``(N,)``."""
    found = []
    for rows, square_BN in squared_distances(samples_NF, samples_NF):
        own = torch.arange(rows.start, rows.stop)
        square_BN[own - rows.start, own] = torch.inf
        found.append(square_BN.topk(k, largest=False).values[:, -1])
    return torch.cat(found)


@dataclass(frozen=True, eq=False)
class Overlap:
    """How two samples lie in each other's balls; each measure is the mean of its array."""

    precision_M: Tensor  # whether a drawn sample lies in some real ball
    recall_N: Tensor  # whether a real sample lies in some drawn ball
    density_M: Tensor  # in how many real balls a drawn sample lies, by k
    coverage_N: Tensor  # whether some drawn sample lies in the ball of a real one


def overlap(
    real_NF: Tensor, drawn_MF: Tensor, real_radii_N: Tensor, k: int = NEIGHBOURS
) -> Overlap:
    """Precision and recall of Kynkäänniemi et al. (2019); density and coverage of Naeem (2020).

    ``real_radii_N`` are the ``radii`` of the real samples.
    """
    drawn_radii_M = radii(drawn_MF, k)
    balls_M = torch.zeros(len(drawn_MF), dtype=torch.float64)
    recall, coverage = [], []
    for rows, square_BM in squared_distances(real_NF, drawn_MF):
        inside_BM = square_BM < real_radii_N[rows, None]
        balls_M += inside_BM.sum(0)
        coverage.append(inside_BM.any(1))
        recall.append((square_BM < drawn_radii_M).any(1))
    return Overlap(
        precision_M=(balls_M > 0).double(),
        recall_N=torch.cat(recall).double(),
        density_M=balls_M / k,
        coverage_N=torch.cat(coverage).double(),
    )


def frechet(real_NF: Tensor, drawn_MF: Tensor) -> float:
    """‖μ − μ'‖² + tr(Σ + Σ' − 2 (Σ Σ')^½), the Fréchet distance of the two fitted Gaussians.

    Dowson and Landau (1982). The last trace is that of (Σ^½ Σ' Σ^½)^½, which is symmetric.
    """
    (mean_F, covariance_FF), (other_F, other_FF) = map(_moments, (real_NF, drawn_MF))
    values_F, vectors_FF = torch.linalg.eigh(covariance_FF)
    root_FF = (vectors_FF * values_F.clamp_min(0).sqrt()) @ vectors_FF.T
    cross_F = torch.linalg.eigvalsh(root_FF @ other_FF @ root_FF).clamp_min(0).sqrt()
    traces = covariance_FF.trace() + other_FF.trace() - 2 * cross_F.sum()
    return float((mean_F - other_F).square().sum() + traces)


def _moments(samples_NF: Tensor) -> tuple[Tensor, Tensor]:
    width = samples_NF.shape[1]
    return samples_NF.mean(0), torch.cov(samples_NF.T).reshape(width, width)


def kernel_distance(real_NF: Tensor, drawn_MF: Tensor, within: float | None = None) -> float:
    """Unbiased MMD² with the kernel (x·y / F + 1)³, as the kernel Inception distance has it.

    Bińkowski et al. (2018), section 3; MMD²_u of Gretton et al. (2012), eq. 3, over all samples at
    once. It may be below 0. ``within`` is the ``kernel_within`` of the real samples, if known.
    """
    own = kernel_within(real_NF) if within is None else within
    across = _kernel_sum(real_NF, drawn_MF) / (len(real_NF) * len(drawn_MF))
    return own + kernel_within(drawn_MF) - 2 * across


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
