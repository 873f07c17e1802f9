"""The arrays that figures are made from. What is shown is chosen from the seed and the labels
alone, so that every model of a run shows the same images and walks between the same pairs.
"""

import math

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.mixture import GaussianMixture

from aelab.losses import gaussian_kl
from aelab.metrics.base import Array, Context, bootstrap
from aelab.metrics.latent import ACTIVE_VARIANCE, code_variance
from aelab.models import GaussianAutoencoder
from aelab.randomness import derive, numpy_stream, stream

SHOWN_PER_CLASS = 2
EXTREMES = 8  # best and worst cases
EMBEDDED = 2_500  # test images in PCA and t-SNE: t-SNE of 5,000 takes three times as long
PLANE = 1_500  # points of the interactive plane
GRID = 20  # images along a side of the decoded plane
SAMPLES = 64
FITTED = 10_000  # training codes that the samplers are fitted to
MIXTURE = 10  # components
PAIRS = 6
STEPS = 11


def collect_arrays(context: Context) -> dict[str, Array]:
    """Every array of a model, by name; docs/run-folder.md has the table of shapes."""
    context.report("choosing images")
    arrays = {"labels": context.data.test.labels, "codes": context.codes.test}
    arrays |= _use(context) | _shown(context) | _by_label(context) | _interpolations(context)
    context.report("sampling")
    arrays |= _samples(context)
    context.report("embedding")
    d = context.model.architecture.latent_dim
    return arrays | (_plane(context) if d == 2 else {}) | (_embedding(context) if d > 2 else {})


def _use(context: Context) -> dict[str, Array]:
    """KL per dimension, variance of the mean code, and what is active, each ``(Z,)``."""
    if not isinstance(context.model, GaussianAutoencoder):
        return {"code_variance": code_variance(context)}
    mean, log_variance = context.posterior
    variance = code_variance(context)
    return {
        "kl_per_dimension": gaussian_kl(mean, log_variance).double().mean(0).numpy(),
        "code_variance": variance,
        "active": variance > ACTIVE_VARIANCE,
        "posterior_std": torch.exp(0.5 * log_variance).numpy(),
    }


def _shown(context: Context) -> dict[str, Array]:
    """The same images of every class, and those that the model finds easiest and hardest."""
    labels = context.data.test.labels
    order = numpy_stream(context.seed, "shown").permutation(len(labels))
    picks = [order[labels[order] == c][:SHOWN_PER_CLASS] for c in range(context.data.classes)]
    arrays = _images(context, np.concatenate(picks), "originals", "reconstructions")
    arrays["shown_labels"] = labels[np.concatenate(picks)]
    by_error = np.argsort(context.reconstruction, kind="stable")
    for name, rows in (("best", by_error[:EXTREMES]), ("worst", by_error[::-1][:EXTREMES])):
        arrays |= _images(context, rows, f"{name}_originals", f"{name}_reconstructions")
        arrays[f"{name}_error"] = context.reconstruction[rows]
    return arrays


def _by_label(context: Context) -> dict[str, Array]:
    """Mean, low and high of the reconstruction term by class, ``(C, 3)``, nats."""
    labels, rows = context.data.test.labels, []
    for c in range(context.data.classes):
        values = context.reconstruction[labels == c]
        rows.append(
            (values.mean(), *bootstrap(values, context.seed)) if len(values) else [math.nan] * 3
        )
    return {"error_by_label": np.array(rows)}


def _interpolations(context: Context) -> dict[str, Array]:
    """Straight walks ``(P, S, D)`` between codes; the last pair is of one class."""
    labels = context.data.test.labels
    order = numpy_stream(context.seed, "interpolations").permutation(len(labels))
    starts = order[:PAIRS]
    ends = []
    for pair, start in enumerate(starts):
        same = labels[order] == labels[start]
        wanted = (same if pair == PAIRS - 1 else ~same) & ~np.isin(order, [*starts, *ends])
        candidates = order[wanted]
        ends.append(candidates[0] if len(candidates) else order[-1 - pair])
    z = context.codes.test
    steps = np.linspace(0, 1, STEPS)[None, :, None]
    walks = (1 - steps) * z[starts][:, None] + steps * z[ends][:, None]
    images = _decoded(context, walks.reshape(-1, z.shape[1]))
    return {
        "interpolations": images.reshape(len(starts), STEPS, -1),
        "interpolation_labels": np.stack([labels[starts], labels[ends]], 1),
    }


