"""How generated images compare with real ones, for every sampler of codes.

The real images are test images. As many are generated, and both are compared in the features of
the lab's own digit classifier, as grey levels under every protocol, because a decoder gives the
mean of each pixel. The reference value of a metric is that of validation images, real against real.

Shape legend: N real images, M generated ones, D pixels, F features, C classes.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from aelab.data.binarize import to_unit
from aelab.errors import RunError
from aelab.metrics import neighbours
from aelab.metrics.base import Array, mean_only, metric
from aelab.metrics.classifier import Classifier, key, obtain
from aelab.metrics.context import BATCH, Context, cached
from aelab.metrics.neighbours import NEIGHBOURS, Cloud
from aelab.metrics.sampling import SAMPLERS, draw
from aelab.nets.matmul import linear
from aelab.runs.folder import CacheFolder
from aelab.runs.records import Better, Estimate

VERSION = 2  # raise it when a change here, or in what is called here, gives other numbers
NEAREST_OF = 1_000  # generated images whose nearest training image is searched for
TRAINING_BLOCK = 1_000
ROUNDING = 1e-5  # of the largest feature, which the classifier computes in float32

#: name -> title, unit, better side and description; there is one metric for each sampler.
SAMPLE_METRICS: dict[str, tuple[str, str, Better | None, str]] = {
    "coverage": (
        "Coverage", "", "higher",
        "Share of real images whose own 5-NN ball contains some generated image.",
    ),
    "precision": (
        "Precision", "", "higher",
        "Share of generated images within the 5-NN ball of some real image.",
    ),
    "recall": (
        "Recall", "", "higher",
        "Share of real images within the 5-NN ball of some generated image.",
    ),
    "density": (
        "Density", "", "higher",
        "Real 5-NN balls that contain a generated image, by 5; real against real gives about 1.",
    ),
    "frechet": (
        "Fréchet distance (digits)", "", "lower",
        "Fréchet distance of the Gaussians fitted to real and generated features.",
    ),
    "kernel": (
        "Kernel distance (digits)", "", "lower",
        "Unbiased squared MMD of real and generated features under the cubic kernel; may be "
        "below 0.",
    ),
    "class_entropy": (
        "Class entropy", "nats", None,
        "Entropy of the predicted classes of generated images; log C if balanced.",
    ),
    "nearest_train": (
        "Nearest training image", "", None,
        "Mean Euclidean distance of a generated image to the nearest training image; 0 is a copy.",
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sample:
    """Features of images; ``images`` ``(M, D)`` are the first few, in [0, 1]."""

    features_MF: Tensor
    probabilities_MC: Tensor
    images: Tensor


@cached
def classifier(context: Context) -> Classifier:
    """The digit classifier of the context's data."""
    return obtain(context.data, context.report)


def size(context: Context) -> int:
    """The number of real images, and of generated ones."""
    return min(context.settings.draws, len(context.data.test))


