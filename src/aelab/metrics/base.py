"""The registry of measures, what they are given, and the intervals around what they find."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aelab.data import Data, Split
from aelab.models import Autoencoder, GaussianAutoencoder
from aelab.pixels import Protocol, freeze, to_unit
from aelab.randomness import numpy_stream, stream

Array = NDArray[Any]
Family = Literal["reconstruction", "likelihood", "latent", "representation", "generation"]
BATCH = 1_000  # images evaluated at a time
RESAMPLES = 2_000
POSTERIOR_DRAWS = 10  # for the expectation in the ELBO, an image


@dataclass(frozen=True)
class Estimate:
    """A value, its 95% bootstrap interval over test images where there is one, and their number."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Metric:
    """A measure and what the report and the search need to know of it."""

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"] | None
    family: Family
    needs: Literal["posterior"] | None
    description: str
    function: Callable[["Context"], float | Array]


METRICS: dict[str, Metric] = {}
F = TypeVar("F", bound=Callable[["Context"], float | Array])


def metric(
    title: str,
    *,
    family: Family,
    unit: str = "",
    better: Literal["lower", "higher"] | None = None,
    needs: Literal["posterior"] | None = None,
) -> Callable[[F], F]:
    """Register a measure under its function's name.

    It returns one number, or an array ``(N,)`` with one value a test image, of which the mean and
    its interval are made. The docstring's first line is its description in the report.
    """

    def register(function: F) -> F:
        name = function.__name__
        if name in METRICS:
            raise AssertionError(f"two measures are named {name}")
        description = (function.__doc__ or "").partition("\n")[0]
        METRICS[name] = Metric(name, title, unit, better, family, needs, description, function)
        return function

    return register


@dataclass(frozen=True)
class Codes:
    """Codes ``(N, Z)`` and labels ``(N,)`` of the three splits: what a probe needs of a model."""

    train: Array
    validation: Array
    test: Array
    labels: tuple[Array, Array, Array]


@dataclass
class Context:
    """What a measure is given; whatever several of them need is computed once, in batches.

    Everything random has its own stream, so evaluating twice gives the same digits.
    """

    model: Autoencoder
    data: Data
    seed: int
    protocol: Protocol = "grey"
    report: Callable[[str], None] = field(default=lambda text: None)

    @cached_property
    def test_x(self) -> Tensor:
        """The test images ``(N, D)`` in [0, 1]; binarised once, from the seed, if the protocol is."""
        return self._pixels(self.data.test, "test")

    @cached_property
    def codes(self) -> Codes:
        """The deterministic codes of every split."""
        data = self.data
        splits = {"train": data.train, "validation": data.validation, "test": data.test}
        arrays = (
            self.encode(self.test_x if name == "test" else self._pixels(split, name))
            for name, split in splits.items()
        )
        return Codes(*arrays, labels=(data.train.labels, data.validation.labels, data.test.labels))

    @cached_property
    def logits(self) -> Tensor:
        """Logits ``(N, D)`` decoded from the deterministic codes of the test images."""
        return self.decode_logits(self.codes.test)

    @cached_property
    def shown(self) -> Tensor:
        """The reconstructions ``(N, D)`` of the test images, in [0, 1]."""
        return self.model.pixels(self.logits)

    @cached_property
    def reconstruction(self) -> Array:
        """The reconstruction term ``(N,)`` from the deterministic code, nats per image."""
        with torch.inference_mode():
            return self.model.reconstruction(self.logits, self.test_x).double().numpy()

    @cached_property
    def posterior(self) -> tuple[Tensor, Tensor]:
        """Mean and log-variance ``(N, Z)`` of q(z|x) on the test images."""
        assert isinstance(self.model, GaussianAutoencoder)
        with torch.inference_mode():
            parts = [self.model.posterior(x) for x in self.test_x.split(BATCH)]
        return torch.cat([mean for mean, _ in parts]), torch.cat([log for _, log in parts])

    @cached_property
    def expected_reconstruction(self) -> Array:
        """E_q[−log p(x|z)] ``(N,)`` over fixed posterior draws, nats per image."""
        mean, log_variance = self.posterior
        scale = torch.exp(0.5 * log_variance)
        total = torch.zeros(len(mean), dtype=torch.float64)
        generator = stream(self.seed, "posterior draws")
        with torch.inference_mode():
            for _ in range(POSTERIOR_DRAWS):
                z = mean + scale * torch.randn(mean.shape, generator=generator)
                for rows in torch.arange(len(mean)).split(BATCH):
                    logits = self.model.decode(z[rows])
                    total[rows] += self.model.reconstruction(logits, self.test_x[rows])
        return (total / POSTERIOR_DRAWS).numpy()

    def encode(self, x_BD: Tensor) -> Array:
        """Deterministic codes ``(B, Z)``, float32."""
        with torch.inference_mode():
            return torch.cat([self.model.encode(x) for x in x_BD.split(BATCH)]).numpy()

    def decode_logits(self, z_BZ: Array) -> Tensor:
        """Logits ``(B, D)`` of codes."""
        with torch.inference_mode():
            codes = torch.from_numpy(np.ascontiguousarray(z_BZ, dtype=np.float32))
            return torch.cat([self.model.decode(z) for z in codes.split(BATCH)])

    def _pixels(self, split: Split, name: str) -> Tensor:
        images = split.images if self.protocol == "grey" else freeze(split.images, self.seed, name)
        return to_unit(torch.from_numpy(images))


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found; ``None`` means that the measure is not defined for the model."""

    metrics: dict[str, Estimate | None]
    per_image: dict[str, Array]
    arrays: dict[str, Array]


def estimate(result: float | Array, seed: int, images: int) -> Estimate:
    """A measure's result as an Estimate: of one value an image, the mean and its interval."""
    if not isinstance(result, np.ndarray):
        return Estimate(float(result), None, None, images)
    low, high = bootstrap(result, seed)
    return Estimate(float(result.mean()), low, high, len(result))


def bootstrap(values: Array, seed: int) -> tuple[float, float]:
    """The 95% percentile bootstrap interval of the mean of ``values`` ``(N,)``.

    Efron and Tibshirani (1993), chapter 13. Resamples are drawn in blocks, to
    keep memory under 100 MB whatever the number of images.
    """
    generator = numpy_stream(seed, "bootstrap")
    count = len(values)
    block = max(1, min(RESAMPLES, 5_000_000 // count))
    means: list[Array] = []
    for start in range(0, RESAMPLES, block):
        size = min(block, RESAMPLES - start)
        picks = generator.integers(0, count, (size, count))
        means.append(values.astype(np.float64)[picks].mean(1))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)


def paired_difference(first: Array, second: Array, seed: int) -> Estimate:
    """The mean of second − first over the same images, with its paired bootstrap interval."""
    return estimate(second.astype(np.float64) - first.astype(np.float64), seed, len(first))
