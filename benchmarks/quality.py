"""Wall-clock until validation −ELBO reaches what the original recipe has after 50 epochs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aelab.experiment import preset
from aelab.train import fit
from benchmarks.images import data
from benchmarks.table import markdown

SETTINGS: dict[str, dict[str, Any]] = {
    "the recipe: 1e-4, constant, 50 epochs": {},
    "1e-3, constant": {"learning_rate": 1e-3},
    "2e-3, cosine over 5 epochs": {"learning_rate": 2e-3, "schedule": "cosine", "epochs": 5},
    "2e-3, cosine over 4 epochs, batch 128": {
        "learning_rate": 2e-3, "schedule": "cosine", "epochs": 4, "batch_size": 128,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Reached:
    """What a setting needed; ``epochs`` is None if it ended above the target."""

    setting: str
    epochs: int | None
    seconds: float
    best: float


def race(folder: str, say: Callable[[str], None]) -> list[Reached]:
    """The recipe first, whose end is the target of the others; one thread, training and validation.

    The objective, the network and the validation images are the same for all.
    """
    found: list[Reached] = []
    target = float("inf")
    for name, change in SETTINGS.items():
        experiment = preset("recipe", latent_dim=(16,), vae=change)
        model = experiment.build("vae-16")
        seconds, best, epochs = 0.0, float("inf"), None
        for epoch in fit(model, data(folder), experiment.training("vae"), seed=0):
            seconds += epoch.seconds
            best = min(best, epoch.validation.total)
            say(f"{name}: epoch {epoch.index}, {epoch.validation.total:.2f} nats")
            if found and epoch.validation.total <= target:
                epochs = epoch.index
                break
        if not found:
            target, epochs = epoch.validation.total, epoch.index
        found.append(Reached(name, epochs, seconds, best))
    return found


def table(found: list[Reached]) -> str:
    """A row a setting."""
    first = found[0]
    return markdown(
        ["VAE, d = 16", "epochs", "seconds", "times faster", "−ELBO there, nats"],
        [
            [r.setting, str(r.epochs or "not reached"), f"{r.seconds:.1f}",
             f"{first.seconds / r.seconds:.1f}" if r.epochs else "", f"{r.best:.2f}"]
            for r in found
        ],
    )  # fmt: skip