def classify(context: Context, batches: list[Tensor]) -> Sample:
    """The sample of images in [0, 1], batch by batch."""
    parts = [classifier(context)(images) for images in batches]
    features, probabilities = zip(*parts, strict=True)
    first = torch.cat(batches[: -(-NEAREST_OF // BATCH)])[:NEAREST_OF]
    return Sample(torch.cat(features), torch.cat(probabilities).double(), first)


def _split_sample(context: Context, images: Array) -> Sample:
    chosen = torch.from_numpy(images[: size(context)])
    return classify(context, [to_unit(part) for part in chosen.split(BATCH)])


@cached
def compare(context: Context, sampler: str) -> dict[str, Array | Estimate | None]:
    """The generated images of a sampler against the test images: values of ``SAMPLE_METRICS``.

    A value is missing where it is not defined: for a sampler that the model does not have,
    fewer images than a 5-NN ball needs, or real images that are all the same.
    """
    codes = draw(context).get(sampler)
    if codes is None:
        return {}
    context.report(f"generating images by {SAMPLERS[sampler]}")
    codes = codes[: size(context)]
    parts = np.split(codes, range(BATCH, len(codes), BATCH))
    return _compare(
        context, classify(context, [torch.from_numpy(context.decode(part)) for part in parts])
    )


@cached
def _real(context: Context) -> Cloud | None:
    """The features of the test images, cached for other models; None if they have no scale."""
    folder = CacheFolder("real", _key(context))
    with folder.lock():
        try:
            cloud = Cloud(**folder.tensors("features.safetensors"))
        except RunError:  # missing or damaged
            cloud = neighbours.cloud(_split_sample(context, context.data.test.images).features_MF)
            folder.write("features.safetensors", safetensors.torch.save(vars(cloud)))
    features_NF = cloud.samples_NF
    spread = (features_NF.amax(0) - features_NF.amin(0)).max()
    # One image, or all the same.
    return None if spread <= ROUNDING * features_NF.abs().max() else cloud


def _compare(context: Context, generated: Sample) -> dict[str, Array | Estimate | None]:
    real, count = _real(context), len(generated.features_MF)
    found: dict[str, Array | Estimate | None] = {}
    if real is not None and count > 1:
        cloud = neighbours.cloud(generated.features_MF)
        values = neighbours.compare(real, cloud)
        distance = neighbours.frechet(real.samples_NF.double(), cloud.samples_NF.double())
        found["frechet"] = Estimate(distance, n=count)
        found["kernel"] = Estimate(float(values.pop("kernel")), n=count)
        if min(count, len(real.samples_NF)) > NEIGHBOURS:
            for name, each in values.items():
                whole = len(each) == len(context.data.test) and name in ("recall", "coverage")
                found[name] = each.numpy() if whole else mean_only(each.numpy())
    classes = torch.bincount(generated.probabilities_MC.argmax(-1)).double()
    entropy = float(torch.special.entr(classes / classes.sum()).sum())
    found["class_entropy"] = Estimate(entropy, n=count)
    nearest = nearest_distance(generated.images, context.data.train.images)
    return found | {"nearest_train": mean_only(nearest.numpy())}


def nearest_distance(images_MD: Tensor, training: Array) -> Tensor:
    """The distance ``(M,)`` of each image in [0, 1] to the nearest of uint8 images.

    The nearest is found in float32 by the product formula. Its distance is that of the difference
    in float64, because the formula would give a copy a distance.
    """
    best = torch.full((len(images_MD),), torch.inf)
    index = torch.zeros(len(images_MD), dtype=torch.long)
    minus_2x_MD = -2 * images_MD
    blocks = torch.from_numpy(training).split(TRAINING_BLOCK)
    for number, block in enumerate(blocks):
        y_BD = to_unit(block)
        score_MB = linear(minus_2x_MD, y_BD, y_BD.square().sum(-1))
        found, where = score_MB.min(-1)
        index = torch.where(found < best, where + number * TRAINING_BLOCK, index)
        best = torch.minimum(best, found)
    nearest_MD = to_unit(torch.from_numpy(training)[index])
    return (images_MD.double() - nearest_MD.double()).square().sum(-1).sqrt()


for _sampler, _sampler_title in SAMPLERS.items():
    for _name, (_title, _unit, _better, _description) in SAMPLE_METRICS.items():
        metric(
            f"{_name}_{_sampler}",
            title=f"{_title}, {_sampler_title}",
            unit=_unit,
            better=_better,
            family="generation",
            needs=("decoder", "prior") if _sampler == "prior" else "decoder",
            description=_description,
            panel="samplers",
            quantity=_title,
            sampler=_sampler,
            classifier=_name != "nearest_train",
            asked=lambda settings, sampler=_sampler: sampler != "flow" or settings.flow,
        )(lambda context, sampler=_sampler, name=_name: compare(context, sampler).get(name))


def reference(context: Context) -> dict[str, float | None]:
    """Every metric with validation images in place of generated ones: the best possible value.

    It depends on the data, not on the model, so it is cached for other models.
    """
    folder = CacheFolder("floors", _key(context))
    with folder.lock():
        try:
            kept: dict[str, float | None] = folder.read_json("floor.json")
        except RunError:  # missing or damaged
            context.report("comparing validation images with test images")
            sample = _split_sample(context, context.data.validation.images)
            found = _compare(context, sample)
            kept = {name: _value(found.get(name)) for name in SAMPLE_METRICS}
            folder.write_json("floor.json", kept)
    return kept


def _value(result: Array | Estimate | None) -> float | None:
    if result is None:
        return None
    return result.value if isinstance(result, Estimate) else float(result.mean())


def _key(context: Context) -> str:
    """The hash of everything that real images depend on here, the classifier included."""
    used = classifier(context).sha256
    settings = (VERSION, key(context.data), used, context.settings.draws, NEIGHBOURS)
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(np.ascontiguousarray(context.data.validation.images).data)
    return digest.hexdigest()


def facts(context: Context) -> dict[str, Any]:
    """The conditions of the numbers: how many images, the classifier, the reference values."""
    return {
        "real": size(context),
        "drawn": size(context),
        "validation": min(size(context), len(context.data.validation)),
        "classifier": classifier(context).facts(),
        "floor": reference(context),
    }
