"""A model that its two networks are the whole of, so that their layers can stand for it."""

import math
from typing import cast

import torch
from torch import Tensor

from aelab.errors import AelabError
from aelab.export.layers import LayerList, describe
from aelab.models import Autoencoder, DiagonalNormal, Variational
from aelab.randomness import stream


def has_gaussian_head(model: Autoencoder) -> bool:
    """Whether the encoder's outputs are the mean and the log-variance of q(z|x)."""
    if "likelihood" not in model.capabilities:
        return False
    with torch.inference_mode():
        x_BD = _images(model)
        posterior = cast("Variational", model).posterior(x_BD)
        return isinstance(posterior, DiagonalNormal) and torch.equal(
            torch.cat([posterior.mean, posterior.log_variance], dim=1), model.encoder(x_BD)
        )


def _images(model: Autoencoder) -> Tensor:
    pixels = math.prod(model.architecture.image_size)
    return torch.rand(4, pixels, generator=stream(0, "export"))


def networks(model: Autoencoder) -> tuple[LayerList, LayerList]:
    """The encoder and the decoder of ``model`` as data, if the two are the whole of it.

    Raises AelabError for a model whose ``encode`` or ``decode`` does more than its networks:
    another program that runs their layers would give other numbers without a word.
    """
    with torch.inference_mode():
        x_BD = _images(model)
        z_BZ = model.encode(x_BD)
        whole = (
            "decoder" in model.capabilities
            and torch.equal(z_BZ, model.encoder(x_BD)[:, : z_BZ.shape[1]])
            and torch.equal(model.decode(z_BZ), model.decoder(z_BZ))
        )
    if not whole:
        raise AelabError(
            f"The {model.title} does more than its layers say, so only Python can run it."
        )
    return describe(model.encoder, "encoder."), describe(model.decoder, "decoder.")
