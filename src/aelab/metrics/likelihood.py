"""The bound that a Gaussian autoencoder puts on the likelihood of the test images.

−ELBO(x) = E_q(z|x)[−log p(x|z)] + KL(q(z|x) ‖ p(z)); Kingma and Welling (2014), eq. 3. Its value
does not depend on the β that trained the model: these measures take β = 1 always.
"""

from aelab.metrics.base import Array, metric
from aelab.metrics.context import Context


@metric(
    "negative_elbo",
    title="−ELBO",
    unit="nats",
    better="lower",
    family="likelihood",
    needs="posterior",
)
def negative_elbo(context: Context) -> Array:
    """Upper bound on −log p(x): the sum of the next two, with β = 1 whatever trained the model."""
    return elbo_reconstruction(context) + kl(context)


@metric(
    "elbo_reconstruction",
    title="−ELBO: reconstruction",
    unit="nats",
    better="lower",
    family="likelihood",
    needs="posterior",
)
def elbo_reconstruction(context: Context) -> Array:
    """−log p(x|z) with z drawn from the posterior, mean of 10 draws an image."""
    return context.drawn_reconstruction.numpy()


@metric("kl", title="−ELBO: KL", unit="nats", family="likelihood", needs="posterior")
def kl(context: Context) -> Array:
    """KL(q(z|x) ‖ p(z)): the nats that the code carries about the image."""
    return context.kl_per_dimension.sum(-1).numpy()
