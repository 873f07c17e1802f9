"""A trained model as one safetensors file or as a folder for the Hub, and back again."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from pydantic import ValidationError
from safetensors import SafetensorError

from aelab.errors import AelabError
from aelab.export.card import model_card
from aelab.export.layers import Layer
from aelab.export.whole import networks
from aelab.models import MODELS, Architecture, Autoencoder
from aelab.runs.run import Run

FORMAT = 1
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"


def config(run: Run, key: str, model: Autoencoder) -> dict[str, Any]:
    """Everything that a reader of the weights needs, of plain JSON types."""
    experiment, results = run.experiment(), run.metrics()
    entry = results["models"][key]
    described = ("title", "unit", "better", "description")
    nothing = {"value": None, "low": None, "high": None, "n": None}
    return {
        "format": FORMAT,
        "aelab": version("aelab"),
        "key": key,
        "model": model.name,
        "title": model.title,
        "architecture": model.architecture.model_dump(mode="json"),
        # A model built by an experiment holds its training's settings in the same record.
        "objective": model.config.model_dump(mode="json", include=set(model.Config.model_fields)),
        "training": experiment[model.name],
        "seed": experiment["seed"],
        "pixels": experiment["pixels"],
        "data": results["data"],
        "layers": _layers(model),
        "metrics": {
            name: {what: metric[what] for what in described}
            | (entry["metrics"].get(name) or nothing)
            for name, metric in results["measures"].items()
        },
    }


def _layers(model: Autoencoder) -> dict[str, list[Layer]]:
    """The layers of the encoder and the decoder; empty if the model does more than they say."""
    try:
        encoder, decoder = networks(model)
    except AelabError:
        return {}
    return {"encoder": encoder.layers, "decoder": decoder.layers}


def safetensors_file(key: str, model: Autoencoder, facts: Mapping[str, Any]) -> dict[str, bytes]:
    """One file that carries its configuration in its metadata."""
    metadata = {"format": "pt", "aelab": json.dumps(facts, ensure_ascii=False)}
    return {f"{key}.safetensors": _weights(model, metadata)}


def hub_folder(key: str, model: Autoencoder, facts: Mapping[str, Any]) -> dict[str, bytes]:
    """The folder that the Hub expects: weights, configuration and model card."""
    return {
        f"{key}/{WEIGHTS}": _weights(model, {"format": "pt"}),
        f"{key}/{CONFIG}": json.dumps(facts, indent=1, ensure_ascii=False).encode(),
        f"{key}/{CARD}": model_card(facts, model).encode(),
    }


def load_exported(path: Path | str) -> Autoencoder:
    """Load an exported model, ready to encode and decode.

    Args:
        path: A folder or a safetensors file that ``aelab export`` has written.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        AelabError: If the path holds no model that this version can load.
    """
    path = Path(path)
    file = path / WEIGHTS if path.is_dir() else path
    try:
        with safetensors.safe_open(file, framework="pt") as archive:
            facts = (archive.metadata() or {}).get("aelab")
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        settings = json.loads(facts or (path / CONFIG).read_bytes())
        architecture = Architecture.model_validate(settings["architecture"])
        kind = MODELS[settings["model"]]
        model = kind(architecture, kind.Config.model_validate(settings["objective"]))
        model.load_state_dict(tensors)
    except OSError as error:
        raise AelabError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError, ValidationError):
        raise AelabError(
            f"{path} holds no model that this aelab can load: name a folder or a .safetensors "
            "file that aelab export has written."
        ) from None
    return model.eval()


def _weights(model: Autoencoder, metadata: dict[str, str]) -> bytes:
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    data: bytes = safetensors.torch.save(tensors, metadata)
    return data
