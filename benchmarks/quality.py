"""The recipe compared with the presets that reach its validation loss faster: make fast."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from aelab.experiment.presets import preset
from aelab.models import MODELS
from aelab.runs.pool import Event, Job, Send, run_jobs
from aelab.training.loop import fit
from benchmarks.images import data
from benchmarks.table import markdown

PAIRS = {"ae": ("recipe", "fast-ae"), "vae": ("recipe", "fast-vae")}


@dataclass(frozen=True)
class Trained:
    """A model after all epochs of a preset: seconds with validation, and its loss there, nats."""

    model: str
    preset: str
    seed: int
    epochs: int
    seconds: float
    loss: float


def train(send: Send, name: str, chosen: str, seed: int, folder: str) -> None:
    """A job: train by the preset, one thread, from a built model and loaded data to the end."""
    experiment = preset(chosen, latent_dim=(16,), seed=seed)
    model, images = experiment.build(f"{name}-16"), data(folder)
    began = time.perf_counter()
    for epoch in fit(model, images, experiment.training(name), seed=seed):
        index, loss = epoch.index, epoch.validation.total
    send(Trained(name, chosen, seed, index, time.perf_counter() - began, loss))


def race(folder: str, seeds: int, say: Callable[[str], None]) -> list[Trained]:
    """Train recipe and preset for each seed in turn, one process at a time, under the same load.

    Network, batch, objective and validation images are the same for both.
    """
    jobs = [
        Job(f"{chosen}, {name}, seed {seed}", train, (name, chosen, seed, folder))
        for name, pair in PAIRS.items()
        for seed in range(seeds)
        for chosen in pair
    ]
    return [trained for event in run_jobs(jobs, 1) for trained in _heard(event, say)]


def _heard(event: Event, say: Callable[[str], None]) -> Iterator[Trained]:
    assert event.kind != "failed", event.content
    if isinstance(event.content, Trained):
        say(f"{event.job}: {event.content.seconds:.1f} s, {event.content.loss:.2f} nats")
        yield event.content


def table(found: list[Trained]) -> str:
    """A row per model and seed, and one of medians; ratios are those of the row's numbers."""
    rows = []
    for name, pair in PAIRS.items():
        both = [[t for t in found if (t.model, t.preset) == (name, chosen)] for chosen in pair]
        for recipe, fast in zip(*both, strict=True):
            rows.append(_row(f"{MODELS[name].title}, seed {recipe.seed}", recipe, fast))
        rows.append(
            _row(f"**{MODELS[name].title}, median**", *(_middle(trained) for trained in both))
        )
    header = ["d = 16", "epochs", "epochs, fast", "seconds", "seconds, fast", "times faster",
              "loss, nats", "loss, fast, nats", "difference"]  # fmt: skip
    return markdown(header, rows)


def _middle(trained: list[Trained]) -> Trained:
    values: dict[str, Any] = {key: median(getattr(t, key) for t in trained)
                              for key in ("epochs", "seconds", "loss")}  # fmt: skip
    return Trained(trained[0].model, trained[0].preset, -1, **values)


def _row(title: str, recipe: Trained, fast: Trained) -> list[str]:
    difference = f"{fast.loss - recipe.loss:+.2f}".replace("-", "−")
    return [title, str(recipe.epochs), str(fast.epochs), f"{recipe.seconds:.1f}",
            f"{fast.seconds:.1f}", f"{recipe.seconds / fast.seconds:.1f}", f"{recipe.loss:.2f}",
            f"{fast.loss:.2f}", difference]  # fmt: skip
