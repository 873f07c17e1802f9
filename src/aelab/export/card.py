"""The model card: what was trained on what, and its metrics, in Markdown."""

import json
from collections.abc import Mapping
from typing import Any

import jinja2

from aelab.export.whole import has_gaussian_head
from aelab.models import Autoencoder

_CARD = """\
---
license: apache-2.0
library_name: aelab
tags: [autoencoder, {{ config.model }}, image-reconstruction, mnist-format]
---

# {{ title }}, d = {{ d }}

{{ "An" if title[:1] in "AEIO" else "A" }} {{ title }} with a code of {{ d }} \
{{ "dimension" if d == 1 else "dimensions" }}, trained by aelab {{ config.aelab }} on \
{{ data.name | plain }} ({{ data.source | plain }}; {{ data.split | plain }}).
Images are {{ height }} × {{ width }} grey levels in [0, 1], row by row; pixels in the \
likelihood: {{ config.pixels }}.
{% if gaussian %}
`encode` gives the mean of the posterior q(z|x); `posterior` gives its mean and log-variance.
{% else %}
`encode` gives the code.
{% endif %}

## Use

With aelab (`pip install aelab`):

```python
import aelab

model = aelab.load_exported("FOLDER")  # this folder
codes = model.encode(x)  # x: float32 (B, {{ height * width }})
pixels = model.pixels(model.decode(codes))  # (B, {{ height * width }}) in [0, 1]
```

{% if kinds and not kinds - steps.keys() %}
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
{% for kind, step in steps.items() if kind in kinds %}
            case "{{ kind }}":
                x = {{ step }}
{% endfor %}
    return x


codes = run("encoder", x){% if gaussian %}[:, :{{ d }}]{% endif %}  \
# x: float32 (B, {{ height * width }})
logits = run("decoder", codes)
{% if config.architecture.likelihood == "bernoulli" %}
pixels = torch.sigmoid(logits)  # (B, {{ height * width }}) in [0, 1]
{% else %}
pixels = torch.distributions.ContinuousBernoulli(logits=logits.double()).mean.float()
{% endif %}
```

{% endif %}
## Metrics

On {{ "{:,}".format(data.counts.test) }} test images, which no choice was made on. Brackets: 95% \
bootstrap interval over the test images. These numbers are of this one trained model; another seed \
would give others.

| Metric | Value | 95% interval |
| --- | --- | --- |
{% for entry in config.metrics.values() %}
| {{ entry.title | plain }}{% if entry.unit %} ({{ entry.unit | plain }}){% endif %} | \
{% if entry.value is none %}
not defined | |
{% elif entry.low is none or entry.high is none %}
{{ "%.4g" | format(entry.value) }} |  |
{% else %}
{{ "%.4g" | format(entry.value) }} | [{{ "%.4g, %.4g" | format(entry.low, entry.high) }}] |
{% endif %}
{% endfor %}

## Settings

```json
{{ settings | json }}
```

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
    environment = jinja2.Environment(
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"plain": _plain, "json": lambda value: json.dumps(value, indent=1)}
    height, width = config["architecture"]["image_size"]
    return environment.from_string(_CARD).render(
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
