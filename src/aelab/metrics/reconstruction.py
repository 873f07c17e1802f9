"""How well the images come back, each from its deterministic code.

Pixel metrics compare with the image under the data protocol: a binarised one, if it is drawn.

Shape legend: N images, D pixels, H × W the image.
"""

import torch
from torch import Tensor

from aelab.metrics.base import Array, metric
from aelab.metrics.context import BATCH, Context, DecodedSubject

MAX_PSNR = 100.0  # dB; a perfect copy would be infinite and would take the mean with it


@metric(
    "reconstruction_nll",
    title="Reconstruction",
    unit="nats",
    better="lower",
    family="reconstruction",
    needs="logits",
)
@torch.inference_mode()
def reconstruction_nll(context: Context) -> Array:
    """−log p(x|z) at the deterministic code, summed over pixels; grey images have a floor above 0.

    For a VAE z is the posterior mean, so this is below the ELBO's own reconstruction term.
    """
    pairs = zip(torch.split(context.logits, BATCH), context.batches("test"), strict=True)
    terms = [context.model.reconstruction(logits, batch.x) for logits, batch in pairs]
    return torch.cat(terms).numpy()


@metric("mse", title="MSE per pixel", better="lower", family="reconstruction", needs="pixels")
def mse(subject: DecodedSubject) -> Array:
    """Squared difference between the reconstruction and the image in [0, 1], mean over pixels."""
    return _squared_error(subject).float().numpy()


@metric("psnr", title="PSNR", unit="dB", better="higher", family="reconstruction", needs="pixels")
def psnr(subject: DecodedSubject) -> Array:
    """Peak signal-to-noise ratio, −10 log10 of each image's MSE, capped at 100 dB."""
    floor = 10 ** (-MAX_PSNR / 10)
    return (-10 * _squared_error(subject).clamp_min(floor).log10()).float().numpy()


@metric("ssim", title="SSIM", better="higher", family="reconstruction", needs="pixels")
def ssim(subject: DecodedSubject) -> Array:
    """Structural similarity of reconstruction and image (1 is identical), window σ = 1.5 pixels."""
    height, width = subject.data.image_size
    images = (pixels.view(-1, height, width) for pixels in (subject.reconstructions, subject.x))
    pairs = zip(*(torch.split(part, BATCH) for part in images), strict=True)
    return torch.cat([structural_similarity(a, b) for a, b in pairs]).numpy()


def structural_similarity(a_NHW: Tensor, b_NHW: Tensor) -> Tensor:
    """SSIM of image pairs in [0, 1], shape ``(N,)``; Wang et al. (2004), eq. 13.

    With the paper's choices: Gaussian window of 11 × 11 and σ = 1.5, K1 = .01, K2 = .03, mean over
    the places where the whole window fits. On images below 11 pixels a side the window shrinks to
    the largest odd size that fits.
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
    """A Gaussian window at each place of a line where it fits whole, one a row of a matrix."""
    radius = (side - 1) // 2
    distance = torch.arange(-radius, radius + 1, dtype=torch.float64)
    window = torch.exp(-0.5 * (distance / sigma) ** 2)
    places = range(pixels - 2 * radius)
    matrix = torch.zeros(len(places), pixels, dtype=torch.float64)
    for place in places:
        matrix[place, place : place + len(window)] = window / window.sum()
    return matrix


def _squared_error(subject: DecodedSubject) -> Tensor:
    pairs = zip(torch.split(subject.reconstructions, BATCH), subject.batches("test"), strict=True)
    return torch.cat([(a - b.x).double().square().mean(-1) for a, b in pairs])
