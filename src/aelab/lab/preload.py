"""What the fork server loads for the processes that work on runs; see runs/pool.py.

The first of them train, so they wait for torch alone. Evaluation needs scikit-learn, which takes as
long to load: the server loads it later, once for all processes that follow.
"""

import signal
from importlib import import_module

import aelab.lab.jobs  # noqa: F401

SECONDS = 2.0  # after which the first processes have been started
LATER = ("sklearn.cluster", "sklearn.linear_model", "sklearn.manifold", "sklearn.mixture",
         "sklearn.pipeline", "scipy.stats")  # fmt: skip


def _load_rest(*_: object) -> None:
    """In the server's only thread, so that no process is started in between."""
    for name in LATER:
        import_module(name)


signal.signal(signal.SIGALRM, _load_rest)
signal.setitimer(signal.ITIMER_REAL, SECONDS)  # processes that it starts do not inherit the timer
