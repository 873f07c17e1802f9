"""Toy models of every kind that the interfaces of models/base.py and models/latents.py allow.

They are registered by :func:`register` and not when this module is imported, except in the worker
processes of a run, which import the module that registered a model.
"""

import copy
import multiprocessing
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from aelab.errors import AelabError
from aelab.losses import Batch, Loss
from aelab.models import (
    MODELS,
    Autoencoder,
    DiagonalNormal,
    Latent,
    StandardNormal,
    Variational,
    closed_form,
    elbo,
    model,
)
from aelab.models.latents import Components

GROUPS, CATEGORIES = 2, 3


class MixtureNormal(Latent):
    """A uniform mixture of Gaussians with diagonal covariances, each ``(C, Z)``."""

    def __init__(self, means: Tensor, log_variances: Tensor) -> None:
        self.normal = DiagonalNormal(means, log_variances)

    @property
    def mean(self) -> Tensor:
        return self.normal.mean.mean(0)

    def rsample(self, generator: torch.Generator, shape: tuple[int, ...] = ()) -> Tensor:
        count = len(self.normal.mean)
        index = torch.randint(0, count, shape, generator=generator)
        means, log_variances = self.normal.mean[index], self.normal.log_variance[index]
        return DiagonalNormal(means, log_variances).rsample(generator)

    def log_prob(self, z: Tensor) -> Tensor:
        count = torch.tensor(float(len(self.normal.mean)))
        return self.normal.log_prob(z.unsqueeze(-2)).logsumexp(-1) - count.log()

    def components(self) -> Components:
        means = self.normal.mean.detach()
        weights = torch.full((len(means),), 1 / len(means))
        return Components(weights, means, self.normal.variance.detach())


class Planar(Latent):
    """z = y + u tanh(w'y + b) of a Gaussian y; Rezende and Mohamed (2015), eq. 10.

    ``log_prob`` is known for the last draw only: nothing inverts the flow.
    """

    def __init__(self, base: DiagonalNormal, u: Tensor, w: Tensor, b: Tensor) -> None:
        self.base, self.w, self.b = base, w, b
        inner = (w * u).sum()
        self.u = u + (functional.softplus(inner) - 1 - inner) * w / w.square().sum()

    def _flow(self, y: Tensor) -> Tensor:
        return y + self.u * torch.tanh(y @ self.w + self.b).unsqueeze(-1)

    @property
    def mean(self) -> Tensor:
        return self._flow(self.base.mean)

    def rsample(self, generator: torch.Generator, shape: tuple[int, ...] = ()) -> Tensor:
        y = self.base.rsample(generator, shape)
        slope = 1 - torch.tanh(y @ self.w + self.b).square()
        self._last = self._flow(y)
        self._log_prob = self.base.log_prob(y) - (1 + slope * (self.u * self.w).sum()).abs().log()
        return self._last

    def log_prob(self, z: Tensor) -> Tensor:
        if z is not self._last:
            raise ValueError("The density of a planar flow is known for its last draw only.")
        return self._log_prob


