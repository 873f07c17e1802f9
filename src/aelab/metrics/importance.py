"""−log p(x) of the test images by importance sampling from the posterior.

L_K = log (1/K) Σ_k p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x); Burda et al. (2016), eq. 8. −L_K is an
upper bound on −log p(x) in expectation, tighter with every K; K = 1 is −ELBO.

A grey image has no likelihood under a Bernoulli decoder, so the test images are binarised once from
the seed, whatever the model was trained on. (Under a continuous Bernoulli decoder they stay grey,
and the nats are of density.) The images go block by block, each from a random stream of its own, so
that an interrupted evaluation can be resumed.

Shape legend: B images of a block, K samples an image, Z latent dimensions, D pixels.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from aelab.data.binarize import freeze, to_unit
from aelab.losses import Batch
from aelab.metrics.base import Array, metric
from aelab.metrics.context import BATCH, Context, cached
from aelab.models import Latent
from aelab.randomness import stream

SIZES = (1, 50, 500, 5000)


def log_weights(
    log_likelihood: Callable[[Tensor], Tensor],
    posterior: Latent,
    prior: Latent,
    samples: int,
    generator: torch.Generator,
) -> Tensor:
    """Log p(x|z) p(z) / q(z|x) for ``samples`` draws of z from q, float64 ``(B, K)``.

    ``log_likelihood`` gives log p(x|z) ``(B,)`` for one code ``(B, Z)`` of each image.
    """
    columns = []
    for _ in range(samples):  # one sample of every image at a time: memory does not grow with K
        z_BZ = posterior.rsample(generator)
        ratio_B = prior.log_prob(z_BZ).double() - posterior.log_prob(z_BZ).double()
        columns.append((log_likelihood(z_BZ).double() + ratio_B).cpu())
    return torch.stack(columns, dim=1)


def bound(log_weights_BK: Tensor, size: int) -> Tensor:
    """L_size ``(B,)`` in nats: the mean over all groups of ``size`` samples, the rest left out."""
    groups = log_weights_BK.shape[1] // size
    grouped = log_weights_BK[:, : groups * size].unflatten(1, (groups, size))
    means: Tensor = grouped.logsumexp(-1) - math.log(size)
    return means.mean(-1)


def effective_samples(log_weights_BK: Tensor) -> Tensor:
    """(Σ w)² / Σ w² ``(B,)``: of how many equally weighted samples the estimate is worth."""
    shares_BK = log_weights_BK.softmax(-1)
    return 1 / shares_BK.square().sum(-1)


@cached
def importance(context: Context) -> dict[str, Array]:
    """−L_K of every test image for each K up to the settings', and the effective sample size."""
    samples = context.settings.samples
    sizes = [size for size in SIZES if size <= samples]
    images, count = binarised(context), len(context.data.test)
    labels = torch.from_numpy(context.data.test.labels)
    blocks = []
    for start in range(0, count, BATCH):
        name = f"importance-{samples}-{start}"
        block = context.folder.block(name) if context.folder else None
        if block is None:
            context.report(f"importance sampling, {start:,} of {count:,} images")
            rows_B = slice(start, start + BATCH)
            batch = Batch(to_unit(torch.from_numpy(images[rows_B])), labels[rows_B])
            log_w_BK = _of_model(context, batch, samples, start)
            columns = [-bound(log_w_BK, size) for size in sizes]
            block = torch.stack([*columns, effective_samples(log_w_BK)], dim=1).numpy()
            if context.folder:
                context.folder.keep_block(name, block)
        blocks.append(block)
    names = [*(f"nll_{size}" for size in sizes), "effective_samples"]
    return dict(zip(names, np.concatenate(blocks).T, strict=True))


def binarised(context: Context) -> Array:
    """The test images whose likelihood is computed, uint8 ``(N, D)``."""
    if context.model.architecture.likelihood != "bernoulli":
        return context.images("test")
    return freeze(context.data.test.images, context.seed, "test")


@torch.inference_mode()
def _of_model(context: Context, batch: Batch, samples: int, start: int) -> Tensor:
    model, x_BD = context.given(batch)
    return log_weights(
        lambda z_BZ: -model.reconstruction(model.decode(z_BZ), x_BD),
        context.posterior(batch),
        context.prior(batch),
        samples,
        stream(context.seed, "importance", start, device=context.device),
    )


_metric = partial(metric, family="likelihood", needs="likelihood")

for _size in SIZES:
    _draws = "one posterior sample" if _size == 1 else f"{_size:,} posterior samples"
    _metric(
        f"nll_{_size}",
        title=f"NLL, K = {_size}",
        unit="nats",
        better="lower",
        description=f"Upper bound on −log p(x) by {_draws}; test images binarised from the seed.",
        asked=lambda settings, size=_size: settings.samples >= size,
    )(lambda context, size=_size: importance(context).get(f"nll_{size}"))


@_metric("effective_samples", title="Effective samples", better="higher")
def _effective_samples(context: Context) -> Array:
    """Equally weighted samples that the largest K is worth; near 1 a bound is not yet tight."""
    return importance(context)["effective_samples"]
