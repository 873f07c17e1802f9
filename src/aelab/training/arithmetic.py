"""How a training computes: the precision of its matrix products, and no denormal numbers."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from aelab.nets.matmul import BACKEND
from aelab.nets.precision import Resolved


@contextlib.contextmanager
def arithmetic(precision: Resolved, device: torch.device | str = "cpu") -> Iterator[None]:
    """Multiply matrices in this precision within it, and flush denormal numbers to zero.

    Under bfloat16 the factors are rounded and the products summed in float32, so that weights,
    gradients, optimizer and loss stay float32; on CUDA it is torch's autocast, with TF32 beside it.
    Adam's moments of a weight whose gradient has vanished decay into denormal numbers, which cost
    an Intel processor more than half of its speed (docs/performance.md).
    """
    backends: tuple[tuple[Any, str], ...] = (
        (BACKEND, "bf16"),
        (torch.backends.mkldnn.conv, "bf16"),  # type: ignore[attr-defined]
        (torch.backends.cuda.matmul, "tf32"),
        (torch.backends.cudnn.conv, "tf32"),  # type: ignore[attr-defined]
    )
    before = [backend.fp32_precision for backend, _ in backends]
    flushed = _denormals_are_flushed()
    on_cuda = precision == "bfloat16" and torch.device(device).type == "cuda"
    cast = torch.autocast("cuda", torch.bfloat16) if on_cuda else contextlib.nullcontext()
    try:
        torch.set_flush_denormal(True)
        if precision == "bfloat16":
            for backend, reduced in backends:
                backend.fp32_precision = reduced
        with cast:
            yield
    finally:
        for (backend, _), own in zip(backends, before, strict=True):
            backend.fp32_precision = own
        torch.set_flush_denormal(flushed)


def _denormals_are_flushed() -> bool:
    smallest = torch.full((), torch.finfo(torch.float32).tiny)
    return not (smallest / 2).item()
