"""Straight lines between codes of one class: is the class kept, and is the decoded path straight?

Shape legend: K pairs, S steps, D pixels, C classes.
"""

import numpy as np
import torch

from aelab.metrics.base import Array, mean_only, metric
from aelab.metrics.context import Context, cached
from aelab.metrics.generation import classifier
from aelab.randomness import numpy_stream
from aelab.runs.records import Estimate

STEPS = 11  # ends included
MIDDLE_FIRST = sorted(range(STEPS), key=lambda step: abs(step - STEPS // 2))
CERTAIN = 0.9
BLOCK = 250  # pairs at a time


@metric(
    "interpolation_consistency",
    title="Interpolation consistency",
    better="higher",
    family="latent",
    needs=("decoder", "labels"),  # with one class the classifier is always right
    classifier=True,
)
def interpolation_consistency(context: Context) -> Estimate | None:
    """Share of same-class test pairs whose 11 linear steps all keep the class at ≥ .9."""
    return mean_only(interpolate_pairs(context)[0])


@metric("arc_chord", title="Arc / chord", better="lower", family="latent")
def arc_chord(context: Context) -> Estimate | None:
    """Length of the decoded path between same-class codes over its chord; 1 is straight."""
    return mean_only(interpolate_pairs(context)[1])


@cached
def interpolate_pairs(context: Context) -> tuple[Array, Array]:
    """Whether each pair keeps its class, and the ratio of arc to chord where there is a chord.

    The class is that of both images; the classifier must give it at least .9 at every step. The
    chord is the Euclidean distance of the decoded ends in pixels, the arc the sum over the steps.
    """
    pairs = same_class_pairs(context.data.test.labels, context.settings.pairs, context.seed)
    labels = context.data.test.labels
    kept: list[Array] = [np.zeros(0, bool)]
    ratios: list[Array] = [np.zeros(0)]
    for first in range(0, len(pairs), BLOCK):
        block = pairs[first : first + BLOCK]
        images_KSD = torch.from_numpy(interpolate(context, block)).unflatten(0, (-1, STEPS))
        keeps_K = np.ones(len(block), bool)
        for step in MIDDLE_FIRST:  # the middle fails most often, and what has failed is left out
            left = np.flatnonzero(keeps_K)
            _, probabilities = classifier(context)(images_KSD[left, step])
            own = probabilities[range(len(left)), labels[block[left, 0]]]
            keeps_K[left] = own.numpy() >= CERTAIN
        kept.append(keeps_K)
        path_KSD = images_KSD.double()
        arc_K = path_KSD.diff(dim=1).square().sum(-1).sqrt().sum(-1).numpy()
        chord_K = (path_KSD[:, -1] - path_KSD[:, 0]).square().sum(-1).sqrt().numpy()
        distinct = chord_K > np.finfo(np.float32).eps * path_KSD.shape[-1] ** 0.5  # beyond rounding
        ratios.append(arc_K[distinct] / chord_K[distinct])
    return np.concatenate(kept), np.concatenate(ratios)


def interpolate(context: Context, pairs_K2: Array) -> Array:
    """Images ``(K · S, D)`` decoded along straight lines between deterministic codes."""
    start, end = (context.codes("test")[pairs_K2[:, side], None] for side in (0, 1))
    share = np.linspace(0, 1, STEPS)[:, None]
    z_KSZ = (1 - share) * start + share * end
    return context.decode(z_KSZ.reshape(len(pairs_K2) * STEPS, -1))


def same_class_pairs(labels: Array, count: int, seed: int) -> Array:
    """Indices ``(count, 2)`` of two different images of one class; chosen by labels and seed alone.

    The first is any image of a class of two or more, the second any other image of that class;
    ``(0, 2)`` if there is no such class.
    """
    generator = numpy_stream(seed, "same-class pairs")
    order = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    group = np.repeat(np.arange(len(sizes)), sizes)
    candidates = np.flatnonzero(sizes[group] > 1)
    if not len(candidates):
        return np.zeros((0, 2), int)
    first = generator.choice(candidates, count)
    size, start = sizes[group[first]], starts[group[first]]
    # Any other position of the group: one to size − 1 steps on, cyclically.
    second = start + (first - start + generator.integers(1, size)) % size
    pairs: Array = order[np.stack([first, second], axis=1)]
    return pairs
