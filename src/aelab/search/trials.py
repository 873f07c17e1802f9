"""The trials of a study in its database: entered, claimed, kept alive, released.

The trials of the budget are entered as waiting when the search is made. A worker claims waiting
trials and makes none, so that any number of workers on any number of machines stop at the same
count.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
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

    One that the same search has made before is given back, or made again if it was interrupted.

    Args:
        storage: The database.
        name: The name of the study in it.
        search: The settings of the search.
        facts: Attributes of the study, in JSON types; ``id`` is that of the search.
        queue: The settings of the first trials; those of the others are the sampler's.

    Raises:
        RunError: If the database has a study of that name that another search has made.
    """
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction=search.direction)
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name)
        # Without attributes it was interrupted before all else.
        if study.user_attrs and study.user_attrs.get("id") != facts["id"]:
            raise RunError(
                f"The database has a study {name} already: name another --study, or join it by "
                "aelab worker."
            ) from None
        if study.user_attrs.get("ready"):
            return study
        optuna.delete_study(storage=storage, study_name=name)
        return create_study(storage, name, search, facts, queue)
    for key, fact in facts.items():
        study.set_user_attr(key, fact)
    waiting: list[Stored] = [*queue, *({} for _ in range(search.trials - len(queue)))]
    for settings in waiting[: search.trials]:
        study.enqueue_trial(settings)
    study.set_user_attr("ready", True)
    return study


def load_study(storage: Storage, name: str, search_id: str | None = None) -> optuna.Study:
    """The study of that name, of the search with that id (None: of any).

    Raises RunError if there is none, or it is not one of aelab's, or of another search.
    """
    try:
        study = optuna.load_study(storage=storage, study_name=name)
    except KeyError:
        raise RunError(f"The database has no study {name}: see --study of aelab search.") from None
    if not study.user_attrs.get("ready"):
        raise RunError(f"The study {name} was not made, or not to its end, by aelab search.")
    if search_id and study.user_attrs.get("id") != search_id:
        raise RunError(f"The study {name} there is of another search.")
    return study


class Trials:
    """The trials of a study, and what a worker does with them beside running them."""

    def __init__(self, storage: Storage, study: optuna.Study) -> None:
        self.storage, self.study = storage, study
        self._study_id = storage.get_study_id_from_name(study.study_name)

    def __call__(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials, or those in these states."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    @property
    def unfinished(self) -> bool:
        """Whether a trial waits or runs."""
        return bool(self(TrialState.RUNNING, TrialState.WAITING))

    def id_of(self, number: int) -> int:
        """The storage's name for a trial."""
        return self.storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def claim(self) -> int | None:
        """Take a waiting trial, which no other worker can take then; gives its number."""
        for trial in self(TrialState.WAITING):
            trial_id = self.id_of(trial.number)
            if self.storage.heartbeat_interval:  # the last one may be of who released the trial
                self.storage.record_heartbeat(trial_id)
            with contextlib.suppress(UpdateFinishedTrialError):  # another worker has run it
                if self.storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                    return trial.number
        return None

    @contextlib.contextmanager
    def heartbeats(self, number: int) -> Iterator[None]:
        """Record heartbeats of a trial within the block, if the storage has an interval."""
        interval, trial_id = self.storage.heartbeat_interval, self.id_of(number)
        if interval is None:
            yield
            return
        ended = threading.Event()

        def record() -> None:
            while not ended.wait(interval):
                with contextlib.suppress(AelabError, StorageInternalError):  # the next one follows
                    self.storage.record_heartbeat(trial_id)

        thread = threading.Thread(target=record, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def release(self, worker: str = "") -> None:
        """Let the running trials of a stopped ``worker`` wait again, under their numbers.

        Without a name those of all: for a search that is being resumed, when none runs.
        """
        for trial in self(TrialState.RUNNING):
            if f"{trial.user_attrs.get(WORKER, '')}/".startswith(worker):
                self.storage.set_trial_state_values(self.id_of(trial.number), TrialState.WAITING)

    def fail(self, number: int, reason: str) -> None:
        """Record that a trial has failed."""
        trial_id = self.id_of(number)
        self.storage.set_trial_user_attr(trial_id, REASON, reason)
        self.storage.set_trial_state_values(trial_id, TrialState.FAIL)
