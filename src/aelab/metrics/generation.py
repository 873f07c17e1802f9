"""How the drawn images compare with the real ones, for every way of drawing codes.

Real are test images; as many are drawn, and both are seen through the features of the lab's own
digit classifier. Images are compared as grey levels under every protocol: what a decoder shows is
the mean of a pixel. The floor of each measure is what validation images get in place of drawn ones.

Shape legend: N real images, M drawn ones, D pixels, F features, C classes.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aelab.data.binarize import to_unit
from aelab.errors import RunError
from aelab.metrics import neighbours
from aelab.metrics.base import Array, Better, Estimate, metric
from aelab.metrics.classifier import Classifier, key, obtain
from aelab.metrics.context import BATCH, Context, once
from aelab.metrics.neighbours import NEIGHBOURS, Overlap
from aelab.metrics.sampling import SAMPLERS, draw
from aelab.nets.matmul import linear
from aelab.runs.folder import CacheFolder

VERSION = 1  # raise it when a change here, or in what is called here, gives other numbers
NEAREST_OF = 2_000  # drawn images whose nearest training image is looked for
TRAINING_BLOCK = 1_000
ROUNDING = 1e-5  # of the largest feature, which the classifier computes in float32


@dataclass(frozen=True, eq=False)
class Sample:
    """Images as the measures see them; ``images`` ``(M, D)`` are the first few, in [0, 1]."""

    features_MF: Tensor
    probabilities_MC: Tensor
    images: Tensor


@once
def classifier(context: Context) -> Classifier:
    """The digit classifier of the context's data."""
    return obtain(context.data, context.report)


def size(context: Context) -> int:
    """How many images stand on either side."""
    return min(context.settings.draws, len(context.data.test))


