"""How the latent dimensions are used."""

import numpy as np

from aelab.metrics.base import Array, metric
from aelab.metrics.context import Context

ACTIVE_VARIANCE = 0.01


@metric("active_units", title="Active units", unit="dimensions", family="latent", needs="posterior")
def active_units(context: Context) -> float:
    """Latent dimensions whose posterior mean varies over the test images by more than 0.01.

    Burda et al. (2016), section 5.2: Var_x(E_q[z_j|x]) > 0.01.
    """
    return float(active(context).sum())


def code_variance(context: Context) -> Array:
    """Var_x of each dimension of the deterministic code over the test images, ``(Z,)``."""
    codes = context.codes("test").astype(np.float64)
    return np.asarray(codes.var(axis=0))


def active(context: Context) -> Array:
    """Which dimensions are in use, bool ``(Z,)``."""
    return np.greater(code_variance(context), ACTIVE_VARIANCE)
