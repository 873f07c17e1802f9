"""Small untrained models on tiny data, and their evaluations, made once for several tests."""

from functools import cache

import numpy as np
from torch import nn

from aelab.config.evaluation import EvaluationSettings
from aelab.data.binarize import Protocol
from aelab.data.dataset import Data
from aelab.metrics import METRICS, BaseContext, Context, Evaluation, evaluate
from aelab.metrics.base import Array
from aelab.models import MODELS, Architecture
from aelab.nets.network import Network

NETWORK = Network(kind="mlp", hidden=(12,), activation="tanh")


def make(name: str, data: Data, latent_dim: int = 3, protocol: Protocol = "grey") -> Context:
    """A fresh context of a model with its first weights."""
    architecture = Architecture(network=NETWORK, latent_dim=latent_dim)
    model = MODELS[name](architecture, MODELS[name].Config(), seed=0)
    settings = EvaluationSettings(pairs=100)
    return Context(model=model, data=data, seed=0, protocol=protocol, settings=settings)


def layers(network: nn.Module) -> list[nn.Module]:
    """The layers of an encoder or decoder."""
    return list(network.children())


@cache
def evaluated(name: str, data: Data, latent_dim: int = 3) -> Evaluation:
    """The evaluation of such a model."""
    return evaluate(make(name, data, latent_dim))


def per_image(name: str, context: BaseContext) -> Array:
    """One metric of a context, ``(N,)``."""
    values = METRICS[name].function(context)
    assert isinstance(values, np.ndarray)
    return values
