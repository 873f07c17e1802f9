"""Overhead of Optuna per trial: everything in a trial of five epochs but the training.

python benchmarks/search_overhead.py [TRIALS]   (a trial of five epochs on all of MNIST takes
some ten to forty seconds; docs/hyperparameters.md compares the two)
"""

import contextlib
import itertools
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import optuna

from aelab.experiment.presets import preset
from aelab.randomness import numpy_stream
from aelab.search import Search
from aelab.search.space import searched
from aelab.search.storage import BudgetUsed, storage_at
from aelab.search.trials import create_study
from aelab.search.worker import me

EPOCHS = 5


def main(trials: int) -> None:
    """Run trials of no training in a storage as a search has it; print the time of each."""
    search = Search(trials=trials, trial_epochs=EPOCHS)
    found = searched(preset(), search.model, search.space)
    values = numpy_stream(0, "overhead").normal(110, 5, (trials, EPOCHS)).cumsum(axis=1)
    ends = [time.perf_counter()]

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr("worker", me())
        found.experiment(found.suggest(trial))
        trial.set_user_attr("parameters", 1)
        for epoch in range(EPOCHS):
            trial.report(float(values[trial.number, epoch]), epoch + 1)
            trial.should_prune()
        trial.set_user_attr("weights", "here")
        trial.set_user_attr("seconds", 1.0)
        return float(values[trial.number, -1])

    with (
        tempfile.TemporaryDirectory() as folder,
        storage_at(f"sqlite:///{Path(folder) / 'trials.db'}") as storage,
    ):
        study = create_study(storage, "overhead", search, {}, found.quasi_random(15))
        study.sampler, study.pruner = search.build_sampler(0), search.build_pruner()
        ends[0] = time.perf_counter()
        with contextlib.suppress(BudgetUsed):
            study.optimize(objective, callbacks=[lambda *_: ends.append(time.perf_counter())])
    spans = [b - a for a, b in itertools.pairwise(ends)]
    print(f"{trials} trials: median {median(spans):.3f} s, last ten {median(spans[-10:]):.3f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
