"""What a metric is computed from: codes and images, and intermediate results that metrics share.

Everything runs in batches without gradients, and every random stream has a fixed name, so that
evaluating twice gives the same numbers to the last digit.

Shape legend: N images, B of them in a batch, D pixels, Z latent dimensions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast, final

import numpy as np
import torch
from torch import Tensor

from aelab.config.evaluation import EvaluationSettings
from aelab.data.binarize import Protocol, freeze, to_unit
from aelab.data.dataset import Data, Part, Split
from aelab.losses import Batch
from aelab.metrics.base import Array
from aelab.models import Autoencoder, Capability, Latent, Variational
from aelab.runs.models import ModelFolder

BATCH = 250  # decoded images of a batch stay in the cache

C = TypeVar("C", bound="BaseContext")
P = ParamSpec("P")
T = TypeVar("T")


def cached(function: Callable[Concatenate[C, P], T]) -> Callable[Concatenate[C, P], T]:
    """Keep the results of a function of a context as long as the context lives."""

    @wraps(function)
    def lookup(context: C, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (function, args, tuple(kwargs.items()))
        if key not in context.cache:
            context.cache[key] = function(context, *args, **kwargs)
        found: T = context.cache[key]
        return found

    return lookup


@dataclass(kw_only=True, eq=False)
class BaseContext(ABC):
    """A model or baseline that turns images into codes; ``report`` receives progress messages."""

    data: Data
    seed: int
    protocol: Protocol = "grey"
    report: Callable[[str], None] = lambda _: None
    cache: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

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
        split: Split = getattr(self.data, part)
        return split

    @cached
    def images(self, part: Part) -> Array:
        """The images under the data protocol, uint8 ``(N, D)``.

        Images are binarised once, under ``dynamic`` too, so that metrics do not vary.
        """
        images = self.split(part).images
        return images if self.protocol == "grey" else freeze(images, self.seed, part)

    def batches(self, part: Part) -> Iterator[Batch]:
        """The images in [0, 1], float32 ``(B, D)`` at a time, and their labels ``(B,)``."""
        whole = torch.from_numpy(self.images(part)), torch.from_numpy(self.split(part).labels)
        for images_u8, labels_B in zip(*(tensor.split(BATCH) for tensor in whole), strict=True):
            yield Batch(to_unit(images_u8), labels_B)

    @cached
    @torch.inference_mode()
    def codes(self, part: Part) -> Array:
        """The code of every image of a part, float32 ``(N, Z)``."""
        codes: Array = torch.cat([self.encode(b).cpu() for b in self.batches(part)]).numpy()
        return codes

    @cached_property
    def x(self) -> Tensor:
        """The test images in [0, 1], float32 ``(N, D)``."""
        return torch.cat([batch.x for batch in self.batches("test")])

    def reconstruct(self, batch: Batch) -> Tensor:
        """Reconstructions ``(B, D)`` of images in [0, 1]; needs the capability ``pixels``."""
        raise NotImplementedError

    @cached_property
    @torch.inference_mode()
    def reconstructions(self) -> Tensor:
        """The reconstructions of the test images, pixels ``(N, D)``."""
        return torch.cat([self.reconstruct(batch) for batch in self.batches("test")])


@final
@dataclass(kw_only=True, eq=False)
class Context(BaseContext):
    """A trained model on the test images of its data. The model is put into evaluation mode.

    ``folder`` keeps the parts of a long evaluation, so that it can be resumed.
    """

    model: Autoencoder
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    folder: ModelFolder | None = None

    @classmethod
    def of(cls, experiment: Any, model: Autoencoder, data: Data, **fields: Any) -> Self:
        """The context of a model with the seed and the settings of its ``Experiment``."""
        return cls(
            model=model,
            data=data,
            seed=experiment.seed,
            protocol=experiment.pixels,
            settings=experiment.evaluation,
            **fields,
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
