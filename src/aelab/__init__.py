"""aelab: the laboratory for autoencoders and variational autoencoders on MNIST."""

import importlib
from typing import TYPE_CHECKING, Any

from aelab.config.registry import load_plugins

__version__ = "0.1.0"

if TYPE_CHECKING:
    from aelab.claims.claim import CLAIMS, Claim, claim, load_claims
    from aelab.data.dataset import Data, Split
    from aelab.data.sources import load_data
    from aelab.experiment.presets import PRESETS, load_toml, preset
    from aelab.experiment.settings import Experiment, model
    from aelab.export import load_exported
    from aelab.lab.data import load_run_data
    from aelab.lab.jobs import load_model
    from aelab.lab.report import explore, report_run
    from aelab.lab.run import evaluate, export_models, resume, run_lab
    from aelab.losses import Batch, Loss
    from aelab.metrics import METRICS, metric
    from aelab.models import (
        MODELS,
        Autoencoder,
        DiagonalNormal,
        Latent,
        StandardNormal,
        Variational,
        closed_form,
        elbo,
    )
    from aelab.nets import NETWORKS, Network, network
    from aelab.runs.run import Run
    from aelab.runs.study import Study
    from aelab.search import Search, resume_search, run_search
    from aelab.studies.compare import Comparison, compare
    from aelab.studies.study import evaluate_study, report_study, resume_study, run_study
    from aelab.training.loop import fit
    from aelab.training.records import Epoch
    from aelab.training.settings import Training
    from aelab.training.stacked import StackMember, fit_stacked

_HOMES = {
    "aelab.claims.claim": ("CLAIMS", "Claim", "claim", "load_claims"),
    "aelab.data.dataset": ("Data", "Split"),
    "aelab.data.sources": ("load_data",),
    "aelab.experiment.presets": ("PRESETS", "load_toml", "preset"),
    "aelab.experiment.settings": ("Experiment", "model"),
    "aelab.export": ("load_exported",),
    "aelab.lab.data": ("load_run_data",),
    "aelab.lab.jobs": ("load_model",),
    "aelab.lab.report": ("explore", "report_run"),
    "aelab.lab.run": ("evaluate", "export_models", "resume", "run_lab"),
    "aelab.losses": ("Batch", "Loss"),
    "aelab.metrics": ("METRICS", "metric"),
    "aelab.models": (
        "MODELS",
        "Autoencoder",
        "DiagonalNormal",
        "Latent",
        "StandardNormal",
        "Variational",
        "closed_form",
        "elbo",
    ),
    "aelab.nets": ("NETWORKS", "Network", "network"),
    "aelab.runs.run": ("Run",),
    "aelab.runs.study": ("Study",),
    "aelab.search": ("Search", "resume_search", "run_search"),
    "aelab.studies.compare": ("Comparison", "compare"),
    "aelab.studies.study": ("evaluate_study", "report_study", "resume_study", "run_study"),
    "aelab.training.loop": ("fit",),
    "aelab.training.records": ("Epoch",),
    "aelab.training.settings": ("Training",),
    "aelab.training.stacked": ("StackMember", "fit_stacked"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022  (by home, as above)
    "CLAIMS", "Claim", "claim", "load_claims",
    "Comparison", "compare",
    "Data", "Split", "load_data",
    "PRESETS", "Experiment", "load_toml", "preset",
    "load_exported",
    "evaluate", "explore", "export_models", "load_model", "load_run_data", "report_run",
    "resume",
    "run_lab",
    "Batch", "Loss", "METRICS", "metric",
    "MODELS", "Autoencoder", "DiagonalNormal", "Latent", "StandardNormal", "Variational",
    "closed_form", "elbo", "model",
    "NETWORKS", "Network", "network",
    "Run", "Study", "Search", "resume_search", "run_search",
    "evaluate_study", "report_study", "resume_study", "run_study",
    "Epoch", "StackMember", "Training", "fit", "fit_stacked",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a name's home when it is first used: ``aelab --help`` must not wait for torch."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'aelab' has no attribute {name!r}")
    home = importlib.import_module(_HOME_OF[name])
    load_plugins()
    return getattr(home, name)


def __dir__() -> list[str]:
    """The public names, for completion in a shell or notebook."""
    return sorted([*globals(), *__all__])
