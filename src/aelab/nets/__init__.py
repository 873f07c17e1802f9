"""Encoders and decoders, found by name, initialised from a seed.

A new file in this folder registers its network by being imported here.
"""

import importlib
import pkgutil

from aelab.nets.network import NETWORKS, Network, build, network

for _sibling in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_sibling}")

__all__ = ["NETWORKS", "Network", "build", "network"]
