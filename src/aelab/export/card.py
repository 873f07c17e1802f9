"""The model card: what was trained on what, and its metrics, in Markdown."""

import json
from collections.abc import Mapping
from typing import Any

import jinja2

from aelab.export.whole import has_gaussian_head
from aelab.models import Autoencoder

#: What each kind of layer does; the card shows those that the model has.
_STEPS = {
    "linear": "functional.linear(x, weight, bias)",
    "relu": "functional.relu(x)",
    "tanh": "torch.tanh(x)",
    "gelu": "functional.gelu(x)",
    "conv": 'functional.conv2d(x, weight, bias, layer["stride"], layer["padding"])',
    "conv-transpose": (
        'functional.conv_transpose2d(x, weight, bias, layer["stride"], layer["padding"])'
    ),
    "reshape": 'x.reshape(len(x), *layer["shape"])',
}


def model_card(config: Mapping[str, Any], model: Autoencoder) -> str:
    """The README of an exported folder, from its ``config.json`` and the model."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("aelab.export"), trim_blocks=True,
        keep_trailing_newline=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"plain": _plain, "json": lambda value: json.dumps(value, indent=1)}
    height, width = config["architecture"]["image_size"]
    return environment.get_template("card.md.j2").render(
        config=config,
        data=config["data"],
        settings={name: config[name] for name in ("architecture", "objective", "training", "seed")},
        title=_plain(config["title"]),
        d=config["architecture"]["latent_dim"],
        height=height,
        width=width,
        gaussian=has_gaussian_head(model),
        kinds={layer["kind"] for part in config["layers"].values() for layer in part},
        steps=_STEPS,
    )


def _plain(words: object) -> str:
    """Words as Markdown shows them: no markup, no end of a cell or a line."""
    plain = " ".join(str(words).split())
    for mark in "\\`*_[]<>|#":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
