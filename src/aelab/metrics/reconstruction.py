"""How well images are reconstructed from their deterministic codes.

Pixel metrics compare with the image under the data protocol, binarised or not.

Shape legend: N images, D pixels, H × W the image.
"""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from aelab.metrics.base import Array, metric
from aelab.metrics.context import BATCH, BaseContext, Context

MAX_PSNR = 100.0  # dB; a perfect copy would be infinite and would make the mean infinite


_metric = partial(metric, family="reconstruction", needs="pixels")


@_metric("reconstruction_nll", title="Reconstruction", unit="nats", better="lower", needs="logits")
@torch.inference_mode()
def reconstruction_nll(context: Context) -> Array:
    """−log p(x|z) at the deterministic code, summed over pixels; above 0 for grey images.

    For a VAE z is the posterior mean, so this is below the ELBO's own reconstruction term.
    """
    terms = []
    for batch in context.batches("test"):
        model, x_BD = context.given(batch)
        logits_BD = model.decode(model.encode(x_BD)).cpu()
        terms.append(context.model.reconstruction(logits_BD, batch.x))
    return torch.cat(terms).numpy()


@_metric("mse", title="MSE per pixel", better="lower")
def mse(context: BaseContext) -> Array:
    """Squared difference between the reconstruction and the image in [0, 1], mean over pixels."""
    return _squared_error(context).float().numpy()


@_metric("psnr", title="PSNR", unit="dB", better="higher")
def psnr(context: BaseContext) -> Array:
    """Peak signal-to-noise ratio, −10 log10 of each image's MSE, capped at 100 dB."""
    least = 10 ** (-MAX_PSNR / 10)
    return (-10 * _squared_error(context).clamp_min(least).log10()).float().numpy()


@_metric("ssim", title="SSIM", better="higher")
def ssim(context: BaseContext) -> Array:
    """Structural similarity of reconstruction and image (1 is identical), window σ = 1.5 pixels."""
    size = (-1, *context.data.image_size)
    terms = [structural_similarity(a.view(size), b.view(size)) for a, b in _pairs(context)]
    return torch.cat(terms).numpy()


def structural_similarity(a_NHW: Tensor, b_NHW: Tensor) -> Tensor:
    """SSIM of image pairs in [0, 1], shape ``(N,)``; Wang et al. (2004), eq. 13.

    With the paper's choices: Gaussian window of 11 × 11 and σ = 1.5, K1 = .01, K2 = .03, mean over
    the positions where the whole window fits. On images below 11 pixels a side the window shrinks
    to the largest odd size that fits.
    """
    height, width = a_NHW.shape[1:]
    side = min(11, height, width)
    rows, columns = (_blur(pixels, side).to(a_NHW) for pixels in (height, width))
    a, b = a_NHW, b_NHW
    mean_a, mean_b, square_a, square_b, product = (
        rows @ plane @ columns.T for plane in (a, b, a * a, b * b, a * b)
    )
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    similarity: Tensor = luminance * structure
    return similarity.mean(dim=(1, 2))


def _blur(pixels: int, side: int, sigma: float = 1.5) -> Tensor:
    """A Gaussian window at each position where it fits whole, one in each row of a matrix."""
    radius = (side - 1) // 2
    distance = torch.arange(-radius, radius + 1, dtype=torch.float64)
    window = torch.exp(-0.5 * (distance / sigma) ** 2)
    matrix = torch.zeros(pixels - 2 * radius, pixels, dtype=torch.float64)
    for row in range(len(matrix)):
        matrix[row, row : row + len(window)] = window / window.sum()
    return matrix


def _squared_error(context: BaseContext) -> Tensor:
    return torch.cat([(a - b).double().square().mean(-1) for a, b in _pairs(context)])


def _pairs(context: BaseContext) -> Iterator[tuple[Tensor, Tensor]]:
    """Reconstructions and test images ``(B, D)``, a batch at a time."""
    images = (batch.x for batch in context.batches("test"))
    return zip(torch.split(context.reconstructions, BATCH), images, strict=True)
