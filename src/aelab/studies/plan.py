"""Which runs a study has: every model for every seed at every point of its axes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aelab.data.dataset import Data
from aelab.data.sources import Source
from aelab.errors import RunError
from aelab.experiment.presets import experiment_of, validate
from aelab.experiment.settings import Experiment
from aelab.lab.data import describe, load, require_possible
from aelab.runs.study import Study
from aelab.studies.compare import differences
from aelab.studies.sweep import BASE, Point

# Settings that may change when a study is extended: it may grow, and its data may move, for their
# checksums are compared.
_MAY_CHANGE = {"models", "baselines", "preset", "checkpoint_epochs", "data"}
DataFacts = dict[int | None, dict[str, Any]]  # facts about the data by size of the training set


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study: its point on an axis, its seed and its models."""

    name: str
    setting: str | None
    value: Any
    seed: int
    models: tuple[str, ...]
    baselines: tuple[str, ...]

    @property
    def point(self) -> Point:
        """Its point on the axis."""
        return Point(self.setting, self.value)


def plan_of(study: Study) -> list[PlannedRun]:
    """The runs that a study has planned."""
    return [
        PlannedRun(**record | {name: tuple(record[name]) for name in ("models", "baselines")})
        for record in study.manifest().get("plan", [])
    ]


def check_plan(
    base: Experiment, plan: Sequence[PlannedRun], source: Source, data: Data
) -> tuple[DataFacts, dict[str, int]]:
    """Check that every run is possible.

    Returns:
        The facts about the data, and about the bytes that each run takes on disk, by its name.

    Raises:
        AelabError: If a run is not possible.
    """
    facts = {base.train_size: describe(data)}
    checked: dict[tuple[Any, ...], int] = {}  # runs that differ in their seed take the same
    sizes: dict[str, int] = {}
    for planned in plan:
        experiment = experiment_at(base, planned)
        if experiment.train_size not in facts:
            facts[experiment.train_size] = describe(load(source, experiment))
        kind = planned.point, planned.models, planned.baselines
        if kind not in checked:
            checked[kind] = require_possible(experiment, facts[experiment.train_size])
        sizes[planned.name] = checked[kind]
    return facts, sizes


def require_same_settings(study: Study, experiment: Experiment) -> Experiment:
    """The settings of the study. Raises RunError if ``experiment`` differs in one that counts."""
    own = experiment_of(study).resolved()
    found = differences([each.model_dump(mode="json") for each in (own, experiment)])
    differing = [
        f"{name}: {there} there, {here} here"
        for name, (there, here) in found.items()
        if name not in _MAY_CHANGE
    ]
    if differing:
        raise RunError(
            f"{study.path} holds a study of other settings ({'; '.join(differing)}): name another "
            "--out."
        )
    return own


def missing(
    plan: Sequence[PlannedRun], base: Experiment, points: Iterable[Point], seeds: Iterable[int]
) -> list[PlannedRun]:
    """The runs that ``plan`` lacks, so that every model has every seed at every point.

    A model that a setting does not affect is trained at the base only, and a baseline, which has
    no seed, only once.
    """
    covered = {(p.point.name, p.seed, model) for p in plan for model in p.models}
    evaluated = {key for p in plan for key in _baselines(p.point.of(base), p.baselines)}
    names = {planned.name for planned in plan}
    found = []
    for point in points:
        experiment = point.of(base)
        affected = [m for m in base.models if point == BASE or point.affects(m)]
        for seed in seeds:
            models = tuple(m for m in affected if (point.name, seed, m) not in covered)
            if not models:
                continue
            name = "/".join(part for part in (point.name, f"seed-{seed}") if part)
            if name in names:
                name += "-" + "-".join(models)
            wanted = _baselines(experiment, base.baselines)
            fresh = tuple(kind for key, kind in wanted.items() if key not in evaluated)
            evaluated |= wanted.keys()
            found.append(PlannedRun(name, point.setting, point.value, seed, models, fresh))
    return found


def _baselines(experiment: Experiment, kinds: Iterable[str]) -> dict[tuple[Any, ...], str]:
    """The kinds of baselines of an experiment, by what their numbers depend on."""
    sizes = {"pca": experiment.latent_dim, "pixels": ()}
    return {(kind, sizes[kind], experiment.train_size): kind for kind in kinds}


def experiment_at(base: Experiment, planned: PlannedRun) -> Experiment:
    """The experiment of one run of a study."""
    settings = planned.point.of(base).model_dump(mode="json")
    own = {"seed": planned.seed, "models": planned.models, "baselines": planned.baselines}
    return validate(settings | own, planned.name)
