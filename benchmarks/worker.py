"""The process of one contestant: for each line "epoch" it trains an epoch and prints its time.

    python -m benchmarks.worker NAME DATA IMAGES CPUS

NAME is a module of benchmarks.contestants, or module:start where it has several. CPUS, such as 0
or 0,1, sets the processors and the number of threads; it is applied before any library is loaded.
"""

import json
import os
import sys


def main(name: str, folder: str, images: int, cpus: list[int]) -> None:
    """Answer every line of standard input with a line of JSON."""
    os.sched_setaffinity(0, cpus)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(len(cpus))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keep the output of libraries apart

    def say(answer: object) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    import importlib
    import time

    import numpy as np

    try:
        place, _, start = name.partition(":")
        module = importlib.import_module(f"benchmarks.contestants.{place}")
    except ImportError as error:
        say({"absent": f"{error}"})
        return

    from benchmarks.contestants import Setting
    from benchmarks.images import repeated

    contestant = getattr(module, start or "start")(repeated(folder, images), Setting())
    say({"ready": True})
    for line in sys.stdin:
        if line.strip() == "epoch":
            began = time.perf_counter()
            contestant.epoch()
            say({"seconds": time.perf_counter() - began})
        else:
            weights = contestant.weights()
            if weights is not None:
                np.savez(line.strip(), allow_pickle=False, **weights)
            say({"saved": weights is not None})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), [int(cpu) for cpu in sys.argv[4].split(",")])
