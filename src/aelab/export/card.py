"""The model card: what was trained on what, and what was measured, in Markdown."""

import json
import math
from collections.abc import Mapping
from typing import Any

from aelab.errors import AelabError
from aelab.export.whole import has_gaussian_head, networks
from aelab.models import Autoencoder

_HEAD = """\
---
license: apache-2.0
library_name: aelab
tags: [autoencoder, {model}, image-reconstruction, mnist-format]
---

# {title}, d = {d}

{article} {long_title} with a code of {d} {dimensions}, trained by aelab {version} on {corpus} \
({source}; {split}).
Images are {height} × {width} grey levels in [0, 1], row by row; pixels in the likelihood: {pixels}.
{encode}

## Use

With aelab (`pip install aelab`):

```python
import aelab

model = aelab.load_exported("FOLDER")  # this folder
codes = model.encode(x)  # x: float32 (B, {count})
pixels = model.pixels(model.decode(codes))  # (B, {count}) in [0, 1]
```

{without_aelab}## Measured

On {test} test images, which no choice was made on. Brackets: 95% bootstrap interval over the test \
images. These numbers are of this one trained model; another seed would give others.

| Measure | Value | 95% interval |
| --- | --- | --- |
"""

_LAYERS = """\
Without aelab (`pip install torch safetensors`), by the `layers` in `config.json`:

```python
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn import functional

folder = Path("FOLDER")  # this folder
layers = json.loads((folder / "config.json").read_text("utf-8"))["layers"]
tensors = load_file(folder / "model.safetensors")


def run(part, x):
    for layer in layers[part]:
        weight, bias = (tensors.get(layer.get(name)) for name in ("weight", "bias"))
        match layer["kind"]:
{cases}
    return x


codes = run("encoder", x){mean}  # x: float32 (B, {count})
pixels = {pixels}  # (B, {count}) in [0, 1]
```

"""
_LICENCE = """\
## Licence

The weights are under Apache-2.0, the licence of aelab, unless who trained them says otherwise. \
The images that they were trained on have a licence of their own.
"""
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
    data, architecture = config["data"], config["architecture"]
    height, width = architecture["image_size"]
    d = architecture["latent_dim"]
    head = _HEAD.format(
        model=config["model"],
        title=_text(config["title"]),
        long_title=_text(config["title"]),
        article="An" if config["title"][:1] in "AEIO" else "A",
        d=d,
        dimensions="dimension" if d == 1 else "dimensions",
        version=config["aelab"],
        corpus=_text(data["name"]),
        source=_text(data["source"]),
        split=_text(data["split"]),
        height=height,
        width=width,
        count=height * width,
        pixels=config["pixels"],
        encode="`encode` gives the mean of the posterior q(z|x); `posterior` gives its mean and "
        "log-variance."
        if has_gaussian_head(model)
        else "`encode` gives the code.",
        without_aelab=_without_aelab(config, model),
        test=f"{data['counts']['test']:,}",
    )
    rows = [_row(entry) for entry in config["metrics"].values()]
    settings = {name: config[name] for name in ("architecture", "objective", "training", "seed")}
    tail = ["", "## Setting", "", "```json", json.dumps(settings, indent=1), "```", ""]
    return head + "\n".join([*rows, *tail, _LICENCE])


def _without_aelab(config: Mapping[str, Any], model: Autoencoder) -> str:
    """The lines that run the layers; nothing for a model that does more than its layers say."""
    kinds = dict.fromkeys(layer["kind"] for part in config["layers"].values() for layer in part)
    try:
        networks(model)
    except AelabError:
        return ""
    if not kinds.keys() <= _STEPS.keys():
        return ""
    logits = 'run("decoder", codes)'
    return _LAYERS.format(
        cases="\n".join(
            f'            case "{kind}":\n                x = {_STEPS[kind]}' for kind in kinds
        ),
        mean=f"[:, :{model.architecture.latent_dim}]" if has_gaussian_head(model) else "",
        count=math.prod(model.architecture.image_size),
        pixels=f"torch.sigmoid({logits})"
        if model.architecture.likelihood == "bernoulli"
        else f"torch.distributions.ContinuousBernoulli(logits={logits}.double()).mean.float()",
    )


def _row(entry: Mapping[str, Any]) -> str:
    name = _text(entry["title"]) + (f" ({_text(entry['unit'])})" if entry["unit"] else "")
    if entry["value"] is None:
        return f"| {name} | not defined | |"
    known = entry["low"] is not None and entry["high"] is not None
    interval = f"[{entry['low']:.4g}, {entry['high']:.4g}]" if known else ""
    return f"| {name} | {entry['value']:.4g} | {interval} |"


def _text(words: object) -> str:
    """Words as Markdown shows them: no markup, no end of a cell or a line."""
    plain = " ".join(str(words).split())
    for mark in "\\`*_[]<>|#":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
