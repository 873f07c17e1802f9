"""ONNX graphs written from the layer list: no tracing, opset 17, any batch size.

An encoder maps ``x (batch, D)``, pixels in [0, 1], to ``code`` or, with a posterior, to ``mean``
and ``log_variance``. A decoder maps ``code (batch, d)`` to ``logits`` and ``pixels (batch, D)``.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from aelab.errors import not_installed
from aelab.export.layers import Layer, Network, Tensors
from aelab.export.whole import has_gaussian_head, networks
from aelab.models import Autoencoder

OPSET, IR_VERSION = 17, 8  # read by every onnxruntime since 1.12
Nodes = list[Any]


def files(key: str, model: Autoencoder, config: Mapping[str, Any]) -> dict[str, bytes]:
    """Two files, ``<key>-encoder.onnx`` and ``<key>-decoder.onnx``; ``config`` goes along."""
    facts = {name: found for name, found in config.items() if name != "layers"}
    encoder, decoder = networks(model)
    return {
        f"{key}-encoder.onnx": _encoder(model, encoder, facts),
        f"{key}-decoder.onnx": _decoder(model, decoder, facts),
    }


def _encoder(model: Autoencoder, network: Network, facts: Mapping[str, Any]) -> bytes:
    """The graph from pixels to the code, or to mean and log-variance of q(z|x)."""
    onnx, helper = _onnx()
    d = model.architecture.latent_dim
    gaussian = has_gaussian_head(model)
    outputs = ["mean", "log_variance"] if gaussian else ["code"]
    nodes, last = _chain(network, "x", helper)
    if gaussian:
        nodes.append(helper.make_node("Split", [last, "halves"], outputs, axis=1))
        network.tensors["halves"] = np.array([d, d])
    else:
        nodes.append(helper.make_node("Identity", [last], outputs))
    return _model(onnx, nodes, network.tensors, {"x": _pixels(model)},
                  dict.fromkeys(outputs, d), facts)  # fmt: skip


def _decoder(model: Autoencoder, network: Network, facts: Mapping[str, Any]) -> bytes:
    """The graph from a code to the logits and to what is shown of them."""
    onnx, helper = _onnx()
    nodes, last = _chain(network, "code", helper)
    nodes.append(helper.make_node("Identity", [last], ["logits"]))
    if model.architecture.likelihood == "bernoulli":
        nodes.append(helper.make_node("Sigmoid", ["logits"], ["pixels"]))
    else:
        _continuous_bernoulli_mean(nodes, network.tensors, helper)
    pixels = _pixels(model)
    return _model(onnx, nodes, network.tensors, {"code": model.architecture.latent_dim},
                  {"logits": pixels, "pixels": pixels}, facts)  # fmt: skip


def _onnx() -> tuple[Any, Any]:
    try:
        import onnx
        from onnx import helper
    except ImportError:
        raise not_installed("Writing ONNX", "onnx", "onnx") from None
    return onnx, helper


def _pixels(model: Autoencoder) -> int:
    height, width = model.architecture.image_size
    return height * width


def _chain(network: Network, name: str, helper: Any) -> tuple[Nodes, str]:
    """The nodes of the layers one after another, and the name of the last output."""
    nodes: Nodes = []
    for index, layer in enumerate(network.layers):
        output = f"h{index}"
        nodes += _NODES[layer["kind"]](layer, name, output, network.tensors, helper)
        name = output
    return nodes, name


def _activation(op: str) -> Callable[..., Nodes]:
    return lambda layer, x, y, tensors, helper: [helper.make_node(op, [x], [y])]  # noqa: ARG005


def _gelu(layer: Layer, x: str, y: str, tensors: Tensors, helper: Any) -> Nodes:  # noqa: ARG001
    """x/2 (1 + erf(x/√2)); the Gelu operator of its own is younger than this opset."""
    constants = {"gelu.root": np.sqrt(0.5), "gelu.one": 1.0, "gelu.half": 0.5}
    tensors |= {name: np.array(value, np.float32) for name, value in constants.items()}
    steps = [
        ("Mul", [x, "gelu.root"]), ("Erf", [f"{y}.0"]), ("Add", [f"{y}.1", "gelu.one"]),
        ("Mul", [f"{y}.2", x]), ("Mul", [f"{y}.3", "gelu.half"]),
    ]  # fmt: skip
    names = [*(f"{y}.{step}" for step in range(len(steps) - 1)), y]
    return [helper.make_node(op, inputs, [name])
            for (op, inputs), name in zip(steps, names, strict=True)]  # fmt: skip


def _linear(layer: Layer, x: str, y: str, tensors: Tensors, helper: Any) -> Nodes:  # noqa: ARG001
    return [helper.make_node("Gemm", _inputs(layer, x), [y], transB=1)]


def _inputs(layer: Layer, x: str) -> list[str]:
    return [x, *(layer[part] for part in ("weight", "bias") if part in layer)]


def _convolution(op: str) -> Callable[..., Nodes]:
    def nodes(layer: Layer, x: str, y: str, tensors: Tensors, helper: Any) -> Nodes:  # noqa: ARG001
        return [
            helper.make_node(
                op, _inputs(layer, x), [y], kernel_shape=layer["kernel"],
                strides=layer["stride"], pads=[*layer["padding"], *layer["padding"]],
            )
        ]  # fmt: skip

    return nodes


def _reshape(layer: Layer, x: str, y: str, tensors: Tensors, helper: Any) -> Nodes:
    tensors[f"{y}.shape"] = np.array([0, *layer["shape"]])
    return [helper.make_node("Reshape", [x, f"{y}.shape"], [y])]


def _max_pool(layer: Layer, x: str, y: str, tensors: Tensors, helper: Any) -> Nodes:  # noqa: ARG001
    sizes = {"kernel_shape": [layer["kernel"]] * 2, "strides": [layer["stride"]] * 2}
    return [helper.make_node("MaxPool", [x], [y], ceil_mode=int(layer["ceil"]), **sizes)]


def _scale(layer: Layer, x: str, y: str, tensors: Tensors, helper: Any) -> Nodes:
    for part in ("weight", "bias"):  # one number a channel
        tensors[layer[part]] = tensors[layer[part]].reshape(-1, 1, 1)
    return [
        helper.make_node("Mul", [x, layer["weight"]], [f"{y}.0"]),
        helper.make_node("Add", [f"{y}.0", layer["bias"]], [y]),
    ]


_NODES: dict[str, Callable[[Layer, str, str, Tensors, Any], Nodes]] = {
    "relu": _activation("Relu"),
    "tanh": _activation("Tanh"),
    "gelu": _gelu,
    "linear": _linear,
    "conv": _convolution("Conv"),
    "conv-transpose": _convolution("ConvTranspose"),
    "max-pool": _max_pool,
    "scale": _scale,
    "reshape": _reshape,
}


def _continuous_bernoulli_mean(nodes: Nodes, tensors: Tensors, helper: Any) -> None:
    """σ(l)/tanh(l/2) − 1/l, near l = 0 its series 1/2 + l/12 − l³/720.

    Loaiza-Ganem and Cunningham (2019), eq. 8, in logits: λ = σ(l) and 2λ − 1 = tanh(l/2).
    """
    constants = {"half": 0.5, "one": 1.0, "near": 0.2, "twelfth": 1 / 12, "cubic": -1 / 720}
    tensors |= {name: np.array(value, np.float32) for name, value in constants.items()}
    steps = [
        ("Abs", ["logits"], "size"), ("Less", ["size", "near"], "small"),
        ("Where", ["small", "one", "logits"], "safe"), ("Sigmoid", ["safe"], "sigma"),
        ("Mul", ["safe", "half"], "halved"), ("Tanh", ["halved"], "tanh"),
        ("Div", ["sigma", "tanh"], "first"), ("Reciprocal", ["safe"], "second"),
        ("Sub", ["first", "second"], "far"),
        ("Mul", ["logits", "logits"], "square"), ("Mul", ["square", "cubic"], "c"),
        ("Add", ["c", "twelfth"], "slope"), ("Mul", ["slope", "logits"], "rise"),
        ("Add", ["rise", "half"], "series"), ("Where", ["small", "series", "far"], "pixels"),
    ]  # fmt: skip
    nodes += [helper.make_node(op, inputs, [output]) for op, inputs, output in steps]


def _model(
    onnx: Any,
    nodes: Nodes,
    tensors: Mapping[str, Any],
    inputs: Mapping[str, int],
    outputs: Mapping[str, int],
    facts: Mapping[str, Any],
) -> bytes:
    """The checked file; every input and output is float32 ``(batch, size)``."""
    helper = onnx.helper

    def values(sizes: Mapping[str, int]) -> list[Any]:
        return [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", size])
                for name, size in sizes.items()]  # fmt: skip

    graph = helper.make_graph(
        nodes, "aelab", values(inputs), values(outputs),
        [onnx.numpy_helper.from_array(np.ascontiguousarray(t), n) for n, t in tensors.items()],
    )  # fmt: skip
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="aelab",
    )  # fmt: skip
    helper.set_model_props(model, {"aelab": json.dumps(facts, ensure_ascii=False)})
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data
