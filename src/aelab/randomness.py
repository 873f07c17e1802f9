"""Every random number of the lab comes from a named stream of the experiment's seed.

A stream is addressed by what it is for (``stream(seed, "shuffle", epoch)``), not by how many
numbers were drawn before it. So the same weights come out whatever the number of workers, and a
run resumes at an epoch without a saved generator state.
"""

import hashlib

import numpy as np
import torch


def derive(seed: int, *labels: str | int) -> int:
    """A 63-bit seed for the purpose that ``labels`` names; equal input gives equal output."""
    text = "\x1f".join(["aelab", str(seed), *map(str, labels)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def stream(seed: int, *labels: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh torch generator for the purpose that ``labels`` names."""
    return torch.Generator(device=device).manual_seed(derive(seed, *labels))


def numpy_stream(seed: int, *labels: str | int) -> np.random.Generator:
    """A fresh NumPy generator for the purpose that ``labels`` names."""
    return np.random.default_rng(derive(seed, *labels))
