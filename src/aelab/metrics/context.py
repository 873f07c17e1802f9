"""What is measured: a subject with codes, and what its measures share, computed once.

Everything runs in batches without gradients, and whatever is drawn comes from a fixed stream of
the seed, so that evaluating twice gives the same numbers to the last digit.

Shape legend: N images, B of them in a batch, D pixels, Z latent dimensions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar, cast, final
from typing import Protocol as Interface
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from aelab.config.evaluation import EvaluationSettings
from aelab.data.binarize import Protocol, freeze, to_unit
from aelab.data.dataset import Data, Split
from aelab.losses import Batch
from aelab.metrics.base import Array
from aelab.models import Autoencoder, Capability, Latent, Variational

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, Part, Part] = ("train", "validation", "test")
BATCH = 250  # decoded images of a batch stay in the cache


S = TypeVar("S", bound="Subject")
P = ParamSpec("P")
T = TypeVar("T")


def once(function: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Compute a function of a subject once a subject: several measures may share what it gives."""
    kept: WeakKeyDictionary[S, dict[Any, T]] = WeakKeyDictionary()

    @wraps(function)
    def known(subject: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        found = kept.setdefault(subject, {})
        key = (args, tuple(kwargs.items()))
        if key not in found:
            found[key] = function(subject, *args, **kwargs)
        return found[key]

    return known


class Blocks(Interface):
    """Where the parts of a long measurement are kept until it is whole."""

    def block(self, name: str) -> Array | None:
        """A part that was kept, or None."""

    def keep_block(self, name: str, values: Array) -> None:
        """Keep a part."""


class NoBlocks:
    """Keeps nothing: every measurement begins anew."""

    def block(self, name: str) -> Array | None:
        """None."""

    def keep_block(self, name: str, values: Array) -> None:
        """Nothing."""


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(kw_only=True, eq=False)
class Subject(ABC):
    """Anything that turns images into codes. ``report`` is told what is being measured."""

    data: Data
    seed: int
    protocol: Protocol = "grey"
    report: Callable[[str], None] = silent
    _frozen: dict[Part, Array] = field(default_factory=dict, init=False, repr=False)
    _codes: dict[Part, Array] = field(default_factory=dict, init=False, repr=False)

    @property
    @abstractmethod
    def own_capabilities(self) -> frozenset[Capability]:
        """What the model or baseline itself has."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What metrics may use: also ``labels``, if there is more than one class to tell apart."""
        classes = len(np.unique(self.data.train.labels))
        return self.own_capabilities | ({"labels"} if classes > 1 else set())

    @abstractmethod
    def encode(self, batch: Batch) -> Tensor:
        """Codes ``(B, Z)`` of a batch; deterministic."""

    def split(self, part: Part) -> Split:
        """One of the three parts of the data."""
        splits = {
            "train": self.data.train,
            "validation": self.data.validation,
            "test": self.data.test,
        }
        return splits[part]

    def images(self, part: Part) -> Array:
        """The images under the data protocol, uint8 ``(N, D)``.

        Binarised images are drawn once, under ``dynamic`` too, so that metrics do not vary.
        """
        if part not in self._frozen:
            images = self.split(part).images
            grey = self.protocol == "grey"
            self._frozen[part] = images if grey else freeze(images, self.seed, part)
        return self._frozen[part]

    def batches(self, part: Part) -> Iterator[Batch]:
        """The images in [0, 1], float32 ``(B, D)`` at a time, and their labels ``(B,)``."""
        whole = torch.from_numpy(self.images(part)), torch.from_numpy(self.split(part).labels)
        for images_u8, labels_B in zip(*(tensor.split(BATCH) for tensor in whole), strict=True):
            yield Batch(to_unit(images_u8), labels_B)

    @torch.inference_mode()
    def codes(self, part: Part) -> Array:
        """The code of every image of a part, float32 ``(N, Z)``."""
        if part not in self._codes:
            codes = [self.encode(batch).cpu() for batch in self.batches(part)]
            self._codes[part] = torch.cat(codes).numpy()
        return self._codes[part]

    @cached_property
    def x(self) -> Tensor:
        """The test images in [0, 1], float32 ``(N, D)``."""
        return torch.cat([batch.x for batch in self.batches("test")])


class DecodedSubject(Subject):
    """A subject that reconstructs images from their codes."""

    @property
    @abstractmethod
    def reconstructions(self) -> Tensor:
        """The reconstructions of the test images, pixels ``(N, D)``."""

    @abstractmethod
    def reconstruct(self, batch: Batch) -> Tensor:
        """Reconstructions ``(B, D)`` of any batch of images in [0, 1]."""


class HasEvaluation(Interface):
    """An experiment, as far as an evaluation depends on it."""

    @property
    def seed(self) -> int:
        """The seed of whatever is drawn."""

    @property
    def pixels(self) -> Protocol:
        """The data protocol."""

    @property
    def evaluation(self) -> EvaluationSettings:
        """How much effort the metrics take."""


@final
@dataclass(kw_only=True, eq=False)
class Context(DecodedSubject):
    """A trained model on the test images of its data. The model is put into evaluation mode."""

    model: Autoencoder
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    blocks: Blocks = field(default_factory=NoBlocks)

    @classmethod
    def of(cls, experiment: HasEvaluation, model: Autoencoder, data: Data, **rest: Any) -> Self:
        """As the experiment wants it measured."""
        return cls(
            model=model,
            data=data,
            seed=experiment.seed,
            protocol=experiment.pixels,
            settings=experiment.evaluation,
            **rest,
        )

    def __post_init__(self) -> None:
        self.model.eval()

    @property
    def own_capabilities(self) -> frozenset[Capability]:
        """Those of the model."""
        return self.model.capabilities

    @property
    def device(self) -> torch.device:
        """The device of the model; results come back to the CPU."""
        return next(self.model.parameters()).device

    def given(self, batch: Batch) -> tuple[Autoencoder, Tensor]:
        """The model, given the labels of the batch, and the images on its device."""
        assert batch.labels is not None, "a context has labels"
        return self.model.given(batch.labels.to(self.device)), batch.x.to(self.device)

    def encode(self, batch: Batch) -> Tensor:
        """The deterministic code, ``(B, Z)``: the posterior mean of a variational model."""
        model, x_BD = self.given(batch)
        return model.encode(x_BD)

    def reconstruct(self, batch: Batch) -> Tensor:
        """The mean of each pixel's distribution ``(B, D)``, decoded from the deterministic code."""
        model, x_BD = self.given(batch)
        return model.reconstruct(x_BD).cpu()

    @cached_property
    @torch.inference_mode()
    def logits(self) -> Tensor:
        """Logits ``(N, D)`` of the test images, decoded from their deterministic codes."""
        codes = torch.split(torch.from_numpy(self.codes("test")), BATCH)
        return torch.cat(
            [
                self.given(batch)[0].decode(z_BZ.to(self.device)).cpu()
                for batch, z_BZ in zip(self.batches("test"), codes, strict=True)
            ]
        )

    @cached_property
    @torch.inference_mode()
    def reconstructions(self) -> Tensor:
        """The mean of each pixel's distribution for the test images, ``(N, D)``."""
        return torch.cat([self.model.pixels(logits) for logits in torch.split(self.logits, BATCH)])

    @torch.inference_mode()
    def decode(self, codes: Array) -> Array:
        """Pixels in [0, 1], float32 ``(N, D)``, of any codes ``(N, Z)``."""
        z = torch.from_numpy(np.ascontiguousarray(codes, dtype=np.float32))
        decoded = [self.model.decode(part.to(self.device)) for part in torch.split(z, BATCH)]
        return torch.cat([self.model.pixels(logits).cpu() for logits in decoded]).numpy()

    def posterior(self, batch: Batch) -> Latent:
        """q(z|x) of a batch; the model needs the capability ``likelihood``."""
        model, x_BD = self.given(batch)
        return cast("Variational", model).posterior(x_BD)

    def prior(self, batch: Batch | None = None) -> Latent:
        """p(z); of a conditional model given the labels of a batch."""
        model = self.given(batch)[0] if batch else self.model
        return cast("Variational", model).prior()
