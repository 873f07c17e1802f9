"""The settings of a search, and what they mean to Optuna."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field, model_validator

from aelab.config.base import Config
from aelab.config.evaluation import EvaluationSettings
from aelab.errors import AelabError
from aelab.models import MODELS
from aelab.randomness import derive
from aelab.search.goals import Goal, default_goal, find_goal
from aelab.search.space import Space


class Sampler(Config):
    """How settings are chosen, after the base experiment itself and a quasi-random start."""

    kind: Literal["tpe", "random"] = Field(
        "tpe", description="Tree-structured Parzen estimator, or uniform draws."
    )
    start: int = Field(15, ge=0, description="Trials of the quasi-random (scrambled Sobol) start.")
    candidates: int = Field(24, ge=1, description="TPE: candidates drawn for a trial.")
    joint: bool = Field(True, description="TPE: model all dimensions together (multivariate).")
    liar: bool = Field(
        True, description="TPE: count running trials as bad, so that workers spread out."
    )


class Pruner(Config):
    """When a trial is left before its last epoch."""

    kind: Literal["median", "hyperband", "none"] = Field(
        "median", description="Worse than the median at the same epoch, Hyperband's rungs, or none."
    )
    spare: int = Field(8, ge=1, description="Median: trials that end before any is pruned.")
    warmup_epochs: int = Field(2, ge=0, description="Median: epochs that every trial may take.")
    min_epochs: int = Field(1, ge=1, description="Hyperband: epochs of the lowest rung.")
    reduction: int = Field(3, ge=2, description="Hyperband: of so many trials one goes on.")


class Proof(Config):
    """How the winners are proved."""

    top: int = Field(5, ge=0, description="So many of the best trials are trained anew (0: none).")
    seeds: int = Field(5, ge=2, description="With so many fresh seeds each.")


class Search(Config):
    """A search for the best settings of one model."""

    model: str = Field(
        "vae", description="The model; its latent size is the first of --latent-dim."
    )
    goal: tuple[str, ...] = Field(
        (),
        description="likelihood, reconstruction, representation, rate, distortion, or any measure "
        "with a better side; several give a Pareto front (left out: what the model trains for).",
    )
    trials: int | None = Field(60, ge=1, description="Trials to make (None: until --minutes).")
    minutes: float | None = Field(None, gt=0, description="Minutes after which no trial begins.")
    trial_epochs: int = Field(
        10, ge=1, description="Epochs of a trial; the proof takes those of the model's settings."
    )
    sampler: Sampler = Field(Sampler(), description="How settings are chosen.")
    pruner: Pruner = Field(Pruner(), description="When a trial is left early.")
    proof: Proof = Field(Proof(), description="How the winners are proved.")
    space: Space = Field(Space(), description="What is searched.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.model not in MODELS:
            raise ValueError(f"no model is named {self.model}; there are {', '.join(MODELS)}")
        if self.trials is None and self.minutes is None:
            raise ValueError("give trials or minutes")
        if len(set(self.goal)) < len(self.goal):
            raise ValueError("name each goal once")
        for goal in self.goals:
            if not goal.applies_to(self.model):
                raise ValueError(f"the {MODELS[self.model].title} has no {goal.title}")
        return self

    @property
    def goals(self) -> tuple[Goal, ...]:
        """What is looked for, resolved."""
        return tuple(find_goal(name) for name in self.goal or (default_goal(self.model),))

    def require_asked(self, evaluation: EvaluationSettings) -> None:
        """Raise AelabError if a goal is a measure that these settings do not ask for."""
        for goal in self.goals:
            if not goal.asked(evaluation):
                raise AelabError(
                    f"The goal {goal.name} is not measured with these settings: see "
                    "--evaluation.flow and --evaluation.samples."
                )

    @property
    def directions(self) -> list[Literal["minimize", "maximize"]]:
        """Optuna's words for the goals' better sides."""
        return ["minimize" if goal.better == "lower" else "maximize" for goal in self.goals]

    @property
    def prunes(self) -> bool:
        """Whether trials can be left early: Optuna prunes by one goal, known at every epoch."""
        return len(self.goals) == 1 and self.goals[0].every_epoch and self.pruner.kind != "none"

    def build_pruner(self) -> optuna.pruners.BasePruner:
        """Optuna's pruner."""
        settings = self.pruner
        match settings.kind if self.prunes else "none":
            case "median":
                return optuna.pruners.MedianPruner(
                    n_startup_trials=settings.spare, n_warmup_steps=settings.warmup_epochs
                )
            case "hyperband":
                return optuna.pruners.HyperbandPruner(
                    min_resource=settings.min_epochs,
                    max_resource=self.trial_epochs,
                    reduction_factor=settings.reduction,
                )
        return optuna.pruners.NopPruner()

    def build_sampler(self, seed: int) -> BaseSampler:
        """Optuna's sampler, drawing for each trial from a stream of its own."""
        return StreamSampler(self.sampler, seed)


class StreamSampler(BaseSampler):
    """A sampler whose draws depend on the seed, the trial's number and the trials before it only.

    Optuna's own samplers walk one random sequence a process; a search that was interrupted would
    walk another one than a search that was not.
    """

    def __init__(self, settings: Sampler, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        self._made: tuple[int, BaseSampler] | None = None

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        if self._made is None or self._made[0] != trial.number:
            seed = derive(self._seed, "search", "sampler", trial.number) % 2**32
            self._made = (trial.number, self._build(seed))
        return self._made[1]

    def _build(self, seed: int) -> BaseSampler:
        settings = self._settings
        if settings.kind == "random":
            return RandomSampler(seed)
        return TPESampler(
            n_startup_trials=max(1, settings.start),
            n_ei_candidates=settings.candidates,
            multivariate=settings.joint,
            constant_liar=settings.liar,
            seed=seed,
        )

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The dimensions that are drawn together."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw them."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one dimension by itself."""
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """What the sampler does before a trial."""
        self._of(trial).before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """What it does after one."""
        self._of(trial).after_trial(study, trial, state, values)
