"""Matrix products of a CPU, by whichever of torch's libraries uses all of it.

torch gives products of float32 to MKL. On processors that Intel has not made, MKL keeps to AVX2;
oneDNN, which torch brings along for convolutions, takes AVX-512 there too and needs half the time
(docs/performance.md). Its operator is the one that torch's own compiler puts in the place of a
linear layer. ``ATEN_CPU_CAPABILITY=avx2`` leaves everything to MKL.

Under ``torch.backends.mkldnn.matmul.fp32_precision = "bf16"`` the factors of a product are rounded
to bfloat16 and their products summed in float32: torch.mm sees to it where the processor has AMX,
and :func:`product` on others.

Shape legend: B rows, I inputs, O outputs; M, K, N the sides of a product.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

BACKEND: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
WORTH_ROUNDING = 2_000_000  # multiplications: a product of fewer is sooner done in float32


@cache
def by_onednn() -> bool:
    """Whether this machine's products go to oneDNN: it and AVX-512 are there, but not Intel's."""
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and "intel" not in str(torch.cpu.get_capabilities().get("cpu_name")).lower()
    )


def library() -> str:
    """Whose products the dense layers have: what a last bit can depend on."""
    if by_onednn():
        return "oneDNN"
    return "MKL" if torch.backends.mkl.is_available() else "torch"


def product(
    left_MK: Tensor, right_KN: Tensor, out_MN: Tensor, bias_N: Tensor | None = None
) -> None:
    """Write left · right (+ bias) to ``out``; float32 on a CPU, without a gradient."""
    rounded = BACKEND.fp32_precision == "bf16"
    small = left_MK.numel() * right_KN.shape[1] < WORTH_ROUNDING
    if rounded and small:
        BACKEND.fp32_precision = "ieee"
    if by_onednn():
        right_NK = right_KN.t()
        if rounded and not small:
            left_MK, right_NK = left_MK.bfloat16(), right_NK.bfloat16()
            bias_N = None if bias_N is None else bias_N.bfloat16()
        out_MN.copy_(_linear(left_MK, right_NK, bias_N))
    elif bias_N is None:
        torch.mm(left_MK, right_KN, out=out_MN)
    else:
        torch.addmm(bias_N, left_MK, right_KN, out=out_MN)
    if rounded and small:
        BACKEND.fp32_precision = "bf16"


def linear(x_BI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """The rows times weightᵀ (+ bias), ``(B, O)``, of any tensors; differentiable."""
    if by_onednn() and _plain(x_BI, weight_OI) and not _watched(x_BI, weight_OI, bias_O):
        return _linear(x_BI, weight_OI, bias_O)
    return functional.linear(x_BI, weight_OI, bias_O)


class Dense(nn.Linear):
    """A layer of :func:`linear`."""

    def forward(self, x_BI: Tensor) -> Tensor:
        """As ``nn.Linear``."""
        return linear(x_BI, self.weight, self.bias)


def _plain(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN's operator takes these."""
    return x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu" and x.numel() > 0


def _watched(*tensors: Tensor | None) -> bool:
    """Whether somebody may ask for a gradient, which oneDNN's operator does not have."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    operator: Any = torch.ops.mkldnn._linear_pointwise.default
    made: Tensor = operator(x, weight, bias, "none", [], "")
    return made
