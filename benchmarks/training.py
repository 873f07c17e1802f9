"""Seconds per epoch of every contestant, interleaved, and the quality of the trained weights."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from aelab.experiment.presets import preset
from aelab.training.loop import mean_loss
from benchmarks.contestants import Setting
from benchmarks.images import data
from benchmarks.processes import Worker
from benchmarks.table import markdown

TITLES = {
    "aelab_fit": "aelab",
    "aelab_fit:bfloat16": "aelab in bfloat16",
    "jax_scan": "JAX, epoch as one jitted scan",
    "jax_scan:bfloat16": "JAX in bfloat16",
    "keras_fit": "Keras 3 on JAX, fit",
    "pythae_trainer": "pythae's trainer",
    "tutorial": "tutorial loop",
    "floor:products": "lower bound: five matrix products",
    "floor:torch_mm": "lower bound: the same by torch.mm",
    "floor:adam": "lower bound: Adam's memory traffic",
    "floor": "lower bound: both",
}
#: The processes of a contestant in each mode, and the processors of each process.
WAYS = {"1 thread": ("first",), "2 threads": ("both",), "pair": ("first", "second")}
PROCESSORS = {"first": [0], "second": [1], "both": [0, 1]}


@dataclass
class Entry:
    """A contestant in one mode."""

    name: str
    way: str
    workers: list[Worker]
    seconds: list[float] = field(default_factory=list)  # per model and epoch, one for each round
    absent: str = ""
    negative_elbo: float | None = None

    @property
    def median(self) -> float | None:
        """Seconds per model and epoch."""
        return median(self.seconds) if self.seconds else None


def compare(folder: str, images: int, rounds: int, say: Callable[[str], None]) -> list[Entry]:
    """Train all contestants for ``rounds`` epochs, one contestant at a time, round by round."""
    entries: list[Entry] = []
    for name, title in TITLES.items():
        say(f"starting {title}")
        workers = {key: Worker(name, folder, images, cpus) for key, cpus in PROCESSORS.items()}
        absent = [worker.absent for worker in workers.values() if not worker.wait_until_ready()]
        for way, keys in WAYS.items():
            entries.append(
                Entry(name, way, [workers[key] for key in keys], absent="".join(absent[:1]))
            )
    present = [entry for entry in entries if not entry.absent]
    for number in range(rounds):
        for entry in present:
            say(f"round {number + 1} of {rounds}: {TITLES[entry.name]}, {entry.way}")
            for worker in entry.workers:
                worker.ask("epoch")
            answers = [worker.answer() for worker in entry.workers]
            if any("absent" in answer for answer in answers):
                entry.absent = next(str(a["absent"]) for a in answers if "absent" in a)
                present = [other for other in present if other is not entry]
            else:  # the slowest ends last
                slowest = max(answer["seconds"] for answer in answers)
                entry.seconds.append(slowest / len(answers))
    say("evaluating the trained weights")
    with tempfile.TemporaryDirectory() as scratch:
        for entry in present:
            if entry.way == "2 threads":  # the only process that has trained ``rounds`` epochs
                path = Path(scratch) / "weights.npz"
                entry.negative_elbo = _quality(entry.workers[0], folder, path)
    for entry in entries:
        for worker in entry.workers:
            worker.close()
    return entries


def _quality(worker: Worker, folder: str, path: Path) -> float | None:
    """Validation −ELBO in nats of a worker's weights, by aelab's own function."""
    worker.ask(str(path))
    if not worker.answer().get("saved"):
        return None
    with np.load(path, allow_pickle=False) as saved:
        return negative_elbo(folder, {k: torch.from_numpy(saved[k]) for k in saved.files})


def negative_elbo(folder: str, weights: dict[str, torch.Tensor]) -> float:
    """−ELBO in nats on MNIST's validation images, one posterior sample per image."""
    d = Setting().latent_dim
    model = preset("recipe", latent_dim=(d,)).build(f"vae-{d}")
    model.load_state_dict(weights)
    split = data(folder).validation
    tensors = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    return mean_loss(model, *tensors, seed=0, protocol="grey", epoch=0).total


