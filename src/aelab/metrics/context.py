"""What is measured: a subject with codes, and what its measures share, computed once.

Everything runs in batches without gradients, and whatever is drawn comes from a fixed stream of
the seed, so that evaluating twice gives the same numbers to the last digit.

Shape legend: N images, B of them in a batch, D pixels, Z latent dimensions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar, final
from typing import Protocol as Interface
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from aelab.config.evaluation import EvaluationSettings
from aelab.data.binarize import Protocol, freeze, to_unit
from aelab.data.dataset import Data, Split
from aelab.losses import gaussian_kl
from aelab.metrics.base import Array, Needs
from aelab.models import Autoencoder, GaussianAutoencoder
from aelab.models.base import reparameterise
from aelab.randomness import stream

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, Part, Part] = ("train", "validation", "test")
BATCH = 250  # decoded images of a batch stay in the cache
POSTERIOR_DRAWS = 10


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
    def level(self) -> Needs:
        """The most that can be measured on it."""

    @abstractmethod
    def encode(self, x_BD: Tensor) -> Tensor:
        """Codes ``(B, Z)`` of images in [0, 1]; deterministic."""

    def split(self, part: Part) -> Split:
        """One of the three parts of the data."""
        splits = {
            "train": self.data.train,
            "validation": self.data.validation,
            "test": self.data.test,
        }
        return splits[part]

    def has_classes(self, part: Part) -> bool:
        """Whether a part holds more than one class: with one there is nothing to classify."""
        return len(np.unique(self.split(part).labels)) > 1

    def presented(self, part: Part) -> Array:
        """The images as the protocol presents them, uint8 ``(N, D)``.

        Binarised ones are drawn once, under ``dynamic`` too: measures must not move.
        """
        if part not in self._frozen:
            images = self.split(part).images
            grey = self.protocol == "grey"
            self._frozen[part] = images if grey else freeze(images, self.seed, part)
        return self._frozen[part]

    def batches(self, part: Part) -> Iterator[Tensor]:
        """The presented images in [0, 1], float32 ``(B, D)`` at a time."""
        for images_u8 in torch.split(torch.from_numpy(self.presented(part)), BATCH):
            yield to_unit(images_u8)

    @torch.inference_mode()
    def codes(self, part: Part) -> Array:
        """The code of every image of a part, float32 ``(N, Z)``."""
        if part not in self._codes:
            codes = [self.encode(x_BD).cpu() for x_BD in self.batches(part)]
            self._codes[part] = torch.cat(codes).numpy()
        return self._codes[part]

    @cached_property
    def x(self) -> Tensor:
        """The presented test images in [0, 1], float32 ``(N, D)``."""
        return torch.cat(list(self.batches("test")))


class DecodedSubject(Subject):
    """A subject whose codes can be decoded; what it shows can be compared with the images."""

    @property
    @abstractmethod
    def shown(self) -> Tensor:
        """The test images as they come back from their codes, pixels ``(N, D)``."""

    @abstractmethod
    def reconstruct(self, x_BD: Tensor) -> Tensor:
        """Pixels ``(B, D)`` decoded from the codes of any images in [0, 1]."""


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
    def level(self) -> Needs:
        """A Gaussian autoencoder has a posterior, any other one is a model."""
        return "posterior" if isinstance(self.model, GaussianAutoencoder) else "model"

    @property
    def device(self) -> torch.device:
        """Where the model is; results come back to the CPU."""
        return next(self.model.parameters()).device

    def encode(self, x_BD: Tensor) -> Tensor:
        """The deterministic code, the posterior mean of a Gaussian autoencoder."""
        return self.model.encode(x_BD.to(self.device))

    def reconstruct(self, x_BD: Tensor) -> Tensor:
        """The mean of each pixel's distribution, decoded from the deterministic code."""
        return self.model.reconstruct(x_BD.to(self.device)).cpu()

    @cached_property
    @torch.inference_mode()
    def logits(self) -> Tensor:
        """Logits ``(N, D)`` of the test images, decoded from their deterministic codes."""
        codes = torch.split(torch.from_numpy(self.codes("test")), BATCH)
        return torch.cat([self.model.decode(z.to(self.device)).cpu() for z in codes])

    @cached_property
    @torch.inference_mode()
    def shown(self) -> Tensor:
        """The reconstructions ``(N, D)``: the mean of each pixel's distribution."""
        return torch.cat([self.model.pixels(logits) for logits in torch.split(self.logits, BATCH)])

    @torch.inference_mode()
    def decode(self, codes: Array) -> Array:
        """Pixels in [0, 1], float32 ``(N, D)``, of any codes ``(N, Z)``."""
        z = torch.from_numpy(np.ascontiguousarray(codes, dtype=np.float32))
        decoded = [self.model.decode(part.to(self.device)) for part in torch.split(z, BATCH)]
        return torch.cat([self.model.pixels(logits).cpu() for logits in decoded]).numpy()

    @cached_property
    @torch.inference_mode()
    def posterior(self) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x) of the test images, each ``(N, Z)``."""
        pairs = [self.gaussian.posterior(x_BD.to(self.device)) for x_BD in self.batches("test")]
        means, log_variances = zip(*pairs, strict=True)
        return torch.cat(means).cpu(), torch.cat(log_variances).cpu()

    @cached_property
    def kl_per_dimension(self) -> Tensor:
        """KL(q(z_j|x) ‖ p(z_j)) of the test images, ``(N, Z)``, nats."""
        return gaussian_kl(*self.posterior)

    @cached_property
    @torch.inference_mode()
    def drawn_reconstruction(self) -> Tensor:
        """The reconstruction term ``(N,)`` in nats, mean of 10 posterior draws an image."""
        generator = stream(self.seed, "posterior draws")
        parts = []
        for x_BD, mean_BZ, log_variance_BZ in zip(
            self.batches("test"),
            *(torch.split(part, BATCH) for part in self.posterior),
            strict=True,
        ):
            total_B = torch.zeros(len(x_BD), dtype=torch.float64)
            for _ in range(POSTERIOR_DRAWS):
                z_BZ = reparameterise(mean_BZ, log_variance_BZ, generator).to(self.device)
                logits_BD = self.model.decode(z_BZ)
                total_B += self.model.reconstruction(logits_BD, x_BD.to(self.device)).cpu()
            parts.append((total_B / POSTERIOR_DRAWS).float())
        return torch.cat(parts)

    @property
    def gaussian(self) -> GaussianAutoencoder:
        """The model, which must have a posterior."""
        assert isinstance(self.model, GaussianAutoencoder), "the metric should need a posterior"
        return self.model