class Chain(Latent):
    """z = (first, second): a Gaussian, and one whose moments follow from the first."""

    def __init__(self, first: Latent, conditional: nn.Module, swapped: bool = False) -> None:
        self.first, self.conditional, self.swapped = first, conditional, swapped

    def _second(self, first: Tensor) -> DiagonalNormal:
        return DiagonalNormal(*self.conditional(first).chunk(2, dim=-1))

    def _code(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([second, first] if self.swapped else [first, second], dim=-1)

    @property
    def mean(self) -> Tensor:
        return self._code(self.first.mean, self._second(self.first.mean).mean)

    def rsample(self, generator: torch.Generator, shape: tuple[int, ...] = ()) -> Tensor:
        first = self.first.rsample(generator, shape)
        return self._code(first, self._second(first).rsample(generator))

    def log_prob(self, z: Tensor) -> Tensor:
        a, b = z.chunk(2, dim=-1)
        first, second = (b, a) if self.swapped else (a, b)
        return self.first.log_prob(first) + self._second(first).log_prob(second)


class OneHot(Latent):
    """Independent categories; a code holds the one-hot rows of all groups ``(*B, G · K)``."""

    continuous = False

    def __init__(self, logits: Tensor) -> None:
        self.log_probabilities = logits.unflatten(-1, (GROUPS, CATEGORIES)).log_softmax(-1)

    @property
    def mean(self) -> Tensor:
        mode = self.log_probabilities.argmax(-1)
        return functional.one_hot(mode, CATEGORIES).float().flatten(-2)

    def rsample(self, generator: torch.Generator, shape: tuple[int, ...] = ()) -> Tensor:
        p = self.log_probabilities.exp().expand(*shape, *self.log_probabilities.shape)
        drawn = torch.multinomial(p.detach().reshape(-1, CATEGORIES), 1, generator=generator)
        one_hot = functional.one_hot(drawn.view(p.shape[:-1]), CATEGORIES).float()
        straight_through: Tensor = one_hot + (p - p.detach())
        return straight_through.flatten(-2)

    def log_prob(self, z: Tensor) -> Tensor:
        rows: Tensor = z.unflatten(-1, (GROUPS, CATEGORIES))
        return torch.sum(rows * self.log_probabilities, dim=(-1, -2))


class Normal(Variational):
    """A posterior like the VAE's and no weights."""

    outputs_per_dimension = 2

    def posterior(self, x_BD: Tensor) -> Latent:
        return self.normal(x_BD)

    def normal(self, x_BD: Tensor) -> DiagonalNormal:
        return DiagonalNormal(*self.encoder(x_BD).chunk(2, dim=-1))


class MixturePrior(Normal):
    """Four learned components, so parameters outside encoder and decoder, too."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.means = nn.Parameter(torch.randn(4, self.architecture.latent_dim))
        self.log_variances = nn.Parameter(torch.zeros(4, self.architecture.latent_dim))

    def prior(self) -> MixtureNormal:
        return MixtureNormal(self.means, self.log_variances)


class FlowPosterior(Normal):
    """One planar flow after the Gaussian."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        d = self.architecture.latent_dim
        self.u, self.w, self.b = (nn.Parameter(torch.randn(n)) for n in (d, d, 1))

    def posterior(self, x_BD: Tensor) -> Latent:
        return Planar(self.normal(x_BD), self.u, self.w, self.b)


class TwoLayer(Normal):
    """z = (z1, z2): p(z2) p(z1|z2) p(x|z1) and q(z1|x) q(z2|z1); half the code each."""

    def build_networks(self) -> tuple[nn.Module, nn.Module]:
        half = self.architecture.latent_dim // 2
        small = self.architecture.model_copy(update={"latent_dim": half})
        whole, self.architecture = self.architecture, small
        networks = super().build_networks()
        self.architecture = whole
        self.up, self.down = nn.Linear(half, 2 * half), nn.Linear(half, 2 * half)
        return networks

    def posterior(self, x_BD: Tensor) -> Latent:
        return Chain(self.normal(x_BD), self.up)

    def prior(self) -> Latent:
        half = self.architecture.latent_dim // 2
        return Chain(StandardNormal(half), self.down, swapped=True)

    def decode(self, z_BZ: Tensor) -> Tensor:
        logits: Tensor = self.decoder(z_BZ.chunk(2, dim=-1)[0])
        return logits


class Discrete(Variational):
    """Two variables of three values each."""

    def build_networks(self) -> tuple[nn.Module, nn.Module]:
        width = GROUPS * CATEGORIES
        return nn.Sequential(nn.Linear(784, width)), nn.Sequential(nn.Linear(width, 784))

    def posterior(self, x_BD: Tensor) -> OneHot:
        return OneHot(self.encoder(x_BD))

    def prior(self) -> OneHot:
        return OneHot(torch.zeros(GROUPS * CATEGORIES))


class Conditional(Normal):
    """p(x|y): the decoder reads the label as well."""

    capabilities = Variational.capabilities - {"decoder", "prior"}
    labels: Tensor | None = None

    def build_networks(self) -> tuple[nn.Module, nn.Module]:
        encoder, _ = super().build_networks()
        return encoder, nn.Sequential(nn.Linear(self.architecture.latent_dim + 10, 784))

    def given(self, labels_B: Tensor) -> Self:
        conditioned = copy.copy(self)
        conditioned.labels = functional.one_hot(labels_B, 10).float()
        return conditioned

    def decode(self, z_BZ: Tensor) -> Tensor:
        if self.labels is None:
            raise AelabError("The decoder needs labels: use model.given(labels).")
        logits: Tensor = self.decoder(torch.cat([z_BZ, self.labels], dim=-1))
        return logits

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:
        assert batch.labels is not None
        return elbo(self.given(batch.labels), batch, generator, epoch)


class Residual(nn.Module):
    """No ``Sequential``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, 8), nn.Linear(8, 8)
        self.last = nn.Linear(8, outputs)

    def forward(self, x_BI: Tensor) -> Tensor:
        hidden = self.first(x_BI).relu()
        made: Tensor = self.last(hidden + self.second(hidden).relu())
        return made


class Skip(Normal):
    """Networks that are no ``Sequential``."""

    def build_networks(self) -> tuple[nn.Module, nn.Module]:
        d = self.architecture.latent_dim
        return Residual(784, 2 * d), Residual(d, 784)


class Gain(Autoencoder):
    """An AE with a parameter, a buffer and a normalisation outside encoder and decoder."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        d = self.architecture.latent_dim
        self.gain, self.normalise = nn.Parameter(torch.rand(d)), nn.BatchNorm1d(d)
        self.register_buffer("offset", torch.rand(d))

    def encode(self, x_BD: Tensor) -> Tensor:
        code: Tensor = self.normalise(self.encoder(x_BD)) * self.gain + self.offset
        return code

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:  # noqa: ARG002
        logits_BD = self.decode(self.encode(batch.x))
        return Loss({"reconstruction": self.reconstruction(logits_BD, batch.x)})


TOYS: dict[str, type[Autoencoder]] = {
    "mixture": MixturePrior,
    "planar": FlowPosterior,
    "layers": TwoLayer,
    "discrete": Discrete,
    "conditional": Conditional,
    "skip": Skip,
    "gain": Gain,
}


@closed_form(OneHot, OneHot)
def _kl(q: OneHot, p: OneHot) -> Tensor:
    """The KL of each group, ``(*B, G)``."""
    difference: Tensor = q.log_probabilities - p.log_probabilities
    return torch.sum(q.log_probabilities.exp() * difference, dim=-1)


def register() -> None:
    """Register every toy under its name."""
    for name, kind in TOYS.items():
        if name not in MODELS:
            model(name, title=name.title())(kind)


if multiprocessing.parent_process() is not None:
    register()
