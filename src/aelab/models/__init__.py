"""Every model of the lab. A new file in this folder registers itself by being imported here."""

import importlib
import pkgutil

from aelab.models.base import (
    MODELS,
    Architecture,
    Autoencoder,
    Capability,
    Objective,
    Variational,
    elbo,
    model,
)
from aelab.models.latents import DiagonalNormal, Latent, StandardNormal, closed_form

for _sibling in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_sibling}")

__all__ = [
    "MODELS",
    "Architecture",
    "Autoencoder",
    "Capability",
    "DiagonalNormal",
    "Latent",
    "Objective",
    "StandardNormal",
    "Variational",
    "closed_form",
    "elbo",
    "model",
]
