"""aelab: the laboratory for autoencoders and variational autoencoders on MNIST."""

import importlib
from typing import TYPE_CHECKING, Any

from aelab.registry import load_plugins

__version__ = "0.1.0"

if TYPE_CHECKING:
    from aelab.claims import CLAIMS, Claim, claim, load_claims
    from aelab.compare import Comparison, compare
    from aelab.data import Data, Split, load_data
    from aelab.experiment import PRESETS, Experiment, load_toml, model, preset
    from aelab.export import load_exported
    from aelab.lab import (
        evaluate,
        explore,
        export_models,
        report,
        resume,
        run_lab,
    )
    from aelab.losses import Loss
    from aelab.metrics import METRICS, metric
    from aelab.models import MODELS, Autoencoder, GaussianAutoencoder
    from aelab.runs import Run, Study
    from aelab.search import Search, resume_search, run_search
    from aelab.study import evaluate_study, report_study, resume_study, run_study
    from aelab.train import Epoch, Training, fit
    from aelab.work import load_model, load_run_data

_HOMES = {
    "aelab.claims": ("CLAIMS", "Claim", "claim", "load_claims"),
    "aelab.compare": ("Comparison", "compare"),
    "aelab.data": ("Data", "Split", "load_data"),
    "aelab.experiment": ("PRESETS", "Experiment", "load_toml", "model", "preset"),
    "aelab.export": ("load_exported",),
    "aelab.lab": (
        "evaluate",
        "explore",
        "export_models",
        "report",
        "resume",
        "run_lab",
    ),
    "aelab.losses": ("Loss",),
    "aelab.metrics": ("METRICS", "metric"),
    "aelab.models": ("MODELS", "Autoencoder", "GaussianAutoencoder"),
    "aelab.runs": ("Run", "Study"),
    "aelab.search": ("Search", "resume_search", "run_search"),
    "aelab.study": ("evaluate_study", "report_study", "resume_study", "run_study"),
    "aelab.train": ("Epoch", "Training", "fit"),
    "aelab.work": ("load_model", "load_run_data"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022  (by home, as above)
    "CLAIMS", "Claim", "claim", "load_claims",
    "Comparison", "compare",
    "Data", "Split", "load_data",
    "PRESETS", "Experiment", "load_toml", "preset",
    "load_exported",
    "evaluate", "explore", "export_models", "load_model", "load_run_data", "report", "resume",
    "run_lab",
    "Loss", "METRICS", "metric",
    "MODELS", "Autoencoder", "GaussianAutoencoder", "model",
    "Run", "Study", "Search", "resume_search", "run_search",
    "evaluate_study", "report_study", "resume_study", "run_study",
    "Epoch", "Training", "fit",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a name's home when it is first used: ``aelab --help`` must not wait for torch."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'aelab' has no attribute {name!r}")
    home = importlib.import_module(_HOME_OF[name])
    load_plugins()
    return getattr(home, name)
