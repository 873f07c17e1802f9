"""The presets, and experiments made from them, from TOML files and from plain settings."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from aelab.config.base import read_toml, sentence
from aelab.errors import AelabError
from aelab.experiment.settings import Experiment, experiment_type

# Every variational model starts from the recipe's rate, and so does its ablation; the plain ones
# from Training's default.
_RECIPE: dict[str, Any] = {"vae": {"learning_rate": 1e-4}, "noise": {"learning_rate": 1e-4}}
# The recipe's networks, batch size and objective, and its validation loss in a tenth of the VAE's
# epochs and a quarter of the AE's: a larger learning rate that decays to zero.
_COSINE = {"schedule": "cosine", "warmup_epochs": 0.3}
_FAST = {
    "ae": {"epochs": 12, "learning_rate": 5e-3, **_COSINE},
    "vae": {"epochs": 5, "learning_rate": 6e-3, **_COSINE},
    "noise": {"epochs": 5, "learning_rate": 6e-3, **_COSINE},
}
# The same loss in the fewest epochs: the rate decays linearly, training starts from the mean image,
# and the VAE's encoder has a fifth of the learning rate of its decoder, which allows fewer and
# larger steps. The AE gains nothing by the last (make fast).
_DOWN = {"schedule": "linear", "mean_start": True}
_FASTEST = {
    "ae": {"epochs": 7, "learning_rate": 6e-3, "warmup_epochs": 0.3, **_DOWN},
    "vae": {
        "epochs": 2, "batch_size": 144, "learning_rate": 3e-2, "encoder_rate": 0.2,
        "warmup_epochs": 0.4, **_DOWN,
    },
}  # fmt: skip
# What make search found and confirmed with five new seeds: docs/best.md.
_BEST_AE = {
    "learning_rate": 7.64e-3, "batch_size": 64, "epochs": 20, "weight_decay": 0.049,
    "schedule": "cosine", "warmup_epochs": 1.05,
}  # fmt: skip
_BEST_VAE = {
    "learning_rate": 6.39e-4, "batch_size": 32, "epochs": 10, "weight_decay": 6.97e-3,
    "warmup_epochs": 1.73, "beta": 0.841, "kl_warmup": 2.69,
}  # fmt: skip
_BEST_VAE_2D = {
    "learning_rate": 5.43e-4, "batch_size": 32, "epochs": 10, "weight_decay": 1.62e-3,
    "warmup_epochs": 1.47, "beta": 1.51, "kl_warmup": 4.03,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "recipe": _RECIPE,
    # Fewer, larger steps would be another recipe; quick keeps the batch and the pair's network,
    # cuts the epochs, and gives the VAE the AE's rate, since 1e-4 barely moves in so few steps.
    "quick": {
        "data": "bundled",
        "ae": {"epochs": 40},
        "vae": {"epochs": 40, "learning_rate": 1e-3},
        "noise": {"epochs": 40},
    },
    "fast": _FAST,
    "fast-ae": {"models": ["ae"], **_FASTEST},
    "fast-vae": {"models": ["vae"], **_FASTEST},
    "best-ae": {
        "models": ["ae"], "latent_dim": [16], "ae": _BEST_AE,
        "network": {"hidden": [800], "activation": "gelu"},
    },
    "best-vae": {
        "models": ["vae"], "latent_dim": [16], "vae": _BEST_VAE,
        "network": {"hidden": [800, 400], "activation": "gelu"},
    },
    "best-vae-2d": {
        "models": ["vae"], "latent_dim": [2], "vae": _BEST_VAE_2D,
        "network": {"hidden": [800, 400]},
    },
}  # fmt: skip
PRESET_HELP = {
    "recipe": "784-400-d, Adam, batch 64, 50 epochs, learning rate 1e-3 (AE) and 1e-4 (VAE)",
    "quick": "a first look: the same networks on the bundled digits, 40 epochs, both at 1e-3",
    "fast": "the recipe's validation loss in 12 epochs (AE) and 5 (VAE)",
    "fast-ae": "the AE alone, in the fewest epochs: 7 (--models ae vae: both)",
    "fast-vae": "the VAE alone, in the fewest epochs: 2 (--models ae vae: both)",
    "best-ae": "the AE of a search over 60 trials, confirmed by five seeds: 784-800-16",
    "best-vae": "the VAE of a search over 60 trials, confirmed by five seeds: 784-800-400-16",
    "best-vae-2d": "the same with two latent dimensions, over 30 trials: 784-800-400-2",
}


def preset(name: str = "recipe", **changes: Any) -> Experiment:
    """The Experiment of a preset.

    Args:
        name: The preset, one of ``PRESETS``.
        changes: Settings that override it, nested ones as dicts: ``vae={"beta": 4.0}``.

    Returns:
        The experiment.

    Raises:
        AelabError: If there is no such preset, or a setting is wrong.
    """
    return _over(name, changes, f"preset {name}")


def _over(name: str, changes: Mapping[str, Any], where: str) -> Experiment:
    if name not in PRESETS:
        raise AelabError(f"There is no preset {name}: choose from {', '.join(PRESETS)}.")
    return validate(merge(merge(PRESETS[name], changes), {"preset": name}), where)


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` updated with ``changes``, tables key by key."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


_RETIRED = ("checkpoint_minutes",)  # settings of older versions, which no longer do anything


def validate(settings: Mapping[str, Any], where: str) -> Experiment:
    """The Experiment of plain settings; a mistake is reported in one sentence."""
    present = {name: value for name, value in settings.items() if name not in _RETIRED}
    try:
        return experiment_type().model_validate(present)
    except ValidationError as error:
        raise AelabError(f"In {where}: {sentence(error)}") from None


class _Kept(Protocol):
    """A folder that keeps an experiment."""

    path: Path

    def experiment(self) -> dict[str, Any]: ...


def experiment_of(folder: _Kept) -> Experiment:
    """The Experiment of a run, study or search; settings newer than it have their defaults.

    But what was begun before there was a precision goes on in float32.
    """
    settings = {"precision": "float32"} | folder.experiment()
    return validate(settings, f"{folder.path}/experiment.json")


def load_toml(
    path: Path, base: str | None = None, beside: Collection[str] = (), **changes: Any
) -> Experiment:
    """The Experiment of a TOML file, whose settings override those of its preset.

    Args:
        path: The TOML file.
        base: The name of a preset in place of the file's own.
        beside: Names of tables in the file that are not settings of the experiment.
        changes: Settings that override the preset and are overridden by the file.

    Returns:
        The experiment.

    Raises:
        AelabError: If the file cannot be read, or a setting is wrong.
    """
    settings = {name: value for name, value in read_toml(path).items() if name not in beside}
    name = str(base or settings.get("preset", "recipe"))
    return _over(name, merge(changes, settings), str(path))
