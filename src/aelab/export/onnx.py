"""ONNX graphs of a model, made by ``torch.onnx``: any batch size, opset 18.

An encoder maps ``x (batch, D)``, pixels in [0, 1], to ``code (batch, d)``, or to ``mean`` and
``log_variance`` where the posterior is a diagonal Gaussian. A decoder maps ``code`` to ``logits``
and ``pixels (batch, D)``.
"""

import json
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast, final

import torch
from torch import Tensor, nn

from aelab.errors import AelabError, not_installed
from aelab.models import Autoencoder, DiagonalNormal, Variational

OPSET, IR_VERSION = 18, 8  # read by every onnxruntime since 1.14


@final
class _Encoder(nn.Module):
    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_BD: Tensor) -> tuple[Tensor, ...]:
        """The code, or the mean and the log-variance of q(z|x)."""
        if "likelihood" in self.model.capabilities:
            posterior = cast("Variational", self.model).posterior(x_BD)
            if isinstance(posterior, DiagonalNormal):
                return posterior.mean, posterior.log_variance
        return (self.model.encode(x_BD),)


@final
class _Decoder(nn.Module):
    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, z_BZ: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and the pixels in [0, 1]."""
        logits_BD = self.model.decode(z_BZ)
        return logits_BD, self.model.pixels(logits_BD)


def files(key: str, model: Autoencoder, config: Mapping[str, Any]) -> dict[str, bytes]:
    """Two files, ``<key>-encoder.onnx`` and ``<key>-decoder.onnx``, with ``config`` as metadata.

    Raises AelabError for a model that ONNX cannot hold.
    """
    if "decoder" not in model.capabilities:
        raise AelabError(
            f"The {model.title} decodes no code alone, so ONNX cannot hold it: use --format hub."
        )
    facts = {name: found for name, found in config.items() if name != "layers"}
    encoder = _Encoder(model).eval()
    x_BD = torch.rand(4, math.prod(model.architecture.image_size))
    with torch.inference_mode():
        code_BZ, *log_variance = encoder(x_BD)
    outputs = ["mean", "log_variance"] if log_variance else ["code"]
    decoder, code_BZ = _Decoder(model).eval(), torch.zeros_like(code_BZ)
    return {
        f"{key}-encoder.onnx": _graph(model.title, encoder, {"x": x_BD}, outputs, facts),
        f"{key}-decoder.onnx": _graph(
            model.title, decoder, {"code": code_BZ}, ["logits", "pixels"], facts
        ),
    }


def _graph(
    title: str,
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: list[str],
    facts: Mapping[str, Any],
) -> bytes:
    """The checked file; every input and output is float32 ``(batch, size)``."""
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch.onnx needs it)
    except ImportError:
        raise not_installed("Writing ONNX", "onnx", "onnx") from None
    try:
        with _quiet():
            program = torch.onnx.export(
                module, tuple(inputs.values()), input_names=list(inputs), output_names=outputs,
                dynamic_shapes=({0: torch.export.Dim("batch")},), opset_version=OPSET,
                verbose=False,
            )  # fmt: skip
        assert program is not None
        model = program.model_proto
    except Exception as error:  # whatever the tracing of a foreign model raises
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise AelabError(
            f"torch.onnx cannot export the {title}: {reason}. aelab export --format hub can."
        ) from error
    model.ir_version, model.producer_name, model.graph.name = IR_VERSION, "aelab", "aelab"
    for part in (model.graph, *model.graph.node, *model.graph.value_info):
        part.ClearField("metadata_props")  # stack traces with the paths of this machine
    onnx.helper.set_model_props(model, {"aelab": json.dumps(facts, ensure_ascii=False)})
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of torch.onnx about itself and about packages that it could use."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
