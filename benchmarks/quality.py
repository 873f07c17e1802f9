"""The recipe against the presets that reach its loss faster, in both precisions: make fast."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from aelab.experiment.presets import preset
from aelab.models import MODELS
from aelab.nets.precision import Resolved, bfloat16_units
from aelab.runs.pool import Event, Job, Send, run_jobs
from aelab.training.loop import fit
from benchmarks.images import data
from benchmarks.table import markdown

PRECISIONS: tuple[Resolved, ...] = ("float32", "bfloat16")
PAIRS = {"ae": ("recipe", "fast-ae"), "vae": ("recipe", "fast-vae")}


@dataclass(frozen=True)
class Trained:
    """A model after all epochs of a preset: seconds with validation, and its loss there, nats."""

    model: str
    preset: str
    precision: Resolved
    seed: int
    epochs: int
    seconds: float
    loss: float


def train(send: Send, name: str, chosen: str, precision: Resolved, seed: int, folder: str) -> None:
    """A job: train by the preset, one thread, from a built model and loaded data to the end."""
    experiment = preset(chosen, latent_dim=(16,), seed=seed)
    model, images = experiment.build(f"{name}-16"), data(folder)
    began = time.perf_counter()
    training = experiment.training(name)
    for epoch in fit(model, images, training, seed=seed, precision=precision):
        index, loss = epoch.index, epoch.validation.total
    send(Trained(name, chosen, precision, seed, index, time.perf_counter() - began, loss))


def race(folder: str, seeds: int, say: Callable[[str], None]) -> list[Trained]:
    """Train recipe and preset for each seed in turn, two processes at a time.

    Network, batch, objective and validation images are the same for both. A machine that has no
    bfloat16 trains in float32 only.
    """
    here = PRECISIONS if bfloat16_units(torch.device("cpu")) else PRECISIONS[:1]
    jobs = [
        Job(f"{chosen}, {name}, {precision}, seed {seed}", train,
            (name, chosen, precision, seed, folder))
        for seed in range(seeds)
        for name, pair in PAIRS.items()
        for chosen in pair
        for precision in here
    ]  # fmt: skip
    found = [trained for event in run_jobs(jobs, 2) for trained in _heard(event, say)]
    return sorted(found, key=lambda t: (t.model, t.seed))


def _heard(event: Event, say: Callable[[str], None]) -> Iterator[Trained]:
    assert event.kind != "failed", event.content
    if isinstance(event.content, Trained):
        say(f"{event.job}: {event.content.seconds:.1f} s, {event.content.loss:.2f} nats")
        yield event.content


def table(found: list[Trained]) -> str:
    """A row per model and seed, and one of medians; ratios are those of the row's numbers."""
    rows = []
    for name, pair in PAIRS.items():
        both = [_of(found, name, chosen, "float32") for chosen in pair]
        for recipe, fast in zip(*both, strict=True):
            rows.append(_row(f"{MODELS[name].title}, seed {recipe.seed}", recipe, fast))
        rows.append(
            _row(f"**{MODELS[name].title}, median**", *(_middle(trained) for trained in both))
        )
    header = ["d = 16", "epochs", "epochs, fast", "seconds", "seconds, fast", "times faster",
              "loss, nats", "loss, fast, nats", "difference"]  # fmt: skip
    return markdown(header, rows)


def precision_table(found: list[Trained]) -> str:
    """A row for each model and preset: bfloat16 beside float32, over the seeds."""
    rows = []
    for name, pair in PAIRS.items():
        for chosen in pair:
            full, reduced = (_of(found, name, chosen, precision) for precision in PRECISIONS)
            if not reduced:
                continue
            changes = [b.loss - a.loss for a, b in zip(full, reduced, strict=True)]
            ratios = [b.seconds / a.seconds for a, b in zip(full, reduced, strict=True)]
            rows.append([
                f"{MODELS[name].title}, {chosen}", str(full[0].epochs), str(len(full)),
                *(f"{_middle(trained).loss:.2f}" for trained in (full, reduced)),
                *(f"{change:+.2f}".replace("-", "−")
                  for change in (sum(changes) / len(changes), min(changes), max(changes))),
                f"{median(ratios):.2f}",
            ])  # fmt: skip
    header = ["d = 16", "epochs", "seeds", "float32, nats", "bfloat16, nats", "mean difference",
              "least", "largest", "seconds, ratio"]  # fmt: skip
    return markdown(header, rows)


def _of(found: list[Trained], name: str, chosen: str, precision: str) -> list[Trained]:
    return [t for t in found if (t.model, t.preset, t.precision) == (name, chosen, precision)]


def _middle(trained: list[Trained]) -> Trained:
    values: dict[str, Any] = {key: median(getattr(t, key) for t in trained)
                              for key in ("epochs", "seconds", "loss")}  # fmt: skip
    first = trained[0]
    return Trained(first.model, first.preset, first.precision, -1, **values)


def _row(title: str, recipe: Trained, fast: Trained) -> list[str]:
    difference = f"{fast.loss - recipe.loss:+.2f}".replace("-", "−")
    return [title, str(recipe.epochs), str(fast.epochs), f"{recipe.seconds:.1f}",
            f"{fast.seconds:.1f}", f"{recipe.seconds / fast.seconds:.1f}", f"{recipe.loss:.2f}",
            f"{fast.loss:.2f}", difference]  # fmt: skip
