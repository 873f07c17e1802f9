"""Overhead of Optuna per trial: everything in a trial of five epochs but the training.

python benchmarks/search_overhead.py [TRIALS]   (a trial of five epochs on all of MNIST takes
some ten to forty seconds; docs/hyperparameters.md compares the two)
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import cast

import numpy as np
import optuna
from numpy.typing import NDArray

from aelab.experiment.presets import preset
from aelab.randomness import numpy_stream
from aelab.search import Search
from aelab.search.space import ResolvedSpace, resolve_space
from aelab.search.storage import storage_at
from aelab.search.trial import TrialRunner, take_trials
from aelab.search.trials import Trials, create_study

EPOCHS = 5


class Runner:
    """Trials of no training."""

    worker = "here"

    def __init__(self, search: Search, space: ResolvedSpace, steps: NDArray[np.float64]) -> None:
        self.search, self.space, self.values = search, space, steps.cumsum(axis=1)
        self.ends: list[float] = []

    def send(self, _: object) -> None:
        """Note the time of a trial's end."""
        self.ends.append(time.perf_counter())

    def __call__(self, trial: optuna.Trial) -> float:
        """Everything of a trial but its training."""
        trial.set_user_attr("worker", self.worker)
        self.space.experiment(self.space.suggest(trial))
        values = self.values[trial.number].tolist()
        for epoch, value in enumerate(values, start=1):
            trial.report(value, epoch)
            trial.should_prune()
        trial.set_user_attr("weights", "here")
        return float(values[-1])


def main(trials: int) -> None:
    """Run trials of no training in a storage as a search has it; print the time of each."""
    search = Search(trials=trials, trial_epochs=EPOCHS)
    space = resolve_space(preset(), search.model, search.space)
    runner = Runner(search, space, numpy_stream(0, "overhead").normal(110, 5, (trials, EPOCHS)))
    with (
        tempfile.TemporaryDirectory() as folder,
        storage_at(f"sqlite:///{Path(folder) / 'trials.db'}", create=True) as storage,
    ):
        study = create_study(storage, "overhead", search, {}, space.quasi_random(15))
        runner.ends.append(time.perf_counter())
        take_trials(Trials(storage, study), cast(TrialRunner, runner))
    ends = runner.ends
    spans = [b - a for a, b in itertools.pairwise(ends)]
    print(f"{trials} trials: median {median(spans):.3f} s, last ten {median(spans[-10:]):.3f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
