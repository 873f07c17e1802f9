"""Straight walks between codes of one class: does the class hold, and how straight is the way?

Shape legend: K pairs, S steps, D pixels, C classes.
"""

import numpy as np
import torch

from aelab.metrics.base import Array, Estimate, metric
from aelab.metrics.context import Context, once
from aelab.metrics.generation import classifier
from aelab.randomness import numpy_stream

STEPS = 11  # ends included
CERTAIN = 0.9
BLOCK = 100  # pairs at a time


@metric(
    "interpolation_consistency",
    title="Interpolation consistency",
    better="higher",
    family="latent",
    needs=("decoder", "labels"),  # one class the classifier gives to everything
    classifier=True,
)
def interpolation_consistency(context: Context) -> Estimate | None:
    """Share of same-class test pairs whose 11 linear steps all keep the class at ≥ .9."""
    kept, _ = walks(context)
    return Estimate(float(kept.mean()), None, None, len(kept)) if len(kept) else None


@metric("arc_chord", title="Arc / chord", better="lower", family="latent")
def arc_chord(context: Context) -> Estimate | None:
    """Length of the decoded way between same-class codes over the straight one; 1 is straight."""
    _, ratio = walks(context)
    return Estimate(float(ratio.mean()), None, None, len(ratio)) if len(ratio) else None


@once
def walks(context: Context) -> tuple[Array, Array]:
    """Of each pair whether the class held, and the ratio of arc to chord where there is one.

    The class is that of both images; the classifier must give it at least .9 at every step. The
    chord is the Euclidean distance of the decoded ends in pixels, the arc the sum over the steps.
    """
    pairs = same_class_pairs(context.data.test.labels, context.settings.pairs, context.seed)
    codes, labels = context.codes("test"), context.data.test.labels
    share = np.linspace(0, 1, STEPS)[:, None]
    kept: list[Array] = [np.zeros(0, bool)]
    ratios: list[Array] = [np.zeros(0)]
    for first in range(0, len(pairs), BLOCK):
        block = pairs[first : first + BLOCK]
        start, end = (codes[block[:, side], None].astype(np.float64) for side in (0, 1))
        z = (1 - share) * start + share * end
        images = torch.from_numpy(context.decode(z.reshape(len(block) * STEPS, -1)))
        _, probabilities = classifier(context)(images)
        certain = probabilities.view(len(block), STEPS, -1).numpy()
        own = np.take_along_axis(certain, labels[block[:, :1], None], axis=2)[..., 0]
        kept.append(np.asarray((own >= CERTAIN).all(axis=1)))
        way = images.view(len(block), STEPS, -1).double()
        arc = way.diff(dim=1).square().sum(-1).sqrt().sum(-1).numpy()
        chord = (way[:, -1] - way[:, 0]).square().sum(-1).sqrt().numpy()
        apart = chord > np.finfo(np.float32).eps * images.shape[1] ** 0.5  # beyond rounding
        ratios.append(arc[apart] / chord[apart])
    return np.concatenate(kept), np.concatenate(ratios)


def same_class_pairs(labels: Array, count: int, seed: int) -> Array:
    """Indices ``(count, 2)`` of two different images of one class; chosen by labels and seed alone.

    The first is any image that has a fellow, the second any fellow of it; ``(0, 2)`` if none has.
    """
    generator = numpy_stream(seed, "same-class pairs")
    order = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    group = np.repeat(np.arange(len(sizes)), sizes)
    places = np.flatnonzero(sizes[group] > 1)
    if not len(places):
        return np.zeros((0, 2), int)
    first = generator.choice(places, count)
    size, start = sizes[group[first]], starts[group[first]]
    # Any other place of the group: between one and size − 1 steps on, round the group.
    second = start + (first - start + generator.integers(1, size)) % size
    pairs: Array = order[np.stack([first, second], axis=1)]
    return pairs
