"""What the interactive latent planes need: codes, and every image in a sprite sheet."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from aelab.report.figures.drawing import mosaic
from aelab.report.figures.latent import class_places
from aelab.report.results import Array, Model, Results
from aelab.report.style import class_colors, role

COLUMNS = 40
NEEDED = ("codes", "labels", "plane_index", "plane_originals", "plane_reconstructions")


def planes(results: Results) -> dict[str, Any] | None:
    """Plain JSON for the page's script, or None where no model has a plane."""
    models = [model for model in results.of_dim(2) if model.has(*NEEDED)]
    if not models:
        return None
    # Every model of a run has saved the same points: the seed draws them.
    shared = models[0].array("plane_index")
    labels = models[0].array("labels")[shared]
    names = [str(name) for name in results.label_names]
    names += [str(k) for k in range(len(names), int(labels.max()) + 1)]
    return {
        "all": len(shared) == results.counts.get("test"),
        "labels": labels.tolist(),
        "index": shared.tolist(),
        "names": names,
        "colors": class_colors(len(names)),
        "size": list(results.image_size),
        "columns": COLUMNS,
        "originals": sprite(models[0].array("plane_originals"), results.image_size),
        "planes": [_plane(results, model, shared) for model in models],
    }


def _plane(results: Results, model: Model, shared: Array) -> dict[str, Any]:
    codes = np.asarray(model.array("codes")[shared], float)
    labels = model.array("labels")[shared]
    std = model.array("posterior_std")[shared] if model.has("posterior_std") else None
    places = class_places(codes, labels, 0.07)
    return {
        "key": model.key,
        "role": role(model.name, results.model_names),
        "title": model.title,
        "x": codes[:, 0].round(4).tolist(),
        "y": codes[:, 1].round(4).tolist(),
        "std": None if std is None else np.asarray(std, float).round(4).tolist(),
        "prior": model.has_prior,
        "medians": {str(label): place.round(4).tolist() for label, place in places.items()},
        "sprite": sprite(model.array("plane_reconstructions"), results.image_size),
    }


def sprite(images_PD: Array, size: tuple[int, int]) -> str:
    """Images in rows of ``COLUMNS``, as a PNG data URI whose opacity is the grey level."""
    strength = mosaic(images_PD, COLUMNS, size, gap=0)
    image = np.stack([np.zeros_like(strength), strength], -1)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
