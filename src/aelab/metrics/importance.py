"""−log p(x) of the test images by importance sampling from the posterior.

L_K = log (1/K) Σ_k p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x); Burda et al. (2016), eq. 8. −L_K is an
upper bound on −log p(x) in expectation, tighter with every K; K = 1 is −ELBO.

A grey image has no likelihood under a Bernoulli decoder, so the test images are binarised once from
the seed, whatever the model was trained on. (Under a continuous Bernoulli decoder they stay grey,
and the nats are of density.) The images go block by block, each from a random stream of its own, so
that an interrupted evaluation can be resumed.

Unless the settings ask for full effort, only a random subset of the images gets the settings' K.
The mean over all is estimated with a control variate: the mean of −L_10 over all images, less the
mean over the subset of the gap −L_10 + L_K. Gaps vary far less than likelihoods do, so the estimate
is nearly as precise. (In surveys this is double sampling; Cochran, 1977, chapter 12.)

Shape legend: N images, B of a block or subset, S bounds, R resamples, K samples an image,
Z latent dimensions, D pixels.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from aelab.data.binarize import freeze, to_unit
from aelab.losses import Batch
from aelab.metrics.base import Array, bootstrap_means, estimate_means, metric
from aelab.metrics.context import BATCH, Context, cached
from aelab.models import Latent
from aelab.randomness import numpy_stream, stream
from aelab.runs.records import Estimate

SIZES = (1, 50, 500, 5000)
CONTROL = 10  # samples of the control variate
SAMPLED = 1_000  # test images that get more samples, unless all do


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
def importance(context: Context) -> dict[str, Array | Estimate]:
    """−L_K for each K up to the settings', and the effective sample size.

    Each has a value for every test image ``(N,)`` if all images get the settings' K; otherwise only
    K = 1 has, and the others are estimates.
    """
    samples, seed = context.settings.samples, context.seed
    sizes = [size for size in SIZES if size <= samples]
    rows, count = sampled(context), len(context.data.test)
    *bounds, effective = _bounds(context, rows, samples, (*sizes, CONTROL), "importance").T
    names = [f"nll_{size}" for size in sizes]
    if len(rows) == count:
        return dict(zip(names, bounds, strict=False)) | {"effective_samples": effective}
    every = np.arange(count)
    single, control, _ = _bounds(context, every, CONTROL, (1, CONTROL), "importance control").T
    gaps = np.stack([bounds[-1] - values for values in bounds[1:-1]], axis=1)
    estimates = [single, *differences_from_control(control, gaps, seed)]
    [mean] = estimate_means(effective[:, None], seed)
    return dict(zip(names, estimates, strict=True)) | {"effective_samples": mean}


def sampled(context: Context) -> Array:
    """Indices of the test images that get the settings' K, ascending; the same for every model."""
    count = len(context.data.test)
    if context.settings.effort == "full":
        return np.arange(count)
    return np.sort(numpy_stream(context.seed, "importance sampled").permutation(count)[:SAMPLED])


def differences_from_control(control_N: Array, gaps_BS: Array, seed: int) -> list[Estimate]:
    """The mean of a control variate over all images, less that of each gap over a subset.

    The 95% interval is that of the differences of two bootstraps, one over all images and an
    independent one over the subset.
    """
    values_S = control_N.mean(dtype=np.float64) - gaps_BS.mean(axis=0, dtype=np.float64)
    resampled_RS = bootstrap_means(control_N[:, None], seed) - bootstrap_means(gaps_BS, seed)
    low_S, high_S = np.percentile(resampled_RS, [2.5, 97.5], axis=0)
    columns = zip(*(column.tolist() for column in (values_S, low_S, high_S)), strict=True)
    return [Estimate(value, low, high, len(control_N)) for value, low, high in columns]


def _bounds(
    context: Context, rows_N: Array, samples: int, sizes: Sequence[int], purpose: str
) -> Array:
    """−L_K of some test images for each K, and the effective sample size, ``(N, S + 1)``."""
    images, labels = binarised(context)[rows_N], torch.from_numpy(context.data.test.labels[rows_N])
    blocks = []
    for start in range(0, len(rows_N), BATCH):
        name = f"{purpose.replace(' ', '-')}-{samples}-of-{len(rows_N)}-{start}"
        block = context.folder.block(name) if context.folder else None
        if block is None:
            context.report(f"importance sampling, {start:,} of {len(rows_N):,} images")
            rows_B = slice(start, start + BATCH)
            batch = Batch(to_unit(torch.from_numpy(images[rows_B])), labels[rows_B])
            generator = stream(context.seed, purpose, start, device=context.device)
            log_w_BK = _of_model(context, batch, samples, generator)
            columns = [-bound(log_w_BK, size) for size in sizes]
            block = torch.stack([*columns, effective_samples(log_w_BK)], dim=1).numpy()
            if context.folder:
                context.folder.keep_block(name, block)
        blocks.append(block)
    return np.concatenate(blocks)


def facts(context: Context) -> dict[str, int]:
    """The conditions of the NLL: of how many test images, importance sampled with which K."""
    return {
        "images": len(context.data.test),
        "importance_sampled": len(sampled(context)),
        "samples": context.settings.samples,
    }


def binarised(context: Context) -> Array:
    """The test images whose likelihood is computed, uint8 ``(N, D)``."""
    if context.model.architecture.likelihood != "bernoulli":
        return context.images("test")
    return freeze(context.data.test.images, context.seed, "test")


@torch.inference_mode()
def _of_model(context: Context, batch: Batch, samples: int, generator: torch.Generator) -> Tensor:
    model, x_BD = context.given(batch)
    return log_weights(
        lambda z_BZ: -model.reconstruction(model.decode(z_BZ), x_BD),
        context.posterior(batch),
        context.prior(batch),
        samples,
        generator,
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
def _effective_samples(context: Context) -> Array | Estimate:
    """Equally weighted samples that the largest K is worth; near 1 a bound is not yet tight."""
    return importance(context)["effective_samples"]
