"""A model that its two networks are the whole of, so that their layers can stand for it."""

import math

import torch

from aelab.errors import AelabError
from aelab.export.layers import Network, describe
from aelab.models import Autoencoder
from aelab.randomness import stream


def networks(model: Autoencoder) -> tuple[Network, Network]:
    """The encoder and the decoder of ``model`` as data, if the two are the whole of it.

    Raises AelabError for a model whose ``encode`` or ``decode`` does more than its networks:
    another program that runs their layers would give other numbers without a word.
    """
    d, pixels = model.architecture.latent_dim, math.prod(model.architecture.image_size)
    with torch.inference_mode():
        x_BD = torch.rand(4, pixels, generator=stream(0, "export"))
        z_BZ = model.encode(x_BD)
        whole = torch.equal(z_BZ, model.encoder(x_BD)[:, :d]) and torch.equal(
            model.decode(z_BZ), model.decoder(z_BZ)
        )
    if not whole:
        raise AelabError(
            f"The {model.title} does more than its layers say, so only Python can run it."
        )
    return describe(model.encoder, "encoder."), describe(model.decoder, "decoder.")
