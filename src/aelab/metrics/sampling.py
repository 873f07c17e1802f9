"""Samplers of new codes, so that samples of an AE and of a VAE can be compared.

A Gaussian and a mixture are fitted to the deterministic codes of training images, for every model,
and a flow where the settings ask for one; a variational model also has its prior.
"""

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

from aelab.metrics import flow
from aelab.metrics.base import Array
from aelab.metrics.context import Context, cached
from aelab.randomness import derive, numpy_stream, stream

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

SAMPLERS = {
    "prior": "prior",
    "gaussian": "Gaussian",
    "mixture": "mixture of 10",
    "flow": "flow",
}
SHOWN = 64  # samples in the report
COMPONENTS = 10
FITTED_CODES = 10_000  # enough for ten components; more would only take longer


@cached
def draw(context: Context) -> dict[str, Array]:
    """Codes ``(M, Z)`` of each sampler that the model has: one a test image, and at least 64."""
    context.report("sampling")
    codes, seed = context.codes("train"), context.seed
    count = max(min(context.settings.draws, len(context.data.test)), SHOWN)
    samples = {
        "gaussian": gaussian(codes, count, seed),
        "mixture": mixture(fitted_mixture(context), count, seed),
    }
    if context.settings.flow:
        context.report("fitting a flow")
        samples["flow"] = flow.draws(codes, context.codes("validation"), count, seed)
    if "prior" in context.capabilities:
        generator = stream(seed, "prior samples", device=context.device)
        with torch.inference_mode():
            samples["prior"] = context.prior().rsample(generator, (count,)).cpu().numpy()
    return samples


def gaussian(codes_NZ: Array, count: int, seed: int) -> Array:
    """Draws from the Gaussian with the mean and the full covariance of the codes."""
    mean, covariance = moments(codes_NZ)
    # By eigenvalues and unchecked: a dimension that an AE leaves unused makes it singular.
    return numpy_stream(seed, "gaussian samples").multivariate_normal(
        mean, covariance, count, method="eigh", check_valid="ignore"
    )


def moments(codes_NZ: Array) -> tuple[Array, Array]:
    """Mean ``(Z,)`` and full covariance ``(Z, Z)`` of the codes, in float64; 0 for one code."""
    codes = codes_NZ.astype(np.float64)
    covariance = np.cov(codes, rowvar=False, ddof=int(len(codes) > 1))
    return codes.mean(axis=0), covariance.reshape(codes.shape[1], -1)


def components(context: Context) -> dict[str, Array]:
    """Weights, means and covariances of the Gaussian and of the mixture, by the sampler's name.

    Of K components in Z dimensions: ``(K,)``, ``(K, Z)`` and ``(K, Z, Z)``.
    """
    mean, covariance = moments(context.codes("train"))
    fitted = fitted_mixture(context)
    return {
        "gaussian_weights": np.ones(1),
        "gaussian_means": mean[None],
        "gaussian_covariances": covariance[None],
        "mixture_weights": fitted.weights_,
        "mixture_means": fitted.means_,
        "mixture_covariances": fitted.covariances_,
    }


@cached
def fitted_mixture(context: Context) -> "GaussianMixture":
    """The mixture that fits the codes of training images."""
    return fit_mixture(fitted_codes(context.codes("train"), context.seed), context.seed)


def mixture(fitted: "GaussianMixture", count: int, seed: int) -> Array:
    """Draws from a mixture, in random order."""
    drawn: Array = fitted.sample(count)[0]  # sorted by component
    return numpy_stream(seed, "mixture order").permutation(drawn)


def fit_mixture(codes_NZ: Array, seed: int) -> "GaussianMixture":
    """The mixture of ten Gaussians of full covariance that fits the codes."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    codes = codes_NZ.astype(np.float64)
    # The least variance follows the scale of the codes, which an AE is free to choose.
    least = max(1e-4 * float(codes.var(axis=0).mean()), 1e-12)
    model = GaussianMixture(
        min(COMPONENTS, len(codes)),
        reg_covar=least,
        max_iter=200,
        random_state=sklearn_seed(seed, "mixture"),
    )
    with warnings.catch_warnings():
        # Fewer distinct codes than components, or slow last steps: good enough to draw from.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(codes)
    return model


def fitted_codes(codes_NZ: Array, seed: int) -> Array:
    """The codes that a mixture is fitted to: at most 10,000, by the seed."""
    return codes_NZ[numpy_stream(seed, "mixture codes").permutation(len(codes_NZ))[:FITTED_CODES]]


def sklearn_seed(seed: int, purpose: str) -> int:
    """A named seed within the 32 bits that scikit-learn takes."""
    return derive(seed, purpose) % 2**32
