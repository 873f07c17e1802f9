"""The bound that a variational autoencoder puts on the likelihood of the test images.

−ELBO(x) = E_q(z|x)[−log p(x|z)] + KL(q(z|x) ‖ p(z)); Kingma and Welling (2014), eq. 3. Its value
does not depend on the β that trained the model: these metrics always take β = 1.

Shape legend: N test images, B of a batch, Z latent dimensions, P parts of the KL.
"""

from functools import partial

import torch
from torch import Tensor

from aelab.metrics.base import Array, metric
from aelab.metrics.context import Context, cached
from aelab.randomness import stream

POSTERIOR_DRAWS = 10

_metric = partial(metric, family="likelihood", needs="likelihood", unit="nats")


@cached
def elbo_terms(
    context: Context, draws: int = POSTERIOR_DRAWS, *purpose: str
) -> tuple[Tensor, Tensor]:
    """The two terms of −ELBO in nats, averaged over posterior draws of each test image.

    Args:
        context: A model with the capability ``likelihood``.
        draws: The number of draws.
        purpose: The name of the random stream that they come from.

    Returns:
        The reconstruction term ``(N,)``, and the KL split into parts ``(N, P)``: the latent
        dimensions where the posterior and the prior have a closed form, otherwise one part.
    """
    generator = stream(context.seed, *(purpose or ("posterior draws",)), device=context.device)
    means: tuple[list[Tensor], list[Tensor]] = ([], [])
    with torch.inference_mode():
        for batch in context.batches("test"):
            model, x_BD = context.given(batch)
            posterior, prior = context.posterior(batch), context.prior(batch)
            terms: list[tuple[Tensor, Tensor]] = []
            for _ in range(draws):
                z_BZ = posterior.rsample(generator)
                nats_B = model.reconstruction(model.decode(z_BZ), x_BD)
                terms.append((nats_B.cpu().double(), posterior.kl(prior, z_BZ).cpu().double()))
            for mean, values in zip(means, zip(*terms, strict=True), strict=True):
                mean.append((torch.stack(values).sum(0) / draws).float())
    return torch.cat(means[0]), torch.cat(means[1])


@_metric("negative_elbo", title="−ELBO", better="lower")
def negative_elbo(context: Context) -> Array:
    """Upper bound on −log p(x): the sum of the next two, with β = 1 whatever trained the model."""
    return elbo_reconstruction(context) + kl(context)


@_metric("elbo_reconstruction", title="−ELBO: reconstruction", better="lower")
def elbo_reconstruction(context: Context) -> Array:
    """−log p(x|z) with z drawn from the posterior, mean of 10 draws an image."""
    return elbo_terms(context)[0].numpy()


@_metric("kl", title="−ELBO: KL")
def kl(context: Context) -> Array:
    """KL(q(z|x) ‖ p(z)): the nats of information in the code about the image."""
    return elbo_terms(context)[1].sum(-1).numpy()


def kl_per_dimension(context: Context) -> Array | None:
    """The mean over the test images of each dimension's KL ``(Z,)``, if it splits that way."""
    kl_NP = elbo_terms(context)[1]
    factorised = kl_NP.shape[1] == context.codes("test").shape[1]
    return kl_NP.double().mean(0).numpy() if factorised else None
