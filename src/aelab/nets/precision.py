"""The precision of a training's matrix products, found by name before anything is trained."""

from typing import Literal

import torch

from aelab.errors import AelabError
from aelab.nets.matmul import by_onednn

Resolved = Literal["float32", "bfloat16"]
Precision = Literal["auto", Resolved]


def find_precision(name: Precision, device: torch.device) -> Resolved:
    """The precision of the matrix products of a training on ``device``.

    ``auto`` takes bfloat16 on a CPU that has AMX, where it is measured to be faster and to lose
    nothing (docs/performance.md), else float32. Raises AelabError if the device does not multiply
    bfloat16 in hardware.
    """
    there = bfloat16_units(device)
    if name == "bfloat16" and not there:
        raise AelabError(
            f"The {device.type} device here does not multiply bfloat16 in hardware: choose "
            "--precision float32, or auto, which takes what the machine has."
        )
    fast = name == "bfloat16" or (name == "auto" and there == "AMX")
    return "bfloat16" if fast else "float32"


def bfloat16_units(device: torch.device) -> str:
    """What multiplies bfloat16 faster than float32 there (AMX, AVX-512 or CUDA), or empty."""
    if device.type == "cuda":
        return "CUDA" if torch.cuda.is_bf16_supported() else ""
    if device.type != "cpu" or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return ""
    found = torch.cpu.get_capabilities()
    if found.get("amx_bf16") and torch.backends.mkldnn.is_available():
        return "AMX"
    return "AVX-512" if found.get("avx512_bf16") and by_onednn() else ""
