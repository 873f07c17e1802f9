"""The study of a search in its storage: made, loaded, its trials put back or failed."""

import json
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from aelab.errors import RunError
from aelab.search.config import Search
from aelab.search.space import Stored
from aelab.search.storage import Storage

LOCAL_NAME = "search"  # the study's name in a database of its own
REASON, WORKER, WEIGHTS, RETRIED = "reason", "worker", "weights", "retry_history"


def create_study(
    storage: Storage, name: str, search: Search, facts: Mapping[str, Any], queue: list[Stored]
) -> optuna.Study:
    """Make the study with all that a worker must know, and enter its trials.

    ``queue`` holds the first trials' settings; the others are the sampler's.
    """
    try:
        study = optuna.create_study(storage=storage, study_name=name, directions=search.directions)
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


def put_back(study: optuna.Study, storage: Storage, worker: str = "") -> int:
    """Let the running trials of a stopped ``worker`` wait again, under their numbers; their count.

    Without a name those of all: for a search that has just been taken up, when none runs.
    """
    storage.impatient = True  # whoever ends does not wait; the heartbeat does the same later
    left = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if f"{trial.user_attrs.get(WORKER, '')}/".startswith(worker)
    ]
    for trial in left:
        storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    return len(left)


def fail(storage: Storage, trial: FrozenTrial, reason: str) -> None:
    """End a trial whose process died, with the reason."""
    storage.set_trial_user_attr(trial._trial_id, REASON, reason)
    storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def plain(value: Any) -> Any:
    """A record as JSON types, the way it comes back from the database."""
    return json.loads(json.dumps(value))
