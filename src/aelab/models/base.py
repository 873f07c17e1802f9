"""The interfaces of every model, and the registry that finds them by name.

Shape legend: B images, D pixels, Z latent dimensions (d in the text).
"""

import math
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from aelab.config.base import Config
from aelab.config.ranges import Range
from aelab.config.registry import Registry
from aelab.errors import AelabError
from aelab.losses import (
    Batch,
    Loss,
    bernoulli_nll,
    continuous_bernoulli_mean,
    continuous_bernoulli_nll,
)
from aelab.models.latents import Latent, StandardNormal
from aelab.nets.initialisation import initialise
from aelab.nets.network import Network, Size, build
from aelab.randomness import derive

Likelihood = Literal["bernoulli", "continuous-bernoulli"]
#: What a metric may need: ``encode``; ``reconstruct``; the logits of reconstructions; ``decode`` of
#: any code; ``posterior`` and ``prior``, and so a bound on log p(x); a prior whose draws ``decode``
#: takes; and, of the data, training images of more than one class.
Capability = Literal["codes", "pixels", "logits", "decoder", "likelihood", "prior", "labels"]
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
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {"codes", "pixels", "logits", "decoder"}
    )
    outputs_per_dimension: ClassVar[int] = 1  # outputs of the encoder for each latent dimension
    # Whether the loss is the reconstruction (+ weight · KL of a diagonal Gaussian to N(0, I)) and
    # nothing else: then training may take the hand-derived step instead of autograd
    # (training/steps.py). A subclass does not inherit it, because its loss may be another.
    plain_loss: ClassVar[bool] = False

    def __init__(self, architecture: Architecture, config: Objective, seed: int = 0) -> None:
        super().__init__()
        self.architecture = architecture
        self.config = config
        self.encoder, self.decoder = self.build_networks()
        initialise(self, seed)

    def build_networks(self) -> tuple[nn.Module, nn.Module]:
        """The encoder and the decoder of the architecture; override it for other networks."""
        shape, d = self.architecture, self.architecture.latent_dim
        encoder, decoder = build(shape.network, shape.image_size, d * self.outputs_per_dimension, d)
        pixels = math.prod(shape.image_size)
        encoder.register_forward_pre_hook(partial(_require_rows, "images", pixels))
        decoder.register_forward_pre_hook(partial(_require_rows, "codes", d))
        return encoder, decoder

    @property
    def parameter_count(self) -> int:
        """The number of trainable parameters."""
        return sum(p.numel() for p in self.parameters())

    @abstractmethod
    def encode(self, x_BD: Tensor) -> Tensor:
        """The code ``(B, Z)`` of images ``(B, D)`` in [0, 1]; deterministic for every model."""

    @abstractmethod
    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:
        """The terms of the training objective on a batch, in nats per image.

        Args:
            batch: Images ``(B, D)`` in [0, 1], and labels where the data have some.
            generator: The source of everything random.
            epoch: Epochs done, a fraction within an epoch, for weights that warm up.
        """

    def weights(self, epoch: float) -> dict[str, float]:  # noqa: ARG002
        """The weights of the loss's terms after ``epoch`` epochs; the default weight is 1."""
        return {}

    def given(self, labels_B: Tensor) -> Self:  # noqa: ARG002
        """The model conditioned on the labels of the images that it is applied to.

        An unconditional model is the same for all labels. A conditional one returns a shallow copy
        that keeps the labels; it lacks the capabilities ``decoder`` and ``prior``, which stand for
        codes without an image and so without a label.
        """
        return self

    def decode(self, z_BZ: Tensor) -> Tensor:
        """Logits ``(B, D)`` of the pixels."""
        logits: Tensor = self.decoder(z_BZ)
        return logits

    def reconstruction(self, logits_BD: Tensor, x_BD: Tensor) -> Tensor:
        """The reconstruction term ``(B,)`` in nats per image."""
        return RECONSTRUCTION[self.architecture.likelihood](logits_BD, x_BD)

    def pixels(self, logits_BD: Tensor) -> Tensor:
        """The mean of each pixel's distribution, ``(B, D)`` in [0, 1]."""
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


class Variational(Autoencoder):
    """An autoencoder with a likelihood: a posterior q(z|x), a prior p(z) and a decoder p(x|z)."""

    capabilities = Autoencoder.capabilities | {"likelihood", "prior"}

    @abstractmethod
    def posterior(self, x_BD: Tensor) -> Latent:
        """q(z|x) of images ``(B, D)`` in [0, 1], of batch shape ``(B,)``."""

    def prior(self) -> Latent:
        """p(z), of batch shape ``()``: N(0, I) unless a model overrides it."""
        device = next(self.parameters()).device
        return StandardNormal(self.architecture.latent_dim, device)

    def encode(self, x_BD: Tensor) -> Tensor:
        """The posterior mean ``(B, Z)``."""
        return self.posterior(x_BD).mean

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:
        """−ELBO, unless a model defines another objective."""
        return elbo(self, batch, generator, epoch)


def elbo(model: Variational, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:
    """−ELBO from one posterior draw for each image, as two terms: reconstruction and KL.

    Kingma and Welling (2014), eq. 3. The KL has its closed form where one is registered.

    Args:
        model: The model.
        batch: Images ``(B, D)`` in [0, 1].
        generator: The source of the draw.
        epoch: Epochs done, a fraction within an epoch, for weights that warm up.

    Returns:
        The terms ``(B,)`` in nats per image, with their weights.
    """
    posterior = model.posterior(batch.x)
    z_BZ = posterior.rsample(generator)
    kl_BP = posterior.kl(model.prior(), z_BZ)
    reconstruction_B = model.reconstruction(model.decode(z_BZ), batch.x)
    return Loss(
        terms={"reconstruction": reconstruction_B, "kl": kl_BP.sum(-1)},
        weights=model.weights(epoch),
        per_dimension={"kl": kl_BP} if kl_BP.shape == z_BZ.shape else {},
    )


MODELS: Registry[type[Autoencoder]] = Registry("model")
M = TypeVar("M", bound=type[Autoencoder])


def model(name: str, title: str) -> Callable[[M], M]:
    """Register a final model class under its name; the name is written here and nowhere else.

    Args:
        name: The name in settings and files.
        title: The name in tables.

    Returns:
        A decorator for the class.

    Raises:
        AelabError: If the name cannot be used.
    """

    def register(cls: M) -> M:
        MODELS.register(name, cls, cls)
        cls.name, cls.title = name, title
        return cls

    return register
