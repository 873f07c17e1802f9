"""Which runs a study has: every model for every seed at every point of its axes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from aelab.config.base import flatten
from aelab.data.dataset import Data
from aelab.data.sources import Source
from aelab.errors import RunError
from aelab.experiment.presets import experiment_of, validate
from aelab.experiment.settings import Experiment
from aelab.lab import jobs as work
from aelab.lab import run as lab
from aelab.runs.study import Study
from aelab.studies.aggregate import Entry
from aelab.studies.sweep import BASE, Point

# Not part of what makes two studies' runs comparable: they may grow from call to call, and the
# data may move, for their checksums decide.
_GROWING = {"models", "baselines", "preset", "checkpoint_epochs", "data"}
Facts = dict[int | None, dict[str, Any]]  # by size of the training set, what the data are


def facts_of(base: Experiment, plan: Iterable[Entry], source: Source, data: Data) -> Facts:
    """What the data of each size of training set are. Raises AelabError if a run is impossible."""
    facts = {base.train_size: work.describe(data)}
    for entry in plan:
        experiment = experiment_at(base, entry)
        if experiment.train_size not in facts:
            facts[experiment.train_size] = work.describe(work.load(source, experiment))
        work.require_possible(experiment, facts[experiment.train_size])
    return facts


def bytes_of(base: Experiment, plan: Sequence[Entry], data: Data) -> int:
    """About what the runs of ``plan`` take on disk; a network that does not fit fails here."""
    kinds = Counter((entry.point, entry.models) for entry in plan)
    return sum(
        count * lab.bytes_of_run(point.of(base).model_copy(update={"models": models}), data)
        for (point, models), count in kinds.items()
    )


def require_same_settings(study: Study, experiment: Experiment) -> Experiment:
    """The settings of the study. Raises RunError if ``experiment`` differs in one that counts."""
    kept = experiment_of(study).settled()
    there, here = (flatten(each.model_dump(mode="json")) for each in (kept, experiment))
    differing = [
        f"{name}: {there.get(name)} there, {here.get(name)} here"
        for name in dict.fromkeys([*there, *here])
        if name not in _GROWING and there.get(name) != here.get(name)
    ]
    if differing:
        raise RunError(
            f"{study.path} holds a study of other settings ({'; '.join(differing)}): name another "
            "--out."
        )
    return kept


def plan_of(study: Study) -> list[Entry]:
    """The runs that a study has planned."""
    return [Entry.of(record) for record in study.manifest().get("plan", [])]


def missing(
    plan: Sequence[Entry], base: Experiment, places: Iterable[Point], seeds: Iterable[int]
) -> list[Entry]:
    """The runs that are still to be planned, so that every model has every seed at every place.

    A model that a setting does not concern is trained at the base only, and a baseline, which has
    no seed, only once.
    """
    covered = {(e.point.name, e.seed, model) for e in plan for model in e.models}
    measured = {key for e in plan for key in _baselines(e.point.of(base), e.baselines)}
    names = {entry.name for entry in plan}
    found = []
    for point in places:
        experiment = point.of(base)
        concerned = [m for m in base.models if point == BASE or point.affects(m)]
        for seed in seeds:
            models = tuple(m for m in concerned if (point.name, seed, m) not in covered)
            if not models:
                continue
            name = "/".join(part for part in (point.name, f"seed-{seed}") if part)
            if name in names:
                name += "-" + "-".join(models)
            wanted = _baselines(experiment, base.baselines)
            fresh = tuple(kind for key, kind in wanted.items() if key not in measured)
            measured |= wanted.keys()
            found.append(Entry(name, point.setting, point.value, seed, models, fresh))
    return found


def _baselines(experiment: Experiment, kinds: Iterable[str]) -> dict[tuple[Any, ...], str]:
    """The baselines at a place: what decides their numbers, and their kind."""
    sizes = {"pca": experiment.latent_dim, "pixels": ()}
    return {(kind, sizes[kind], experiment.train_size): kind for kind in kinds}


def experiment_at(base: Experiment, entry: Entry) -> Experiment:
    """The experiment of one run of a study."""
    settings = entry.point.of(base).model_dump(mode="json")
    own = {"seed": entry.seed, "models": entry.models, "baselines": entry.baselines}
    return validate(settings | own, entry.name)
