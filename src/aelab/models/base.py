"""The interfaces of every model, and the registry that finds them by name.

Shape legend: B images, D pixels, Z latent dimensions (d in the text).
"""

import math
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from aelab.config.base import Config
from aelab.config.ranges import Range
from aelab.config.registry import Registry
from aelab.errors import AelabError
from aelab.losses import (
    Loss,
    bernoulli_nll,
    continuous_bernoulli_mean,
    continuous_bernoulli_nll,
)
from aelab.nets.builders import build
from aelab.nets.initialisation import initialise
from aelab.nets.network import Network, Size
from aelab.randomness import derive

Likelihood = Literal["bernoulli", "continuous-bernoulli"]
RECONSTRUCTION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bernoulli": bernoulli_nll,
    "continuous-bernoulli": continuous_bernoulli_nll,
}


class Architecture(Config):
    """What the models of a pair share: everything but the objective."""

    network: Network = Network()
    image_size: Size = (28, 28)
    latent_dim: Annotated[int, Range(2, 64, log=True, whole=True, by_default=False)] = Field(
        16, ge=1, description="Size d of the latent code."
    )
    likelihood: Likelihood = Field("bernoulli", description="The reconstruction term.")


class Objective(Config):
    """The settings of one model's loss; a model nests its own subclass as ``Config``."""


class _Seeded(ABCMeta):
    """Builds a module, the parts that its subclass adds too, from its seed alone."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """The module; the global generator is left as it was."""
        seed = kwargs.get("seed", args[2] if len(args) > 2 else 0)  # the third argument
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "weights"))
            return super().__call__(*args, **kwargs)


class Autoencoder(nn.Module, metaclass=_Seeded):
    """An encoder, a decoder, and the loss that belongs to them.

    Linear and convolutional layers of the two draw from streams of their own names, so that models
    of one seed agree wherever their networks do; whatever else is drawn follows from the seed.
    """

    Config: ClassVar[type[Objective]] = Objective
    name: ClassVar[str]  # written once, by @model
    title: ClassVar[str]
    outputs_per_dimension: ClassVar[int] = 1  # numbers the encoder gives for a latent dimension
    # Whether the loss is the reconstruction (+ weight · KL of a Gaussian code) and nothing else:
    # then training may take the hand-derived step instead of autograd (training/steps.py). A
    # subclass does not inherit it: its loss may be another.
    plain_loss: ClassVar[bool] = False

    def __init__(self, architecture: Architecture, config: Objective, seed: int = 0) -> None:
        super().__init__()
        self.architecture = architecture
        self.config = config
        d = architecture.latent_dim
        self.encoder, self.decoder = build(
            architecture.network, architecture.image_size, d * self.outputs_per_dimension, d
        )
        pixels = math.prod(architecture.image_size)
        self.encoder.register_forward_pre_hook(partial(_require_rows, "images", pixels))
        self.decoder.register_forward_pre_hook(partial(_require_rows, "codes", d))
        initialise(self, seed)

    @property
    def parameter_count(self) -> int:
        """How many numbers training may change."""
        return sum(p.numel() for p in self.parameters())

    @abstractmethod
    def encode(self, x_BD: Tensor) -> Tensor:
        """The code ``(B, Z)`` of images ``(B, D)`` in [0, 1]; deterministic for every model."""

    @abstractmethod
    def loss(self, x_BD: Tensor, generator: torch.Generator, epoch: float) -> Loss:
        """The terms in nats per image; ``epoch`` counts epochs done, for weights that warm up."""

    def weights(self, epoch: float) -> dict[str, float]:  # noqa: ARG002
        """The weights of the loss's terms after ``epoch`` epochs; a term left out counts once."""
        return {}

    def decode(self, z_BZ: Tensor) -> Tensor:
        """Logits ``(B, D)`` of the pixels."""
        logits: Tensor = self.decoder(z_BZ)
        return logits

    def reconstruction(self, logits_BD: Tensor, x_BD: Tensor) -> Tensor:
        """The reconstruction term ``(B,)`` in nats per image."""
        return RECONSTRUCTION[self.architecture.likelihood](logits_BD, x_BD)

    def pixels(self, logits_BD: Tensor) -> Tensor:
        """What is shown for logits: the mean of the pixel's distribution, in [0, 1]."""
        if self.architecture.likelihood == "bernoulli":
            return torch.sigmoid(logits_BD)
        return continuous_bernoulli_mean(logits_BD)

    def reconstruct(self, x_BD: Tensor) -> Tensor:
        """Pixels ``(B, D)`` in [0, 1] decoded from the deterministic code of ``x``."""
        return self.pixels(self.decode(self.encode(x_BD)))


def _require_rows(what: str, width: int, _: nn.Module, inputs: tuple[Tensor]) -> None:
    """Raises AelabError unless a network is given rows ``(B, width)``."""
    shape = tuple(inputs[0].shape)
    if len(shape) != 2 or shape[1] != width:
        raise AelabError(
            f"The model takes {what} as rows, a tensor of shape (B, {width}), not {shape}: "
            "flatten every one to a row."
        )


class GaussianAutoencoder(Autoencoder):
    """An autoencoder whose code is a diagonal Gaussian and whose prior is N(0, I)."""

    outputs_per_dimension = 2

    def posterior(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each ``(B, Z)``."""
        mean_BZ, log_variance_BZ = self.encoder(x_BD).chunk(2, dim=-1)
        return mean_BZ, log_variance_BZ

    def encode(self, x_BD: Tensor) -> Tensor:
        """The posterior mean ``(B, Z)``."""
        return self.posterior(x_BD)[0]

    def prior_sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes ``(count, Z)`` drawn from the prior."""
        d = self.architecture.latent_dim
        return torch.randn(count, d, generator=generator, device=generator.device)


def reparameterise(mean_BZ: Tensor, log_variance_BZ: Tensor, generator: torch.Generator) -> Tensor:
    """One draw of z = μ + σ ε for each image; Kingma and Welling (2014), section 2.4."""
    noise_BZ = torch.empty_like(mean_BZ).normal_(generator=generator)
    return torch.addcmul(mean_BZ, torch.exp(0.5 * log_variance_BZ), noise_BZ)


MODELS: Registry[type[Autoencoder]] = Registry("model")
M = TypeVar("M", bound=type[Autoencoder])


def model(name: str, title: str) -> Callable[[M], M]:
    """Register a final model class under its name; the name is written here and nowhere else.

    Raises AelabError if the name cannot be used.
    """

    def register(cls: M) -> M:
        MODELS.register(name, cls, cls)
        cls.name, cls.title = name, title
        return cls

    return register
