"""Whether fast-ae and fast-vae come to the validation loss that the recipe's seeds of a study have.

python -m benchmarks.fast runs/study [seeds] [folder of MNIST]
"""

import sys
from pathlib import Path
from statistics import median

from aelab.experiment import experiment_of, preset
from aelab.parallel import Event, Job, Send, run_jobs
from aelab.runs import Run, Study
from aelab.train import fit
from benchmarks.images import data
from benchmarks.table import markdown

TITLES = {"ae": "AE", "vae": "VAE"}


def train(send: Send, name: str, d: int, seed: int, folder: str) -> None:
    """A job: all epochs of the preset, and what validation says after the last."""
    experiment = preset(f"fast-{name}", latent_dim=(d,), seed=seed)
    model = experiment.build(f"{name}-{d}")
    for epoch in fit(model, data(folder), experiment.training(name), seed=seed):
        last = epoch.validation.total
    send({"model": name, "seed": seed, "total": last})


def recipe(study: Study, name: str, d: int, seed: int) -> float:
    """The last validation loss of a seed of the study."""
    history = Run(study.run_path(f"seed-{seed}")).model(f"{name}-{d}").history()
    total: float = history[-1]["validation"]["total"]
    return total


def compare(study: Study, seeds: int, folder: str) -> str:
    """A row for each seed and model, the lower loss being the better; then the medians."""
    experiment = experiment_of(study)
    d = experiment.latent_dim[0]
    jobs = [Job(f"{name}, seed {seed}", train, (name, d, seed, folder))
            for name in TITLES for seed in range(seeds)]  # fmt: skip
    found: dict[tuple[str, int], float] = {}
    for event in run_jobs(jobs, 2):
        _take(event, found)
    rows = []
    for name, title in TITLES.items():
        there = [recipe(study, name, d, seed) for seed in range(seeds)]
        here = [found[name, seed] for seed in range(seeds)]
        epochs = [e.training(name).epochs for e in (experiment, preset(f"fast-{name}"))]
        pairs = [(str(seed), a, b) for seed, (a, b) in enumerate(zip(there, here, strict=True))]
        for label, a, b in [*pairs, ("median", median(there), median(here))]:
            rows.append([f"{title}, {label}", f"{a:.2f}", f"{b:.2f}", f"{b - a:+.2f}"])
        rows.append([f"{title}, epochs", str(epochs[0]), str(epochs[1]),
                     f"{epochs[0] / epochs[1]:.1f}×"])  # fmt: skip
    return markdown(["validation, nats", "recipe", "fast", ""], rows)


def _take(event: Event, found: dict[tuple[str, int], float]) -> None:
    assert event.kind != "failed", event.content
    if isinstance(event.content, dict) and "total" in event.content:
        found[event.content["model"], event.content["seed"]] = event.content["total"]


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    print(compare(Study(Path(given[1])), int(given.get(2, 5)), given.get(3, "../shared/mnist")))
