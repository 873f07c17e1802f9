"""Trained models for other programs: ONNX, safetensors, folders for the Hub, plain layer lists."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from aelab.errors import AelabError
from aelab.export import onnx
from aelab.export.folder import config, hub_folder, load_exported, safetensors_file
from aelab.export.layers import Layer, LayerList, Tensors, describe
from aelab.export.whole import has_gaussian_head, networks
from aelab.models import Autoencoder
from aelab.runs.run import Run

Format = Literal["onnx", "safetensors", "hub"]
Writer = Callable[[str, Autoencoder, Mapping[str, Any]], dict[str, bytes]]
FORMATS: dict[Format, Writer] = {
    "onnx": onnx.files,
    "safetensors": safetensors_file,
    "hub": hub_folder,
}


def write_models(run: Run, models: Mapping[str, Autoencoder], form: Format, out: Path) -> Path:
    """Write the trained ``models`` of ``run`` into the new folder ``out``; gives its path."""
    files: dict[str, bytes] = {}
    for key, model in models.items():
        files |= FORMATS[form](key, model, config(run, key, model))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AelabError(f"{out} exists and is not an empty folder: name another --out.")
    try:
        for name, data in files.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise AelabError(f"Cannot write {out}: {error.strerror}.") from None
    return out


__all__ = [
    "FORMATS",
    "Format",
    "Layer",
    "LayerList",
    "Tensors",
    "config",
    "describe",
    "has_gaussian_head",
    "load_exported",
    "networks",
    "write_models",
]
