"""A network as data: a list of layers of plain JSON types, and the tensors that it names.

What reads it, such as the explorer's JavaScript, needs neither torch nor this package. A layer is
``{"kind": ...}`` with its settings, and under ``weight`` and ``bias`` the names of its tensors in
PyTorch's layout (a layer without a bias names none). Images travel as rows of C·H·W numbers;
``reshape`` says what they are.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aelab.errors import AelabError
from aelab.nets.matmul import Dense

Layer = dict[str, Any]
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class LayerList:
    """The layers in the order in which they are applied, and their tensors, float32."""

    layers: list[Layer] = field(default_factory=list)
    tensors: Tensors = field(default_factory=dict)


_UNITS = {"inputs": "in_features", "outputs": "out_features"}
_CHANNELS = {
    "inputs": "in_channels", "outputs": "out_channels", "kernel": "kernel_size",
    "stride": "stride", "padding": "padding",
}  # fmt: skip
_POOL = {"kernel": "kernel_size", "stride": "stride", "ceil": "ceil_mode"}
_SIMPLE = {"groups": 1, "dilation": (1, 1), "padding_mode": "zeros"}
#: By type of layer (not of a subclass, which may do something else): its kind, its settings with
#: the attributes that hold them, and the values that other attributes must have.
_KINDS: dict[type[nn.Module], tuple[str, dict[str, str], dict[str, Any]]] = {
    nn.ReLU: ("relu", {}, {}),
    nn.Tanh: ("tanh", {}, {}),
    nn.GELU: ("gelu", {}, {"approximate": "none"}),
    nn.Linear: ("linear", _UNITS, {}),
    Dense: ("linear", _UNITS, {}),
    nn.Conv2d: ("conv", _CHANNELS, _SIMPLE),
    nn.ConvTranspose2d: ("conv-transpose", _CHANNELS, _SIMPLE | {"output_padding": (0, 0)}),
    nn.BatchNorm2d: ("scale", {}, {}),
    nn.MaxPool2d: ("max-pool", _POOL, {"padding": 0, "dilation": 1}),
    nn.Flatten: ("reshape", {}, {"start_dim": 1, "end_dim": -1}),
    nn.Unflatten: ("reshape", {"shape": "unflattened_size"}, {"dim": 1}),
}


def describe(module: nn.Module, prefix: str = "") -> LayerList:
    """The layers of ``module``; tensors are named as in its ``state_dict``, after ``prefix``.

    Raises AelabError for a layer that has no description here.
    """
    network = LayerList()
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
        described = _settings(layer)
        for part, tensor in _tensors(layer).items():
            described[part] = f"{full}.{part}"
            network.tensors[f"{full}.{part}"] = tensor.detach().cpu().float().numpy()
        network.layers.append(described)
    return network


def _settings(layer: nn.Module) -> Layer:
    """The kind of a layer and its settings. Raises AelabError for one without a description."""
    name = type(layer).__name__
    if type(layer) not in _KINDS:
        raise AelabError(f"A layer of type {name} cannot be exported.")
    kind, settings, required = _KINDS[type(layer)]
    for attribute, value in required.items():
        if (found := getattr(layer, attribute)) != value:
            raise AelabError(f"A {name} with {attribute} = {found!r} cannot be exported.")
    described: Layer = {"kind": kind}
    for setting, attribute in settings.items():
        value = getattr(layer, attribute)
        if isinstance(value, str):  # the padding "same"
            raise AelabError(f"A {name} with {attribute} = {value!r} cannot be exported.")
        described[setting] = list(value) if isinstance(value, tuple) else value
    return described | ({"shape": [-1]} if isinstance(layer, nn.Flatten) else {})


def _tensors(layer: nn.Module) -> dict[str, Tensor]:
    """The weight and the bias of a layer, where it has them."""
    if not isinstance(layer, nn.BatchNorm2d):
        return dict(layer.named_parameters(recurse=False))
    if layer.running_mean is None or layer.running_var is None:
        raise AelabError("A normalisation without running statistics cannot be exported.")
    factor = layer.weight / torch.sqrt(layer.running_var + layer.eps)
    return {"weight": factor, "bias": layer.bias - layer.running_mean * factor}
