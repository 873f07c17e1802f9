"""The shape of the latent space: how normal the codes are, and how smooth the decoder is.

Shape legend: N codes, R directions (rank of the codes), P permutations, B rows of a block,
Z latent dimensions, D pixels.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from aelab.metrics.base import Array, estimate_means, metric
from aelab.metrics.context import Context, cached
from aelab.metrics.generation import compare
from aelab.metrics.sampling import moments
from aelab.randomness import numpy_stream
from aelab.runs.records import Estimate

MMD_CODES = 5_000
PERMUTATIONS = 200
BLOCK = 100  # rows of the kernel: 8 MB each of several matrices for 5,000 codes
SMOOTHNESS_CODES = 1_000
RANK_TOLERANCE = 1e-10  # of the largest variance: below it a direction has no variance
ROUNDING = 1e-6  # of the largest number of a code, which networks compute in float32


_metric = partial(metric, family="latent", better="lower")


@_metric("hole_share", title="Holes", classifier=True)
def hole_share(context: Context) -> Estimate | None:
    """Share of images from a Gaussian fitted to training codes that lie in no real 5-NN ball."""
    precision = compare(context, "gaussian").get("precision")
    if not isinstance(precision, Estimate):
        return None
    return Estimate(1 - precision.value, n=precision.n)


@_metric("decoder_smoothness", title="Decoder ‖J Σ^½‖")
def decoder_smoothness(context: Context) -> Estimate:
    """Mean ‖J_g Σ_z^½‖_F at test codes: the change of an image for one σ of its code."""
    norms_N = sensitivity(context).square().sum(-1).sqrt().numpy()
    return estimate_means(norms_N[:, None], context.seed)[0]


@cached
def sensitivity(context: Context) -> Tensor:
    """‖J_g a_j‖ at test codes for each column a_j of Σ_z^½, float64 ``(N, Z)``.

    J_g is the Jacobian of the decoded pixels by the code, Σ_z the covariance of the training codes;
    exact, by one directional derivative a column.
    """
    values_Z, vectors_ZZ = np.linalg.eigh(moments(context.codes("train"))[1])
    root_ZZ: Array = (vectors_ZZ * np.sqrt(values_Z.clip(0))) @ vectors_ZZ.T
    return directional_derivatives(context, root_ZZ)


def directional_derivatives(context: Context, directions_RZ: Array) -> Tensor:
    """‖J_g a‖ for each direction a, a row ``(Z,)``, at test codes; float64 ``(N, R)``."""
    count = len(context.data.test)
    chosen = numpy_stream(context.seed, "smoothness codes").permutation(count)[:SMOOTHNESS_CODES]
    z_NZ = torch.from_numpy(context.codes("test")[np.sort(chosen)]).to(context.device)

    def pixels(z: Tensor) -> Tensor:
        return context.model.pixels(context.model.decode(z))

    columns = []
    for direction_Z in torch.from_numpy(directions_RZ).to(z_NZ):
        change_ND = torch.autograd.functional.jvp(pixels, z_NZ, direction_Z.expand_as(z_NZ))[1]
        columns.append(change_ND.double().square().sum(-1).sqrt().cpu())
    return torch.stack(columns, dim=1)


@_metric("mmd2", title="MMD² to N(0, I)")
def mmd2(context: Context) -> Estimate | None:
    """Unbiased MMD² of whitened test codes to N(0, I), inverse multiquadric kernel; 0 if normal."""
    found = normality(context)
    return found and Estimate(found[0], n=found[2])


@_metric("mmd2_null", title="MMD² to N(0, I): null", better=None)
def mmd2_null(context: Context) -> Estimate | None:
    """The MMD² that normal codes would stay below in 95 of 100 samples, by permutation."""
    found = normality(context)
    return found and Estimate(found[1], n=found[2])


@cached
def normality(context: Context) -> tuple[float, float, int] | None:
    """MMD², the 95% quantile of its null and the number of codes; None for codes without spread."""
    codes = context.codes("test")[:MMD_CODES].astype(np.float64)
    white_NR = whitened(codes)
    if len(white_NR) < 2 or not white_NR.shape[1]:
        return None
    normal_NR = numpy_stream(context.seed, "normal codes").standard_normal(white_NR.shape)
    value, null = mmd2_with_null(white_NR, normal_NR, context.seed)
    return value, float(np.quantile(null, 0.95)), len(white_NR)


def whitened(codes_NZ: Array) -> Array:
    """Codes ``(N, R)`` of mean 0 and covariance I; directions without variance are left out."""
    mean_Z, covariance_ZZ = moments(codes_NZ)
    values_Z, vectors_ZZ = np.linalg.eigh(covariance_ZZ)
    rounding = (ROUNDING * np.abs(codes_NZ).max()) ** 2
    kept = values_Z > max(RANK_TOLERANCE * values_Z.max(), rounding)
    white_NR: Array = (codes_NZ - mean_Z) @ vectors_ZZ[:, kept] / np.sqrt(values_Z[kept])
    return white_NR


def mmd2_with_null(a_NR: Array, b_NR: Array, seed: int) -> tuple[float, Array]:
    """MMD²_u of two samples of one size, and of ``PERMUTATIONS`` random regroupings of them.

    Gretton et al. (2012), eq. 3, with k(x, y) = C / (C + ‖x − y‖²), C = 2R, as Tolstikhin et al.
    (2018) have it. With a sign s = ±1 for the group of each of the 2N points and the diagonal of
    the kernel K left out, s'Ks = within − across and 1'K1 = within + across; so a block of K serves
    all permutations at once.
    """
    n, width = a_NR.shape
    points = torch.from_numpy(np.concatenate([a_NR, b_NR]))
    generator = numpy_stream(seed, "MMD permutations")
    signs = np.repeat([1.0, -1.0], n)
    columns = [signs, *(generator.permutation(signs) for _ in range(PERMUTATIONS))]
    signs_NP = torch.from_numpy(np.stack([np.ones(2 * n), *columns], axis=1))
    form_P = torch.zeros(signs_NP.shape[1], dtype=torch.float64)
    squares_N = points.square().sum(-1)
    for rows in torch.arange(2 * n).split(BLOCK):  # K is symmetric: of its half above the diagonal
        rest = slice(int(rows[0]), None)
        square_BN = torch.sub(squares_N[rest], points[rows] @ points[rest].T, alpha=2)
        square_BN += squares_N[rows, None]
        kernel_BN = 2 * width / (2 * width + square_BN)
        kernel_BN[:, : len(rows)].triu_(1)
        form_P += 2 * (signs_NP[rows] * (kernel_BN @ signs_NP[rest])).sum(0)
    total, forms = float(form_P[0]), form_P[1:].numpy()
    within, across = (total + forms) / 2, (total - forms) / 4
    statistics = within / (n * (n - 1)) - 2 * across / n**2
    return float(statistics[0]), statistics[1:]
