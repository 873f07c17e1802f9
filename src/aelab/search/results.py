"""What the trials of a search say together, in plain JSON types, as CSV and as settings."""

import csv
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from aelab.config.base import to_toml
from aelab.config.ranges import Choice
from aelab.models import MODELS
from aelab.randomness import derive
from aelab.runs.folder import FORMAT
from aelab.search.config import Search
from aelab.search.space import Searched
from aelab.search.trials import REASON, RETRIED, WORKER

ENOUGH_FOR_IMPORTANCES = 8  # complete trials


def collect(study: optuna.Study, search: Search, found: Searched) -> dict[str, Any]:
    """Everything that report, proof and export read; docs/hyperparameters.md has the shape."""
    trials = study.get_trials(deepcopy=False)
    retried = {n for trial in trials for n in trial.system_attrs.get(RETRIED, [])}
    return {
        "format": FORMAT,
        "model": search.model,
        "title": MODELS[search.model].title,
        "key": found.key,
        "trial_epochs": search.trial_epochs,
        "goals": [
            {"name": goal.name, "title": goal.title, "unit": goal.unit, "better": goal.better}
            for goal in search.goals
        ],
        "dimensions": [_dimension(found, name) for name in found.dimensions],
        "trials": [_trial(trial, trial.number in retried) for trial in trials],
        "best": [trial.number for trial in ranked(study)],
        "importances": [_importances(study, k, found) for k in range(len(search.goals))],
    }


def ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Complete trials from best to worst; of several goals the Pareto front, by the first goal."""
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    complete = (
        study.best_trials
        if len(study.directions) > 1
        else study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    )
    return sorted(complete, key=lambda trial: (sign * trial.values[0], trial.number))


def _dimension(found: Searched, name: str) -> dict[str, Any]:
    dimension = found.dimensions[name]
    record = {"name": name, "table": dimension.table, "text": dimension.describe()}
    if isinstance(dimension.range, Choice):
        return record | {"options": list(dimension.distribution.choices)}  # type: ignore[attr-defined]
    return record | {
        "low": dimension.range.low, "high": dimension.range.high, "log": dimension.range.log,
    }  # fmt: skip


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
        "seconds": attributes.get("seconds"),
        "parameters": attributes.get("parameters"),
        "worker": attributes.get(WORKER),
        "weights": attributes.get("weights"),
        "reason": reason,
        "retried": retried,
    }


def _importances(study: optuna.Study, place: int, found: Searched) -> dict[str, float] | None:
    """The share of the variance that each dimension explains; None if too little is known.

    fANOVA on a forest fitted to the complete trials; Hutter et al. (2014).
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    values = {trial.values[place] for trial in complete}
    if len(complete) < ENOUGH_FOR_IMPORTANCES or len(values) < 2:
        return None
    seed = derive(found.base.seed, "search", "importances") % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        shares = get_param_importances(
            study,
            evaluator=FanovaImportanceEvaluator(seed=seed),
            target=lambda trial: float(trial.values[place]),
        )
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


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def as_toml(experiment: Mapping[str, Any], model: str) -> str:
    """The settings of one model as a file for ``aelab run --config``."""
    kept = ("preset", "models", "latent_dim", "likelihood", "pixels", "network", model)
    return to_toml({name: experiment[name] for name in kept})
