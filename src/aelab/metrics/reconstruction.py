"""How well images come back from their code. One value a test image each."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from aelab.metrics.base import BATCH, Array, Context, metric

PSNR_CAP = 60.0  # dB; an error below a tenth of a grey level of 8 bits is no error


@metric("Reconstruction", family="reconstruction", unit="nats", better="lower")
def reconstruction_nll(context: Context) -> Array:
    """−log p(x|z) at the deterministic code z, summed over the pixels."""
    return context.reconstruction


@metric("MSE per pixel", family="reconstruction", better="lower")
def mse(context: Context) -> Array:
    """Mean squared error of the shown pixels, in grey levels from 0 to 1."""
    return squared_error(context.shown, context.test_x)


@metric("PSNR", family="reconstruction", unit="dB", better="higher")
def psnr(context: Context) -> Array:
    """Peak signal-to-noise ratio −10 log₁₀ MSE, mean of the images' own values."""
    return signal_to_noise(squared_error(context.shown, context.test_x))


@metric("SSIM", family="reconstruction", better="higher")
def ssim(context: Context) -> Array:
    """Structural similarity, Gaussian window of 11 × 11 with σ = 1.5; 1 is identity."""
    size = context.data.image_size
    return similarity(context.shown, context.test_x, size)


def squared_error(shown_ND: Tensor, x_ND: Tensor) -> Array:
    """Mean squared error per pixel of every image, shape ``(N,)``."""
    error: Array = (shown_ND - x_ND).square().mean(-1).double().numpy()
    return error


def signal_to_noise(mse_N: Array) -> Array:
    """PSNR of images with peak 1, in dB, shape ``(N,)``; capped, since a perfect copy is ∞."""
    ratio: Array = -10 * np.log10(np.maximum(mse_N, 10 ** (-PSNR_CAP / 10)))
    return ratio


def similarity(a_ND: Tensor, b_ND: Tensor, image_size: tuple[int, int]) -> Array:
    """SSIM of every pair of images, shape ``(N,)``; Wang et al. (2004), range 1, 'valid' windows."""
    offsets = torch.arange(11) - 5.0
    line = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = (line[:, None] * line / line.sum() ** 2)[None, None]

    def smooth(images: Tensor) -> Tensor:
        return functional.conv2d(images, window)

    values = []
    for a, b in zip(a_ND.split(BATCH), b_ND.split(BATCH), strict=True):
        a, b = (images.reshape(-1, 1, *image_size) for images in (a, b))
        mean_a, mean_b = smooth(a), smooth(b)
        var_a = smooth(a * a) - mean_a**2
        var_b = smooth(b * b) - mean_b**2
        cov = smooth(a * b) - mean_a * mean_b
        c1, c2 = 0.01**2, 0.03**2
        score = ((2 * mean_a * mean_b + c1) * (2 * cov + c2)) / (
            (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
        )
        values.append(score.mean((1, 2, 3)))
    result: Array = torch.cat(values).double().numpy()
    return result
