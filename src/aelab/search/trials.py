"""The trials of a study in its storage: entered, claimed, kept alive, released, failed.

The trials of the budget are entered as waiting when the search is made. A worker claims waiting
trials and makes none, so that any number of workers on any number of machines stop at the same
count.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from aelab.errors import AelabError, RunError
from aelab.search.config import Search
from aelab.search.space import Stored
from aelab.search.storage import Storage

LOCAL_NAME = "search"  # the study's name in a database of its own
REASON, WORKER, WEIGHTS, RETRIED = "reason", "worker", "weights", "retry_history"


def create_study(
    storage: Storage, name: str, search: Search, facts: Mapping[str, Any], queue: list[Stored]
) -> optuna.Study:
    """Make the study with all that a worker must know, and enter its trials.

    Args:
        storage: The database.
        name: The name of the study in it.
        search: The settings of the search.
        facts: Attributes of the study, in JSON types.
        queue: The settings of the first trials; those of the others are the sampler's.

    Raises:
        RunError: If the database has a study of that name.
    """
    sides = {"lower": StudyDirection.MINIMIZE, "higher": StudyDirection.MAXIMIZE}
    directions = [sides[goal.better] for goal in search.goals]
    try:
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    except optuna.exceptions.DuplicatedStudyError:
        raise RunError(
            f"The database has a study {name} already: name another --study, or join it by "
            "aelab worker."
        ) from None
    for key, fact in facts.items():
        study.set_user_attr(key, fact)
    waiting: list[Stored] = [*queue, *({} for _ in range((search.trials or 0) - len(queue)))]
    for settings in waiting[: search.trials]:
        study.enqueue_trial(settings)
    study.set_user_attr("ready", True)
    return study


def load_study(storage: Storage, name: str) -> optuna.Study:
    """The study of that name. Raises RunError if there is none, or it is not one of aelab's."""
    try:
        study = optuna.load_study(storage=storage, study_name=name)
    except KeyError:
        raise RunError(f"The database has no study {name}: see --study of aelab search.") from None
    if not study.user_attrs.get("ready"):
        raise RunError(f"The study {name} was not made, or not to its end, by aelab search.")
    return study


def claim_trial(study: optuna.Study, storage: Storage, *, counted: bool) -> FrozenTrial | None:
    """Take a waiting trial, which no other worker can take then.

    Without a budget (``counted`` is False) a trial is made if none waits; otherwise gives None.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        if storage.heartbeat_interval:  # the last one may be of a worker that released the trial
            storage.record_heartbeat(trial._trial_id)
        with contextlib.suppress(UpdateFinishedTrialError):  # another worker has run it meanwhile
            if storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return trial
    if counted:
        return None
    made = storage.create_new_trial(storage.get_study_id_from_name(study.study_name))
    return next(t for t in study.get_trials(deepcopy=False) if t._trial_id == made)


@contextlib.contextmanager
def heartbeats(storage: Storage, trial: FrozenTrial) -> Iterator[None]:
    """Record heartbeats of the trial within the block, if the storage has an interval."""
    if storage.heartbeat_interval is None:
        yield
        return
    ended = threading.Event()

    def record() -> None:
        while True:
            with contextlib.suppress(AelabError, StorageInternalError):  # the next one follows
                storage.record_heartbeat(trial._trial_id)
            if ended.wait(storage.heartbeat_interval):
                return

    thread = threading.Thread(target=record, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def release_trials(study: optuna.Study, storage: Storage, worker: str = "") -> None:
    """Let the running trials of a stopped ``worker`` wait again, under their numbers.

    Without a name those of all: for a search that is being resumed, when none runs.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if f"{trial.user_attrs.get(WORKER, '')}/".startswith(worker):
            storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
