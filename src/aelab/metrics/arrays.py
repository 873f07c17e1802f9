"""The arrays that figures are made from; docs/run-folder.md is their contract.

Images, pairs and embedded points are selected by the labels and the seed alone, so all models of a
run have the same. Images are uint8 rows of D pixels, 0..255.

Shape legend: N test images, D pixels, Z latent dimensions, C classes, M embedded images.
"""

import numpy as np

from aelab.metrics import embedding, interpolation, latent, sampling
from aelab.metrics.base import Array, estimate_means
from aelab.metrics.context import Context
from aelab.metrics.likelihood import kl_per_dimension
from aelab.randomness import numpy_stream

SHOWN_CLASSES = 10  # of more classes (letters) ten are selected
EXTREMES = 8
PAIRS = 6
MANIFOLD_SIDE = 20
MANIFOLD_MARGIN = 0.05  # of the range of the codes, on every side


def collect_arrays(context: Context, per_image: dict[str, Array]) -> dict[str, Array]:
    """Every array of a model's run folder but ``per_image`` itself."""
    context.report("collecting images")
    codes = context.codes("test")
    errors = per_image["reconstruction_nll"]
    arrays = {
        "labels": context.data.test.labels,
        "codes": codes,
        "code_variance": latent.code_variance(context),
        **_reconstructions(context, errors),
        "error_by_label": error_by_label(
            errors, context.data.test.labels, context.data.classes, context.seed
        ),
    }
    if "likelihood" in context.capabilities:
        arrays["active"] = latent.active(context)
        if (variance := latent.posterior_variance(context)) is not None:
            arrays["posterior_std"] = np.sqrt(variance).astype(np.float32)
        if (kl := kl_per_dimension(context)) is not None:
            arrays["kl_per_dimension"] = kl
    if codes.shape[1] > 2:
        arrays |= embedding.embed(context)
    if "decoder" not in context.capabilities:
        return arrays
    arrays |= _interpolations(context) | sampling.components(context)
    if codes.shape[1] == 2:
        arrays |= _plane(context)
    return arrays | {
        f"samples_{sampler}": as_bytes(context.decode(codes[: sampling.SHOWN]))
        for sampler, codes in sampling.draw(context).items()
    }


def as_bytes(pixels: Array) -> Array:
    """Pixels in [0, 1] as uint8."""
    rounded: Array = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return rounded


def error_by_label(errors: Array, labels: Array, classes: int, seed: int) -> Array:
    """Mean, low and high of the errors of each class, ``(C, 3)``; NaN where there is none.

    The intervals are 95% percentile-bootstrap intervals over the images of the class.
    """
    table = np.full((classes, 3), np.nan)
    for label in np.unique(labels):
        [estimate] = estimate_means(errors[labels == label][:, None], seed)
        table[label] = np.array([estimate.value, estimate.low, estimate.high], float)
    return table


def shown_images(labels: Array, seed: int) -> Array:
    """Indices of two images of each of up to ten classes: one of each, then the second of each."""
    generator = numpy_stream(seed, "shown images")
    present = np.unique(labels)
    spread = np.linspace(0, len(present) - 1, min(SHOWN_CLASSES, len(present)))
    rows = []
    for label in present[np.rint(spread).astype(int)]:
        found = np.flatnonzero(labels == label)
        rows.append(generator.choice(found, 2, replace=len(found) < 2))
    return np.stack(rows, axis=1).ravel()


def interpolation_pairs(labels: Array, seed: int) -> Array:
    """Indices ``(6, 2)``: five pairs of different classes that share none, then one of one class.

    With fewer than ten classes they repeat.
    """
    generator = numpy_stream(seed, "interpolations")
    order = generator.permutation(np.unique(labels))
    classes = np.resize(order, 2 * (PAIRS - 1))
    classes = np.append(classes, [generator.choice(order)] * 2).reshape(PAIRS, 2)
    pairs = []
    for first, second in classes:
        a, b = np.flatnonzero(labels == first), np.flatnonzero(labels == second)
        i = generator.choice(a)
        others = b[b != i] if len(b) > 1 else b
        pairs.append((i, generator.choice(others)))
    return np.array(pairs)


def _reconstructions(context: Context, errors: Array) -> dict[str, Array]:
    images, labels = context.images("test"), context.data.test.labels
    shown = shown_images(labels, context.seed)
    order = np.argsort(errors, kind="stable")
    best, worst = order[:EXTREMES], order[::-1][:EXTREMES]

    def reconstructed(index: Array) -> Array:
        return as_bytes(context.reconstructions.numpy()[index])

    return {
        "originals": images[shown],
        "reconstructions": reconstructed(shown),
        "shown_labels": labels[shown],
        "best_originals": images[best],
        "best_reconstructions": reconstructed(best),
        "best_error": errors[best],
        "worst_originals": images[worst],
        "worst_reconstructions": reconstructed(worst),
        "worst_error": errors[worst],
    }


def _interpolations(context: Context) -> dict[str, Array]:
    labels = context.data.test.labels
    pairs = interpolation_pairs(labels, context.seed)
    pixels = as_bytes(interpolation.interpolate(context, pairs))
    return {
        "interpolations": pixels.reshape(PAIRS, interpolation.STEPS, -1),
        "interpolation_labels": labels[pairs],
    }


def _plane(context: Context) -> dict[str, Array]:
    """What a regular grid of the plane of two latent dimensions decodes to."""
    codes = context.codes("test")
    low, high = np.percentile(codes.astype(np.float64), [1, 99], axis=0)
    margin = np.maximum((high - low) * MANIFOLD_MARGIN, 1e-6)
    (x0, y0), (x1, y1) = low - margin, high + margin
    # Rows from the top: the first one has the largest y, as in a plot.
    y, x = np.meshgrid(
        np.linspace(y1, y0, MANIFOLD_SIDE), np.linspace(x0, x1, MANIFOLD_SIDE), indexing="ij"
    )
    return {
        "manifold": as_bytes(context.decode(np.stack([x.ravel(), y.ravel()], axis=1))),
        "manifold_extent": np.array([x0, x1, y0, y1]),
    }
