"""How the latent dimensions are used."""

import numpy as np

from aelab.metrics.base import Array, metric
from aelab.metrics.context import Context

ACTIVE_VARIANCE = 0.01


@metric("active_units", title="Active units", unit="dimensions", family="latent", needs="posterior")
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
    needs="posterior",
)
def prior_gap(context: Context) -> float:
    """KL to N(0, I) of the Gaussian with the mean and covariance of all posteriors together.

    A lower bound, by moments, on KL(q(z) ‖ p(z)), which is what the prior's samples suffer from;
    Hoffman and Johnson (2016). ½ (tr S + m'm − d − log det S).
    """
    mean_Z, covariance_ZZ = aggregate(context)
    trace = np.trace(covariance_ZZ) + mean_Z @ mean_Z - len(mean_Z)
    return float(0.5 * (trace - np.linalg.slogdet(covariance_ZZ)[1]))


def aggregate(context: Context) -> tuple[Array, Array]:
    """Mean and covariance of q(z), the mixture of the posteriors of the test images."""
    means, log_variances = (part.double().numpy() for part in context.posterior)
    within_Z = np.exp(log_variances).mean(axis=0)
    between_ZZ = np.atleast_2d(np.cov(means, rowvar=False, bias=True))
    return means.mean(axis=0), between_ZZ + np.diag(within_Z)


def code_variance(context: Context) -> Array:
    """Var_x of each dimension of the deterministic code over the test images, ``(Z,)``."""
    codes = context.codes("test").astype(np.float64)
    return np.asarray(codes.var(axis=0))


def active(context: Context) -> Array:
    """Which dimensions are in use, bool ``(Z,)``."""
    return np.greater(code_variance(context), ACTIVE_VARIANCE)