def table(entries: list[Entry]) -> str:
    """A row per contestant; seconds and ratio to aelab in each mode, and the quality."""
    found = {(entry.name, entry.way): entry for entry in entries}
    header = ["", *(f"{way}, s" for way in WAYS), *(f"{way}, ratio" for way in WAYS), "−ELBO, nats"]
    rows = []
    for name, title in TITLES.items():
        mine = [found[name, way] for way in WAYS]
        absent = next((entry.absent for entry in mine if entry.absent), "")
        if absent:
            rows.append([f"{title} (not measured: {absent})", *[""] * (len(header) - 1)])
            continue
        medians = [entry.median for entry in mine]
        ours = [found["aelab_fit", way].median for way in WAYS]
        ratios = [f"{m / o:.2f}" if m and o else "" for m, o in zip(medians, ours, strict=True)]
        quality = mine[list(WAYS).index("2 threads")].negative_elbo
        rows.append([title, *(f"{m:.2f}" if m else "" for m in medians), *ratios,
                     f"{quality:.1f}" if quality else ""])  # fmt: skip
    return markdown(header, rows)


def records(entries: list[Entry]) -> list[dict[str, Any]]:
    """The results as plain records."""
    return [
        {"contestant": e.name, "way": e.way, "seconds": e.seconds, "median": e.median,
         "negative_elbo": e.negative_elbo, "absent": e.absent}
        for e in entries
    ]  # fmt: skip


def targets(entries: list[Entry]) -> str:
    """The project's targets and the results."""
    seconds = {(e.name, e.way): e.median for e in entries}

    def ratio(a: tuple[str, str], b: tuple[str, str]) -> float | None:
        first, second = seconds.get(a), seconds.get(b)
        return first / second if first and second else None

    pair, one, two = (("aelab_fit", way) for way in ("pair", "1 thread", "2 threads"))
    reduced = "aelab_fit:bfloat16", "pair"
    jax = ("jax_scan", "pair"), ("jax_scan:bfloat16", "pair")
    fastest = min(jax, key=lambda each: seconds.get(each) or math.inf)
    wanted = [
        ("tutorial loop (its fastest mode) / aelab, pair", "≥ 8",
         _least(ratio(("tutorial", way), pair) for way in ("2 threads", "pair"))),
        ("pythae (its fastest mode) / aelab, pair", "≥ 4",
         _least(ratio(("pythae_trainer", way), pair) for way in ("2 threads", "pair"))),
        ("aelab / JAX, pair", "≤ 1", ratio(pair, ("jax_scan", "pair"))),
        ("aelab in bfloat16 / JAX, pair", "≤ 0.75", ratio(reduced, ("jax_scan", "pair"))),
        ("aelab (its fastest precision) / JAX (its own), pair", "≤ 1",
         _least(ratio(each, fastest) for each in (pair, reduced))),
        ("aelab / JAX, two threads", "≤ 1", ratio(two, ("jax_scan", "2 threads"))),
        ("aelab / lower bound, one thread", "≤ 1.5", ratio(one, ("floor", "1 thread"))),
        ("aelab, one thread / aelab, pair", "≥ 1.8", ratio(one, pair)),
    ]  # fmt: skip
    rows = []
    for what, target, result in wanted:
        sign, bound = target.split()
        met = result is not None and (
            result >= float(bound) if sign == "≥" else result <= float(bound)
        )
        rows.append([what, target, "not measured" if result is None else f"{result:.2f}",
                     "met" if met else "missed"])  # fmt: skip
    return markdown(["ratio", "target", "result", ""], rows)


def _least(values: Any) -> float | None:
    found = [value for value in values if value is not None]
    return min(found) if found else None
