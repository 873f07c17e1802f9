"""The digit classifier in whose features generated images are compared with real ones.

It is trained on the training split of the run's own data and nothing else, from a fixed seed, so no
number depends on a network of others. It is cached under the hash of its data, its settings and
their version. The hash of its weights is stored with every number that depends on it.

Shape legend: B images of a batch, N images, D pixels, F features, C classes.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from aelab.data.binarize import to_unit
from aelab.data.dataset import Data
from aelab.errors import RunError
from aelab.metrics.base import Array
from aelab.nets.initialisation import initialise
from aelab.randomness import stream
from aelab.runs.folder import CacheFolder

VERSION = 1  # raise it when a change here, or in what is called here, gives other weights
FEATURES = 64
CHANNELS = (16, 32, 64)
LEAST_BATCH, MOST_BATCH = 16, 128
LEAST_STEPS = 60  # an epoch, where the batch can be small enough
EXAMPLES = 200_000  # training examples in all epochs together, as far as MOST_EPOCHS allows
LEAST_EPOCHS, MOST_EPOCHS = 4, 20
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 1e-2
SHIFT = 2  # pixels, in each direction
SCALED_ON = 1_000  # training images
SEED = 0  # the same for every seed of a study
BATCH = 250  # images of a forward pass


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier; ``accuracy`` is on the test images, ``sha256`` of the weights."""

    network: nn.Sequential
    image_size: tuple[int, int]
    accuracy: float
    sha256: str

    @torch.inference_mode()
    def __call__(self, images_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(N, F)`` and class probabilities ``(N, C)`` of images in [0, 1]."""
        planes = (as_planes(x_BD, self.image_size) for x_BD in images_ND.split(BATCH))
        features_NF = torch.cat([self.network[:-1](x) for x in planes])
        return features_NF, functional.softmax(self.network[-1](features_NF), dim=-1)

    def facts(self) -> dict[str, Any]:
        """What is stored with every number that depends on it."""
        return {"accuracy": self.accuracy, "sha256": self.sha256}


def obtain(data: Data, report: Callable[[str], None]) -> Classifier:
    """The classifier of these data, from the cache or trained now; one process trains at a time."""
    folder = CacheFolder("classifiers", key(data))
    network = build(data.image_size, data.classes)
    with folder.lock():
        try:
            weights = folder.tensors("weights.safetensors")
        except RunError:  # missing or damaged
            report("training the digit classifier")
            train(network, data)
            accuracy = test_accuracy(network, data)
            folder.write("weights.safetensors", safetensors.torch.save(network.state_dict()))
            folder.note(accuracy=accuracy, data=data.name)
        else:
            network.load_state_dict(weights)
        manifest = folder.manifest()
    digest = manifest["files"]["weights.safetensors"]
    # In this order of memory the convolutions take half as long.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
    return Classifier(network.eval(), data.image_size, manifest["accuracy"], digest)


def key(data: Data) -> str:
    """The hash of everything that the classifier depends on."""
    settings = (
        VERSION, torch.__version__, data.image_size, data.classes, CHANNELS, FEATURES, SEED, SHIFT,
        EXAMPLES, SCALED_ON, LEARNING_RATE, WEIGHT_DECAY, LEAST_STEPS,
        LEAST_BATCH, MOST_BATCH, LEAST_EPOCHS, MOST_EPOCHS,
    )  # fmt: skip
    digest = hashlib.sha256(repr(settings).encode())
    for split in (data.train, data.test):
        digest.update(np.ascontiguousarray(split.images).data)
        digest.update(np.ascontiguousarray(split.labels).data)
    return digest.hexdigest()


def build(image_size: tuple[int, int], classes: int) -> nn.Sequential:
    """Three convolutions, each halving the image, then the features, then the classes."""
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):  # layers draw from the global generator when built
        for inputs, outputs in zip((1, *CHANNELS), CHANNELS, strict=False):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                nn.MaxPool2d(2, ceil_mode=True),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        positions = math.prod(math.ceil(side / 2 ** len(CHANNELS)) for side in image_size)
        layers += [nn.Flatten(), nn.Linear(CHANNELS[-1] * positions, FEATURES), nn.ReLU()]
        network = nn.Sequential(*layers, nn.Linear(FEATURES, classes))
    initialise(network, SEED)
    return network


def train(network: nn.Sequential, data: Data) -> None:
    """AdamW under a one-cycle rate, on randomly shifted training images, with one thread."""
    images = torch.from_numpy(data.train.images)
    labels = torch.from_numpy(data.train.labels)
    epochs = min(max(round(EXAMPLES / len(images)), LEAST_EPOCHS), MOST_EPOCHS)
    batch = min(max(len(images) // LEAST_STEPS, LEAST_BATCH), MOST_BATCH, len(images))
    steps = len(images) // batch  # an incomplete batch is left out
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=epochs * steps + 1
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so that all processes train the same weights
    network.train()
    for epoch in range(epochs):
        generator = stream(SEED, "classifier", epoch)
        order = torch.randperm(len(images), generator=generator)[: steps * batch]
        for chosen in order.split(batch):
            planes = as_planes(shifted(to_unit(images[chosen]), data.image_size, generator))
            loss = functional.cross_entropy(network(planes), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    _normalise(network, data)
    torch.set_num_threads(threads)


@torch.inference_mode()
def _normalise(network: nn.Sequential, data: Data) -> None:
    """Give the features mean square 1 on training images, so that distances have a known scale.

    The ReLU before them is homogeneous: what is divided before it is multiplied after it, and the
    classifier stays the same.
    """
    features = network[:-1](
        as_planes(to_unit(torch.from_numpy(data.train.images[:SCALED_ON])), data.image_size)
    )
    scale = features.square().mean().sqrt().clamp_min(1e-12)
    before, after = network[-3], network[-1]
    assert isinstance(before, nn.Linear)
    assert isinstance(after, nn.Linear)
    before.weight.div_(scale)
    before.bias.div_(scale)
    after.weight.mul_(scale)


def shifted(x_BD: Tensor, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """The images ``(B, H, W)`` moved by up to two pixels, all by the same."""
    height, width = size
    padded = functional.pad(x_BD.view(-1, height, width), [SHIFT] * 4)
    top, left = torch.randint(0, 2 * SHIFT + 1, (2,), generator=generator).tolist()
    return padded[:, top : top + height, left : left + width]


def as_planes(x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Images as ``(B, 1, H, W)``, in the memory order in which convolutions are fast."""
    planes = x.reshape(-1, 1, *(size or x.shape[-2:]))
    return planes.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def test_accuracy(network: nn.Sequential, data: Data) -> float:
    """The share of test images that are classified correctly."""
    predicted = [
        network(as_planes(to_unit(part), data.image_size)).argmax(-1)
        for part in torch.split(torch.from_numpy(data.test.images), BATCH)
    ]
    right: Array = torch.cat(predicted).numpy() == data.test.labels
    return float(right.mean())
