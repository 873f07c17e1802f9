"""How the latent dimensions are used."""

from aelab.metrics.base import Array, Context, metric

ACTIVE_VARIANCE = 0.01


@metric("Active units", family="latent", unit="dimensions", better="higher", needs="posterior")
def active_units(context: Context) -> float:
    """Latent dimensions with Var_x(E_q[z|x]) > 0.01 on the test set; Burda et al. (2016)."""
    return float((code_variance(context) > ACTIVE_VARIANCE).sum())


def code_variance(context: Context) -> Array:
    """Var_x of the deterministic code, shape ``(Z,)``."""
    variance: Array = context.codes.test.astype("float64").var(0)
    return variance
