"""Scaling of time and memory with images, width, latent size, epochs, seeds and workers."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.contestants import Setting
from benchmarks.processes import PeakMemory
from benchmarks.table import exponent, markdown

AXES: dict[str, Sequence[int]] = {
    "images": (5_000, 20_000, 60_000, 200_000, 600_000),
    "hidden": (100, 200, 400, 800, 1_600),
    "latent_dim": (2, 8, 32, 128),
    "epochs": (1, 4, 16),
    "seeds": (1, 2, 4, 8),
    "workers": (1, 2, 4),
}
UNITS = {
    "images": "images", "hidden": "hidden units", "latent_dim": "d", "epochs": "epochs",
    "seeds": "seeds, 2 workers", "workers": "workers, 4 seeds",
}  # fmt: skip


def grow(folder: str, quick: bool, say: Callable[[str], None]) -> dict[str, list[dict[str, Any]]]:
    """Train aelab's VAE at every value of every axis, in new processes of one thread."""
    found: dict[str, list[dict[str, Any]]] = {}
    for axis, places in AXES.items():
        for place in places[:3] if quick else places:
            say(f"{UNITS[axis]}: {place:,}")
            command = [sys.executable, "-m", "benchmarks.growth", folder, axis, str(place)]
            # The first run reads the libraries from disk and is discarded.
            for _ in range(1 if found.get(axis) else 2):
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.setdefault(axis, []).append(json.loads(done.stdout))
    return found


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    """A row for each value, and the exponent of the time for each axis."""
    rows = []
    for axis, places in found.items():
        sizes = [place["size"] for place in places]
        power = exponent(sizes, [place["seconds"] for place in places])
        for number, place in enumerate(places):
            rows.append([
                UNITS[axis] if not number else "", f"{place['size']:,}",
                f"{place['seconds']:.2f}", f"{place['peak_gb']:.2f}",
                f"{power:.2f}" if not number else "",
            ])  # fmt: skip
    return markdown(["", "", "seconds", "peak memory, GB", "exponent of the time"], rows)


def _measure(folder: str, axis: str, size: int) -> dict[str, Any]:
    """In this process: the median of a few epochs, or the sum of ``size`` of them."""
    import resource

    import torch

    if axis in ("seeds", "workers"):
        return _pool(folder, **{"seeds": 4, "workers": 2, axis: size}) | {"size": size}

    from benchmarks.contestants.aelab_fit import AelabFit
    from benchmarks.images import repeated

    torch.set_num_threads(1)
    setting = Setting()
    if axis in ("hidden", "latent_dim"):
        setting = replace(setting, **{axis: size})
    contestant = AelabFit(repeated(folder, size if axis == "images" else 10_000), setting)
    contestant.epoch()  # warm up memory pages and caches
    seconds = []
    for _ in range(size if axis == "epochs" else 1 if size > 100_000 else 3):
        began = time.perf_counter()
        contestant.epoch()
        seconds.append(time.perf_counter() - began)
    return {
        "size": size,
        "seconds": sum(seconds) if axis == "epochs" else median(seconds),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def _pool(folder: str, seeds: int, workers: int) -> dict[str, float]:
    """Four epochs of 10,000 images for each seed, in processes as in a study."""
    from aelab.runs.pool import Job, run_jobs

    jobs = [Job(f"seed {seed}", train, (folder, seed)) for seed in range(seeds)]
    began = time.perf_counter()
    with PeakMemory(os.getpid()) as memory:
        failed = [event for event in run_jobs(jobs, workers) if event.kind == "failed"]
    assert not failed, failed
    return {"seconds": time.perf_counter() - began, "peak_gb": memory.peak}


def train(send: Callable[[Any], None], folder: str, seed: int) -> None:  # noqa: ARG001
    """A job: four epochs of the VAE."""
    from benchmarks.contestants.aelab_fit import AelabFit
    from benchmarks.images import repeated

    contestant = AelabFit(repeated(folder, 10_000), Setting(seed=seed))
    for _ in range(4):
        contestant.epoch()


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
