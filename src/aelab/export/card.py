"""The model card: what was trained on what, and what was measured, in Markdown."""

import json
from collections.abc import Mapping
from typing import Any

_HEAD = """\
---
library_name: aelab
tags: [autoencoder, {model}, image-reconstruction, mnist-format]
---

# {title}, d = {d}

{article} {long_title} with a code of {d} {dimensions}, trained by aelab {version} on {corpus} \
({source}; {split}).
Images are {height} × {width} grey levels in [0, 1], row by row; pixels in the likelihood: {pixels}.

```python
import aelab

model = aelab.load_exported("FOLDER")  # this folder
codes = model.encode(x)  # x: float32 (B, {count})
pixels = model.pixels(model.decode(codes))  # (B, {count}) in [0, 1]
```

## Measured

On {test} test images, which no choice was made on. Brackets: 95% bootstrap interval over the test \
images. These numbers are of this one trained model; another seed would give others.

| Measure | Value | 95% interval |
| --- | --- | --- |
"""


def model_card(config: Mapping[str, Any]) -> str:
    """The README of an exported folder, from its ``config.json``."""
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
        test=f"{data['counts']['test']:,}",
    )
    rows = [_row(entry) for entry in config["metrics"].values()]
    settings = {name: config[name] for name in ("architecture", "objective", "training", "seed")}
    tail = ["", "## Setting", "", "```json", json.dumps(settings, indent=1), "```", ""]
    return head + "\n".join([*rows, *tail])


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