def seen(context: Context, batches: list[Tensor]) -> Sample:
    """The sample of images in [0, 1], batch by batch."""
    parts = [classifier(context)(images) for images in batches]
    features, probabilities = zip(*parts, strict=True)
    first = torch.cat(batches[: -(-NEAREST_OF // BATCH)])[:NEAREST_OF]
    return Sample(torch.cat(features).double(), torch.cat(probabilities).double(), first)


def _split_sample(context: Context, images: Array) -> Sample:
    chosen = torch.from_numpy(images[: size(context)])
    return seen(context, [to_unit(part) for part in chosen.split(BATCH)])


@dataclass(frozen=True, eq=False)
class Scene:
    """Drawn images facing the real ones.

    ``balls`` and ``real_within`` are None for real images that are all the same: a distance to a
    distribution without spread has no scale.
    """

    real: Sample
    drawn: Sample
    balls: Overlap | None  # None where either side has too few images for a 5-NN ball
    real_within: float | None  # the real images' own part of the kernel distance
    training: Array  # uint8 images


@once
def scene(context: Context, sampler: str) -> Scene | None:
    """What a sampler draws, facing the test images; None where the model has no such sampler."""
    codes = draw(context).get(sampler)
    if codes is None:
        return None
    context.report(f"drawing images by {SAMPLERS[sampler]}")
    codes = codes[: size(context)]
    parts = np.split(codes, range(BATCH, len(codes), BATCH))
    drawn = seen(context, [torch.from_numpy(context.decode(part)) for part in parts])
    return _facing(context, drawn)


@once
def _real_parts(context: Context) -> tuple[Sample, Tensor | None, float | None]:
    """The test images, the squared radii of their balls, and their part of the kernel distance."""
    sample = _split_sample(context, context.data.test.images)
    features = sample.features_MF
    spread = (features.amax(0) - features.amin(0)).max()
    if spread <= ROUNDING * features.abs().max():  # one image, or all the same
        return sample, None, None
    radii = neighbours.radii(features) if len(features) > NEIGHBOURS else None
    return sample, radii, neighbours.kernel_within(features)


def _facing(context: Context, drawn: Sample) -> Scene:
    sample, radii, within = _real_parts(context)
    balls = None
    if radii is not None and len(drawn.features_MF) > NEIGHBOURS:
        balls = neighbours.overlap(sample.features_MF, drawn.features_MF, radii)
    return Scene(sample, drawn, balls, within, context.data.train.images)


def precision(scene: Scene) -> float | None:
    """Share of drawn images within the 5-NN ball of some real image."""
    return None if scene.balls is None else float(scene.balls.precision_M.mean())


def recall(scene: Scene) -> Array | None:
    """Share of real images within the 5-NN ball of some drawn image."""
    return None if scene.balls is None else scene.balls.recall_N.numpy()


def density(scene: Scene) -> float | None:
    """Real 5-NN balls that a drawn image lies in, by 5; real against real gives about 1."""
    return None if scene.balls is None else float(scene.balls.density_M.mean())


def coverage(scene: Scene) -> Array | None:
    """Share of real images whose own 5-NN ball holds some drawn image."""
    return None if scene.balls is None else scene.balls.coverage_N.numpy()


def frechet(scene: Scene) -> float | None:
    """Fréchet distance of the Gaussians fitted to real and drawn features."""
    if scene.real_within is None or len(scene.drawn.features_MF) < 2:
        return None
    return neighbours.frechet(scene.real.features_MF, scene.drawn.features_MF)


def kernel(scene: Scene) -> float | None:
    """Unbiased squared MMD of real and drawn features under the cubic kernel; may be below 0."""
    if scene.real_within is None or len(scene.drawn.features_MF) < 2:
        return None
    features = scene.real.features_MF, scene.drawn.features_MF
    return neighbours.kernel_distance(*features, scene.real_within)


def class_entropy(scene: Scene) -> float:
    """Entropy of the classes that the classifier sees in the drawn images; log C if balanced."""
    counts = torch.bincount(scene.drawn.probabilities_MC.argmax(-1)).double()
    return float(torch.special.entr(counts / counts.sum()).sum())


def nearest_train(scene: Scene) -> Estimate:
    """Mean Euclidean distance of a drawn image to the nearest training image; 0 is a copy."""
    distances = nearest_distance(scene.drawn.images, scene.training)
    return Estimate(float(distances.mean()), None, None, len(distances))


def nearest_distance(images_MD: Tensor, training: Array) -> Tensor:
    """The distance ``(M,)`` of each image in [0, 1] to the nearest of uint8 images.

    Found in float32 by the product formula, then measured in float64 by the difference: that
    formula would give a copy a distance.
    """
    best = torch.full((len(images_MD),), torch.inf)
    place = torch.zeros(len(images_MD), dtype=torch.long)
    minus_2x_MD = -2 * images_MD
    blocks = torch.from_numpy(training).split(TRAINING_BLOCK)
    for number, block in enumerate(blocks):
        y_BD = to_unit(block)
        score_MB = linear(minus_2x_MD, y_BD, y_BD.square().sum(-1))
        found, where = score_MB.min(-1)
        place = torch.where(found < best, where + number * TRAINING_BLOCK, place)
        best = torch.minimum(best, found)
    nearest_MD = to_unit(torch.from_numpy(training)[place])
    return (images_MD.double() - nearest_MD.double()).square().sum(-1).sqrt()


Function = Callable[[Scene], float | Array | Estimate | None]
#: name -> the function, its title, unit and better side; one measure is made for each sampler.
QUANTITIES: dict[str, tuple[Function, str, str, Better]] = {
    "coverage": (coverage, "Coverage", "", "higher"),
    "precision": (precision, "Precision", "", "higher"),
    "recall": (recall, "Recall", "", "higher"),
    "density": (density, "Density", "", "higher"),
    "frechet": (frechet, "Fréchet distance (digits)", "", "lower"),
    "kernel": (kernel, "Kernel distance (digits)", "", "lower"),
    "class_entropy": (class_entropy, "Class entropy", "nats", None),
    "nearest_train": (nearest_train, "Nearest training image", "", None),
}


def _register(quantity: str, sampler: str) -> None:
    function, title, unit, better = QUANTITIES[quantity]

    def measured(context: Context) -> float | Array | Estimate | None:
        found = scene(context, sampler)
        value = None if found is None else function(found)
        if isinstance(value, np.ndarray) and len(value) < len(context.data.test):
            return Estimate(float(value.mean()), None, None, len(value))
        return value

    measured.__doc__ = function.__doc__
    metric(
        f"{quantity}_{sampler}",
        title=f"{title}, {SAMPLERS[sampler]}",
        unit=unit,
        better=better,
        family="generation",
        needs=("decoder", "prior") if sampler == "prior" else "decoder",
        panel="samplers",
        quantity=title,
        sampler=sampler,
        classifier=function is not nearest_train,
        asked=lambda settings: sampler != "flow" or settings.flow,
    )(measured)


for _sampler in SAMPLERS:
    for _quantity in QUANTITIES:
        _register(_quantity, _sampler)


def floor(context: Context) -> dict[str, float | None]:
    """Every quantity with validation images in place of drawn ones: the best that can be had.

    It follows from the data, not from the model, so it is kept in the cache for other models.
    """
    folder = CacheFolder("floors", _floor_key(context))
    with folder.lock():
        try:
            kept: dict[str, float | None] = folder.read_json("floor.json")
        except RunError:  # not there, or damaged
            context.report("comparing validation images with test images")
            kept = _floor(context)
            folder.write_json("floor.json", kept)
    return kept


def _floor_key(context: Context) -> str:
    """The hash of everything that the floor follows from, the classifier's included."""
    settings = (VERSION, key(context.data), context.settings.draws, NEIGHBOURS)
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(np.ascontiguousarray(context.data.validation.images).data)
    return digest.hexdigest()


def _floor(context: Context) -> dict[str, float | None]:
    facing = _facing(context, _split_sample(context, context.data.validation.images))

    def value(function: Function) -> float | None:
        result = function(facing)
        if result is None:
            return None
        return result.value if isinstance(result, Estimate) else float(np.mean(result))

    return {name: value(function) for name, (function, *_) in QUANTITIES.items()}


def facts(context: Context) -> dict[str, Any]:
    """What must stand beside the numbers: how many images, the classifier, the floor."""
    return {
        "real": size(context),
        "drawn": size(context),
        "validation": min(size(context), len(context.data.validation)),
        "classifier": classifier(context).facts(),
        "floor": floor(context),
    }
