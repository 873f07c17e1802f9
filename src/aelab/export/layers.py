"""A network as data: a list of layers of plain JSON types, and the tensors that it names.

What reads it (the explorer's JavaScript, the ONNX writer) needs neither torch nor this package. A
layer is ``{"kind": ...}`` with its settings, and under ``weight`` and ``bias`` the names of its
tensors in PyTorch's layout (a layer without a bias names none). Images travel as rows of C·H·W
numbers; ``reshape`` says what they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aelab.errors import AelabError
from aelab.nets.matmul import Dense

Layer = dict[str, Any]
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Network:
    """The layers in the order in which they are applied, and their tensors, float32."""

    layers: list[Layer] = field(default_factory=list)
    tensors: Tensors = field(default_factory=dict)


M = TypeVar("M", bound=nn.Module)
Describe = Callable[[Any], Layer | None]
_KINDS: dict[type[nn.Module], Describe] = {}


def describe(module: nn.Module, prefix: str = "") -> Network:
    """The layers of ``module``; tensors are named as in its ``state_dict``, after ``prefix``.

    Raises AelabError for a layer that has no description here.
    """
    network = Network()
    if not isinstance(module, nn.Sequential):
        raise AelabError(
            f"A network of type {type(module).__name__} cannot be exported: only an nn.Sequential, "
            "layers that follow each other, can."
        )
    for name, layer in module.named_children():
        full = f"{prefix}{name}"
        if isinstance(layer, nn.Sequential):
            inner = describe(layer, f"{full}.")
            network.layers.extend(inner.layers)
            network.tensors.update(inner.tensors)
            continue
        if type(layer) not in _KINDS:
            raise AelabError(f"A layer of type {type(layer).__name__} cannot be exported.")
        described = _KINDS[type(layer)](layer)
        if described is None:
            continue
        for part, tensor in _tensors(layer).items():
            described[part] = f"{full}.{part}"
            network.tensors[f"{full}.{part}"] = tensor.detach().cpu().float().numpy()
        network.layers.append(described)
    return network


def _tensors(layer: nn.Module) -> dict[str, Tensor]:
    """The weight and the bias of a layer, where it has them."""
    if not isinstance(layer, nn.BatchNorm2d):
        return dict(layer.named_parameters(recurse=False))
    if layer.running_mean is None or layer.running_var is None:
        raise AelabError("A normalisation without running statistics cannot be exported.")
    factor = layer.weight / torch.sqrt(layer.running_var + layer.eps)
    return {"weight": factor, "bias": layer.bias - layer.running_mean * factor}


def _require(possible: bool, why: str) -> None:
    """Raise AelabError for a setting of a layer that has no description here."""
    if not possible:
        raise AelabError(f"The network cannot be exported: {why}.")


def _kind(module: type[M]) -> Callable[[Callable[[M], Layer | None]], Callable[[M], Layer | None]]:
    def register(function: Callable[[M], Layer | None]) -> Callable[[M], Layer | None]:
        _KINDS[module] = function
        return function

    return register


_kind(nn.ReLU)(lambda _: {"kind": "relu"})
_kind(nn.Tanh)(lambda _: {"kind": "tanh"})


@_kind(nn.GELU)
def _gelu(layer: nn.GELU) -> Layer:
    _require(layer.approximate == "none", "only the exact GELU has a description")
    return {"kind": "gelu"}


@_kind(Dense)
@_kind(nn.Linear)
def _linear(layer: nn.Linear) -> Layer:
    return {"kind": "linear", "inputs": layer.in_features, "outputs": layer.out_features}


@_kind(nn.Conv2d)
def _conv(layer: nn.Conv2d) -> Layer:
    return _convolution("conv", layer)


@_kind(nn.ConvTranspose2d)
def _conv_transpose(layer: nn.ConvTranspose2d) -> Layer:
    _require(layer.output_padding == (0, 0), "an output padding has no description")
    return _convolution("conv-transpose", layer)


def _convolution(kind: str, layer: nn.Conv2d | nn.ConvTranspose2d) -> Layer:
    _require(layer.groups == 1, "grouped convolutions have no description")
    _require(layer.dilation == (1, 1), "dilated convolutions have no description")
    _require(layer.padding_mode == "zeros", "only zero padding has a description")
    _require(not isinstance(layer.padding, str), "padding is described by its width")
    return {
        "kind": kind,
        "inputs": layer.in_channels,
        "outputs": layer.out_channels,
        "kernel": list(layer.kernel_size),
        "stride": list(layer.stride),
        "padding": list(layer.padding),
    }


@_kind(nn.BatchNorm2d)
def _scale(_: nn.BatchNorm2d) -> Layer:
    return {"kind": "scale"}


@_kind(nn.MaxPool2d)
def _max_pool(layer: nn.MaxPool2d) -> Layer:
    _require(layer.padding == 0, "a padded pool has no description")
    _require(layer.dilation == 1, "a dilated pool has no description")
    return {
        "kind": "max-pool",
        "kernel": layer.kernel_size,
        "stride": layer.stride,
        "ceil": layer.ceil_mode,
    }


@_kind(nn.Flatten)
def _flatten(layer: nn.Flatten) -> Layer:
    _require((layer.start_dim, layer.end_dim) == (1, -1), "only whole images are flattened")
    return {"kind": "reshape", "shape": [-1]}


@_kind(nn.Unflatten)
def _unflatten(layer: nn.Unflatten) -> Layer:
    _require(layer.dim == 1, "only rows of numbers become images")
    return {"kind": "reshape", "shape": [int(size) for size in layer.unflattened_size]}
