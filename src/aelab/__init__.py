"""aelab: the laboratory for autoencoders and variational autoencoders on MNIST."""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from aelab.data import Data, Split, load_data
    from aelab.experiment import PRESETS, Experiment, load_toml, preset
    from aelab.export import load_exported
    from aelab.lab import (
        evaluate,
        explore,
        export_models,
        load_model,
        load_run_data,
        report,
        resume,
        run_lab,
    )
    from aelab.losses import Loss
    from aelab.metrics import METRICS, metric
    from aelab.models import MODELS, Autoencoder, GaussianAutoencoder, model
    from aelab.runs import Run
    from aelab.search import Search, resume_search, run_search
    from aelab.train import Epoch, Training, fit

_HOMES = {
    "aelab.data": ("Data", "Split", "load_data"),
    "aelab.experiment": ("PRESETS", "Experiment", "load_toml", "preset"),
    "aelab.export": ("load_exported",),
    "aelab.lab": (
        "evaluate",
        "explore",
        "export_models",
        "load_model",
        "load_run_data",
        "report",
        "resume",
        "run_lab",
    ),
    "aelab.losses": ("Loss",),
    "aelab.metrics": ("METRICS", "metric"),
    "aelab.models": ("MODELS", "Autoencoder", "GaussianAutoencoder", "model"),
    "aelab.runs": ("Run",),
    "aelab.search": ("Search", "resume_search", "run_search"),
    "aelab.train": ("Epoch", "Training", "fit"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022  (by home, as above)
    "Data", "Split", "load_data",
    "PRESETS", "Experiment", "load_toml", "preset",
    "load_exported",
    "evaluate", "explore", "export_models", "load_model", "load_run_data", "report", "resume",
    "run_lab",
    "Loss", "METRICS", "metric",
    "MODELS", "Autoencoder", "GaussianAutoencoder", "model",
    "Run", "Search", "resume_search", "run_search", "Epoch", "Training", "fit",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a name's home when it is first used: ``aelab --help`` must not wait for torch."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'aelab' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
