"""How the latent dimensions are used."""

import numpy as np
import torch

from aelab.metrics.base import Array, metric
from aelab.metrics.context import Context, cached

ACTIVE_VARIANCE = 0.01


@metric(
    "active_units", title="Active units", unit="dimensions", family="latent", needs="likelihood"
)
def active_units(context: Context) -> float | None:
    """Latent dimensions whose posterior mean varies over the test images by more than 0.01.

    Burda et al. (2016), section 5.2: Var_x(E_q[z_j|x]) > 0.01. Not defined for one image.
    """
    return None if len(context.data.test) < 2 else float(active(context).sum())


@metric(
    "prior_gap",
    title="Aggregate posterior to prior",
    unit="nats",
    better="lower",
    family="latent",
    needs=("likelihood", "prior"),
)
def prior_gap(context: Context) -> float | None:
    """KL to the prior of the Gaussian with the mean and covariance of all posteriors together.

    For a Gaussian prior a lower bound, by moments, on KL(q(z) ‖ p(z)), which is what the prior's
    samples suffer from; Hoffman and Johnson (2016). With the prior scaled to N(0, I) it is
    ½ (tr S + m'm − d − log det S). Not defined for other priors.
    """
    prior, moments = gaussian_prior(context), aggregate(context)
    if prior is None or moments is None:
        return None
    mean_Z, std_Z = prior
    m_Z = (moments[0] - mean_Z) / std_Z
    covariance_ZZ = moments[1] / np.outer(std_Z, std_Z)
    trace = np.trace(covariance_ZZ) + m_Z @ m_Z - len(m_Z)
    return float(0.5 * (trace - np.linalg.slogdet(covariance_ZZ)[1]))


def gaussian_prior(context: Context) -> tuple[Array, Array] | None:
    """Mean and standard deviations ``(Z,)`` of the prior, or None if it is not one Gaussian."""
    components = context.prior().components() if "prior" in context.capabilities else None
    if components is None or len(components.weights) > 1:
        return None
    mean_Z, variance_Z = components.means[0], components.variances[0]
    return mean_Z.double().numpy(), variance_Z.double().sqrt().numpy()


def aggregate(context: Context) -> tuple[Array, Array] | None:
    """Mean and covariance of q(z), the mixture of the posteriors of the test images.

    None for posteriors whose variance has no closed form.
    """
    variance = posterior_variance(context)
    if variance is None:
        return None
    means = context.codes("test").astype(np.float64)
    between_ZZ = np.atleast_2d(np.cov(means, rowvar=False, bias=True))
    return means.mean(axis=0), between_ZZ + np.diag(variance.mean(axis=0))


@cached
def posterior_variance(context: Context) -> Array | None:
    """The variance of q(z|x) of each test image, float64 ``(N, Z)``; None without closed form."""
    if "likelihood" not in context.capabilities:
        return None
    with torch.inference_mode():
        parts = [context.posterior(batch).variance for batch in context.batches("test")]
    known = [part.cpu().double().numpy() for part in parts if part is not None]
    return np.concatenate(known) if known else None


def code_variance(context: Context) -> Array:
    """Var_x of each dimension of the deterministic code over the test images, ``(Z,)``."""
    codes = context.codes("test").astype(np.float64)
    return np.asarray(codes.var(axis=0))


def active(context: Context) -> Array:
    """Which dimensions are in use, bool ``(Z,)``."""
    return np.greater(code_variance(context), ACTIVE_VARIANCE)
