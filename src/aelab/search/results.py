"""The trials of a search together: in plain JSON types, as CSV and as settings."""

import csv
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from aelab.config.base import to_toml
from aelab.config.ranges import Choice
from aelab.models import MODELS
from aelab.randomness import derive
from aelab.runs.folder import FORMAT
from aelab.search.config import Search
from aelab.search.space import Hyperparameter, ResolvedSpace, written
from aelab.search.trials import REASON, RETRIED, WEIGHTS, WORKER

ENOUGH_FOR_IMPORTANCES = 8  # complete trials


def collect(study: optuna.Study, search: Search, space: ResolvedSpace) -> dict[str, Any]:
    """Everything that report, proof and export read; docs/hyperparameters.md has the shape."""
    trials, goal = study.get_trials(deepcopy=False), search.target
    retried = {n for trial in trials for n in trial.system_attrs.get(RETRIED, [])}
    return {
        "format": FORMAT,
        "model": search.model,
        "title": MODELS[search.model].title,
        "key": space.key,
        "trial_epochs": search.trial_epochs,
        "goals": [
            {"name": goal.name, "title": goal.title, "unit": goal.unit, "better": goal.better}
        ],
        "dimensions": [_dimension(found) for found in space.dimensions.values()],
        "trials": [_trial(trial, trial.number in retried) for trial in trials],
        "best": [trial.number for trial in ranked(study)],
        "importances": [_importances(study, space)],
    }


def ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Complete trials from best to worst."""
    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(complete, key=lambda trial: (sign * trial.values[0], trial.number))


def progress(study: optuna.Study, search: Search) -> str:
    """How many trials have ended, and the best so far, in a line."""
    ended = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
    text = f"{ended}/{search.trials} trials"
    for trial in ranked(study)[:1]:
        settings = ", ".join(
            f"{name.replace('_', ' ')} {_short(value, 3)}" for name, value in trial.params.items()
        )
        text += f", best {search.target.format(trial.values[0])} ({settings})"
    return text


def _dimension(found: Hyperparameter) -> dict[str, Any]:
    record = {"name": found.name, "table": found.table, "text": found.describe()}
    if isinstance(found.range, Choice):
        return record | {"options": written(found.range)}
    return record | {"low": found.range.low, "high": found.range.high, "log": found.range.log}


def _trial(trial: FrozenTrial, retried: bool) -> dict[str, Any]:
    attributes = trial.user_attrs
    reason = attributes.get(REASON)
    if trial.state == TrialState.FAIL and reason is None:
        reason = "Its worker died" + ("; it was tried again." if retried else ".")
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "values": trial.values,
        "settings": trial.params,
        "curve": sorted(trial.intermediate_values.items()),
        "seconds": trial.duration and round(trial.duration.total_seconds(), 3),
        "worker": attributes.get(WORKER),
        "weights": attributes.get(WEIGHTS),
        "reason": reason,
        "retried": retried,
    }


def _importances(study: optuna.Study, space: ResolvedSpace) -> dict[str, float] | None:
    """The share of the goal's variance that each hyperparameter explains; None of too few trials.

    fANOVA on a forest fitted to the complete trials; Hutter et al. (2014).
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < ENOUGH_FOR_IMPORTANCES or len({trial.values[0] for trial in complete}) < 2:
        return None
    seed = derive(space.base.seed, "search", "importances") % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    return {name: round(float(share), 6) for name, share in shares.items()}


def as_csv(results: dict[str, Any]) -> str:
    """A row a trial."""
    goals = [goal["name"] for goal in results["goals"]]
    names = [dimension["name"] for dimension in results["dimensions"]]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["trial", "state", *goals, "epochs", "last", "seconds", *names, "reason"])
    for trial in results["trials"]:
        values: Sequence[Any] = trial["values"] or [""] * len(goals)
        epochs, last = trial["curve"][-1] if trial["curve"] else ("", "")
        writer.writerow(
            [trial["number"], trial["state"], *map(_short, values), epochs, _short(last),
             trial["seconds"], *(_short(trial["settings"].get(name, "")) for name in names),
             trial["reason"] or ""]
        )  # fmt: skip
    return buffer.getvalue()


def _short(value: Any, digits: int = 6) -> Any:
    return f"{value:.{digits}g}" if isinstance(value, float) else value


def as_toml(experiment: Mapping[str, Any], model: str) -> str:
    """The settings of one model as a file for ``aelab run --config``."""
    kept = ("preset", "models", "latent_dim", "likelihood", "pixels", "network", model)
    return to_toml({name: experiment[name] for name in kept})
