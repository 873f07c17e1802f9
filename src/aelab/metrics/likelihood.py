"""The evidence bound of models with a posterior, at β = 1 whatever β trained them."""

from aelab.losses import gaussian_kl
from aelab.metrics.base import Array, Context, metric


@metric("−ELBO", family="likelihood", unit="nats", better="lower", needs="posterior")
def negative_elbo(context: Context) -> Array:
    """E_q[−log p(x|z)] + KL(q(z|x) ‖ N(0, I)), ten posterior draws an image."""
    return elbo_reconstruction(context) + kl(context)


@metric("E_q[−log p(x|z)]", family="likelihood", unit="nats", needs="posterior")
def elbo_reconstruction(context: Context) -> Array:
    """The reconstruction term of −ELBO: from posterior draws, not from the mean."""
    return context.expected_reconstruction


@metric("KL", family="likelihood", unit="nats", needs="posterior")
def kl(context: Context) -> Array:
    """KL(q(z|x) ‖ N(0, I)), summed over the latent dimensions: the rate."""
    terms: Array = gaussian_kl(*context.posterior).sum(-1).double().numpy()
    return terms
