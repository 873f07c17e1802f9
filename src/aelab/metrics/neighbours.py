"""Distances between two samples of feature vectors.

Precision, recall, density, coverage by k-nearest-neighbour balls; Fréchet and kernel distance.
One matrix product for each pair of samples serves all of them: a squared distance is
‖x‖² + ‖y‖² − 2 x·y, and the kernel is a function of x·y. The products are computed in blocks of
rows and never held, in the precision of the samples; sums are in float64.

Shape legend: N real samples, M generated ones, B rows of a block, F features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from aelab.nets.matmul import linear

NEIGHBOURS = 5
BLOCK = 100  # rows of a product: 4 MB for 10,000 samples in float32
GROUP = 64  # columns
SPARE = 11  # neighbours that are found in float32 beyond those that are asked for


@dataclass(frozen=True, eq=False)
class Cloud:
    """Samples, and what they have among themselves.

    Args:
        samples_NF: The samples.
        squares_N: ‖x‖² of each.
        radii_N: The squared distance of each to its k-th neighbour, itself not counted; NaN if
            there are fewer others than k.
        kernel: The mean of the kernel over pairs of different samples, float64 ``()``; NaN for one.
    """

    samples_NF: Tensor
    squares_N: Tensor
    radii_N: Tensor
    kernel: Tensor


def cloud(samples_NF: Tensor, k: int = NEIGHBOURS) -> Cloud:
    """The cloud of samples ``(N, F)``, with the balls of their ``k`` nearest neighbours."""
    n, width = samples_NF.shape
    squares_N = samples_NF.square().sum(-1)
    total = -(squares_N.double() / width + 1).pow(3).sum()
    radii = []
    for rows_B in torch.arange(n).split(BLOCK):
        gram_BN = samples_NF[rows_B] @ samples_NF.T
        square_BN = torch.sub(squares_N, gram_BN, alpha=2)  # less ‖x‖²
        square_BN[torch.arange(len(rows_B)), rows_B] = torch.inf
        if n > k:
            radii.append(smallest(square_BN, k)[0][:, -1] + squares_N[rows_B])
        total += _kernel_sum(gram_BN, width)
    radii_N = torch.cat(radii).clamp_min(0) if radii else torch.full_like(squares_N, torch.nan)
    return Cloud(
        samples_NF, squares_N, radii_N, total / (n * (n - 1)) if n > 1 else total * torch.nan
    )


def compare(real: Cloud, generated: Cloud, k: int = NEIGHBOURS) -> dict[str, Tensor]:
    """Precision and recall of Kynkäänniemi et al. (2019); density and coverage of Naeem (2020).

    Also the unbiased MMD² with the kernel (x·y / F + 1)³, as in the kernel Inception distance:
    Bińkowski et al. (2018), section 3; MMD²_u of Gretton et al. (2012), eq. 3, over all samples at
    once. It may be below 0.

    Args:
        real: The real samples.
        generated: The generated samples.
        k: The number of neighbours of both.

    Returns:
        ``precision`` ``(M,)``, whether a generated sample lies in some real ball; ``recall``
        ``(N,)``, whether a real sample lies in some generated ball; ``density`` ``(M,)``, in how
        many real balls a generated sample lies, by k; ``coverage`` ``(N,)``, whether a real ball
        contains some generated sample. Each metric is the mean. ``kernel`` is the distance ``()``.
    """
    n, m = len(real.samples_NF), len(generated.samples_NF)
    balls_M = torch.zeros(m, dtype=torch.float64)
    recall, coverage = [], []
    total = torch.zeros((), dtype=torch.float64)
    columns = (real.samples_NF, real.squares_N, real.radii_N)
    for x_BF, squares_B, radii_B in zip(*(c.split(BLOCK) for c in columns), strict=True):
        gram_BM = x_BF @ generated.samples_NF.T
        square_BM = torch.sub(generated.squares_N, gram_BM, alpha=2)  # less ‖x‖²
        limit_B = radii_B - squares_B
        balls_M += (square_BM < limit_B[:, None]).sum(0)
        coverage.append(square_BM.amin(1) < limit_B)
        recall.append((generated.radii_N - square_BM).amax(1) > squares_B)
        total += _kernel_sum(gram_BM, x_BF.shape[1])
    return {
        "precision": (balls_M > 0).double(),
        "recall": torch.cat(recall).double(),
        "density": balls_M / k,
        "coverage": torch.cat(coverage).double(),
        "kernel": real.kernel + generated.kernel - 2 * total / (n * m),
    }


def _kernel_sum(gram_BM: Tensor, width: int) -> Tensor:
    """The sum of the kernel over the products x·y, which are overwritten."""
    base_BM = gram_BM.div_(width).add_(1)
    return base_BM.square().mul_(base_BM).sum(dtype=torch.float64)


def smallest(values_BM: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` smallest of each row, ascending, and their columns, both ``(B, k)``.

    They lie in the k groups of columns whose own smallest values are smallest, so long rows are
    read only once; ``torch.topk`` alone takes several times as long.
    """
    rows, columns = values_BM.shape
    groups = columns // GROUP
    if groups <= k:
        found = values_BM.topk(k, largest=False)
        return found.values, found.indices
    grouped = values_BM[:, : groups * GROUP].unflatten(1, (groups, GROUP))
    best_Bk = grouped.amin(2).topk(k, largest=False).indices
    inside = (best_Bk[..., None] * GROUP + torch.arange(GROUP)).flatten(1)
    after = torch.arange(groups * GROUP, columns).expand(rows, -1)
    candidates = torch.cat([inside, after], dim=1)
    found = values_BM.gather(1, candidates).topk(k, largest=False)
    return found.values, candidates.gather(1, found.indices)


def nearest(queries_MF: Tensor, samples_NF: Tensor, k: int) -> Tensor:
    """The indices ``(M, k)`` of the ``k`` samples nearest to each query (Euclidean), k ≤ N.

    Some more than k are found in float32 by the product formula; of these the k nearest by the
    differences in float64, so that the formula's rounding does not decide.
    """
    mean_F = samples_NF.mean(0)
    samples_NF = samples_NF - mean_F
    squares_N = samples_NF.square().sum(-1)
    found = []
    for x_BF in (queries_MF - mean_F).split(BLOCK):
        _, near_BK = smallest(
            linear(-2 * x_BF, samples_NF, squares_N), min(k + SPARE, len(squares_N))
        )
        difference_BKF = samples_NF[near_BK].double() - x_BF[:, None]
        square_BK = difference_BKF.square_().sum(-1)
        found.append(near_BK.gather(1, square_BK.topk(k, largest=False).indices))
    return torch.cat(found)


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