def _samples(context: Context) -> dict[str, Array]:
    """Images ``(64, D)`` from samplers fitted to training codes, and from the prior if any."""
    codes = context.codes.train[:FITTED].astype(np.float64)
    generator = numpy_stream(context.seed, "gaussian sampler")
    gaussian = generator.multivariate_normal(codes.mean(0), np.cov(codes.T), SAMPLES)
    mixture = GaussianMixture(
        min(MIXTURE, len(codes)),
        reg_covar=1e-6 * float(codes.var(0).mean()) + 1e-12,
        random_state=derive(context.seed, "mixture sampler") % 2**32,
    ).fit(codes)
    arrays = {
        "samples_gaussian": _decoded(context, gaussian),
        # sklearn draws component by component; mixed, the sheet shows what a draw looks like.
        "samples_mixture": _decoded(context, generator.permutation(mixture.sample(SAMPLES)[0])),
    }
    if isinstance(context.model, GaussianAutoencoder):
        prior = context.model.prior_sample(SAMPLES, stream(context.seed, "prior samples"))
        arrays["samples_prior"] = _decoded(context, prior.numpy())
    return arrays


def _embedding(context: Context) -> dict[str, Array]:
    """PCA and t-SNE ``(M, 2)`` of the codes of the same test images for every model."""
    count = len(context.codes.test)
    index = numpy_stream(context.seed, "embedded").permutation(count)[:EMBEDDED]
    codes = context.codes.test[index]
    pca = PCA(2, svd_solver="full").fit(codes)
    tsne = TSNE(
        init="pca",
        perplexity=min(30.0, (len(index) - 1) / 3),
        random_state=derive(context.seed, "t-SNE") % 2**32,
    )
    arrays = {"embedding_index": index, "pca": pca.transform(codes)}
    arrays["tsne"] = tsne.fit_transform(codes)
    if isinstance(context.model, GaussianAutoencoder):
        # N(0, I) has standard deviation 1 along every direction.
        arrays["pca_prior_std"] = np.ones(2)
        arrays["pca_prior_center"] = pca.transform(np.zeros((1, codes.shape[1])))[0]
    return arrays


def _plane(context: Context) -> dict[str, Array]:
    """Points with their images for the interactive plane, and the decoded grid under them."""
    count = len(context.codes.test)
    index = numpy_stream(context.seed, "plane").permutation(count)[:PLANE]
    low, high = np.percentile(context.codes.test, [1, 99], axis=0)
    margin = 0.05 * (high - low)
    (x0, y0), (x1, y1) = low - margin, high + margin
    # Row 0 is the top: the largest y first.
    grid = np.stack(np.meshgrid(np.linspace(x0, x1, GRID), np.linspace(y1, y0, GRID)), -1)
    return {
        "plane_index": index,
        **_images(context, index, "plane_originals", "plane_reconstructions"),
        "manifold": _decoded(context, grid.reshape(-1, 2)),
        "manifold_extent": np.array([x0, x1, y0, y1]),
    }


def _images(context: Context, rows: Array, original: str, reconstruction: str) -> dict[str, Array]:
    index = torch.from_numpy(np.ascontiguousarray(rows))
    return {
        original: _bytes(context.test_x[index]),
        reconstruction: _bytes(context.shown[index]),
    }


def _decoded(context: Context, z_NZ: Array) -> Array:
    return _bytes(context.model.pixels(context.decode_logits(z_NZ)))


def _bytes(images: torch.Tensor) -> Array:
    pixels: Array = (255 * images).round().clamp(0, 255).to(torch.uint8).numpy()
    return pixels
