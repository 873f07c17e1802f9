"""Seconds an epoch of every contestant, interleaved, and what the weights are worth after it."""

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
    "jax_scan": "JAX, epoch as one jitted scan",
    "keras_fit": "Keras 3 on JAX, fit",
    "pythae_trainer": "pythae's trainer",
    "tutorial": "tutorial loop",
    "floor:products": "floor: five matrix products",
    "floor:torch_mm": "floor: the same by torch.mm",
    "floor:adam": "floor: Adam's traffic",
    "floor": "floor: both",
}
#: Which of a contestant's processes work, and the processors of each process.
WAYS = {"1 thread": ("first",), "2 threads": ("both",), "pair": ("first", "second")}
PROCESSORS = {"first": [0], "second": [1], "both": [0, 1]}


@dataclass
class Entry:
    """A contestant in one of the ways to use the machine."""

    name: str
    way: str
    workers: list[Worker]
    seconds: list[float] = field(default_factory=list)  # a model and epoch, one for each round
    absent: str = ""
    negative_elbo: float | None = None

    @property
    def median(self) -> float | None:
        """Seconds a model and epoch."""
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
            else:  # all of them end before the machine is free for the next
                slowest = max(answer["seconds"] for answer in answers)
                entry.seconds.append(slowest / len(answers))
    say("measuring what was learnt")
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
    """Validation −ELBO in nats, by aelab's own function, of what a worker has learnt."""
    worker.ask(str(path))
    if not worker.answer().get("saved"):
        return None
    with np.load(path, allow_pickle=False) as saved:
        return negative_elbo(folder, {k: torch.from_numpy(saved[k]) for k in saved.files})


def negative_elbo(folder: str, weights: dict[str, torch.Tensor]) -> float:
    """−ELBO in nats on MNIST's validation images, one posterior draw an image."""
    d = Setting().latent_dim
    model = preset("recipe", latent_dim=(d,)).build(f"vae-{d}")
    model.load_state_dict(weights)
    images = torch.from_numpy(data(folder).validation.images)
    return mean_loss(model, images, seed=0, protocol="grey", epoch=0).total


def table(entries: list[Entry]) -> str:
    """Rows of contestants; a column for each way, the ratios to aelab, the quality."""
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
    """The measured numbers, plain."""
    return [
        {"contestant": e.name, "way": e.way, "seconds": e.seconds, "median": e.median,
         "negative_elbo": e.negative_elbo, "absent": e.absent}
        for e in entries
    ]  # fmt: skip


def aims(entries: list[Entry]) -> str:
    """The aims that the project set itself, with what was reached."""
    seconds = {(e.name, e.way): e.median for e in entries}

    def ratio(a: tuple[str, str], b: tuple[str, str]) -> float | None:
        first, second = seconds.get(a), seconds.get(b)
        return first / second if first and second else None

    pair, one, two = (("aelab_fit", way) for way in ("pair", "1 thread", "2 threads"))
    wanted = [
        ("tutorial loop, best use of the machine, by aelab's pair", "≥ 8",
         _least(ratio(("tutorial", way), pair) for way in ("2 threads", "pair"))),
        ("pythae, best use of the machine, by aelab's pair", "≥ 4",
         _least(ratio(("pythae_trainer", way), pair) for way in ("2 threads", "pair"))),
        ("aelab's pair by JAX's pair", "≤ 1", ratio(pair, ("jax_scan", "pair"))),
        ("aelab by JAX, two threads", "≤ 1.2", ratio(two, ("jax_scan", "2 threads"))),
        ("aelab by the floor, one thread", "≤ 1.5", ratio(one, ("floor", "1 thread"))),
        ("throughput of aelab's pair by one thread", "≥ 1.8", ratio(one, pair)),
    ]  # fmt: skip
    rows = []
    for what, aim, got in wanted:
        sign, bound = aim.split()
        met = got is not None and (got >= float(bound) if sign == "≥" else got <= float(bound))
        rows.append([what, aim, "not measured" if got is None else f"{got:.2f}",
                     "met" if met else "missed"])  # fmt: skip
    return markdown(["ratio", "aim", "measured", ""], rows)


def _least(values: Any) -> float | None:
    found = [value for value in values if value is not None]
    return min(found) if found else None
