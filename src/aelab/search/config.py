"""The settings of a search, and what they mean to Optuna."""

from typing import Literal, Self

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from pydantic import AliasChoices, Field, model_validator

from aelab.config.base import Config
from aelab.models import MODELS
from aelab.randomness import derive
from aelab.search.goals import Goal, default_goal, find_goal
from aelab.search.space import Space


class SamplerSettings(Config):
    """How settings are chosen, after the base experiment itself and a quasi-random start."""

    kind: Literal["tpe", "random"] = Field(
        "tpe", description="Tree-structured Parzen estimator, or uniform draws."
    )
    start: int = Field(15, ge=0, description="Trials of the quasi-random (scrambled Sobol) start.")
    candidates: int = Field(24, ge=1, description="TPE: candidates drawn for a trial.")
    joint: bool = Field(True, description="TPE: model all dimensions together (multivariate).")
    constant_liar: bool = Field(
        True,
        validation_alias=AliasChoices("constant_liar", "liar"),  # as older folders have it
        description="TPE: count running trials as bad, so that workers spread out.",
    )


class PrunerSettings(Config):
    """When a trial is pruned, before its last epoch."""

    kind: Literal["median", "hyperband", "none"] = Field(
        "median", description="Worse than the median at the same epoch, Hyperband's rungs, or none."
    )
    n_startup_trials: int = Field(
        8,
        ge=1,
        validation_alias=AliasChoices("n_startup_trials", "spare"),  # as older folders have it
        description="Median: complete trials before any is pruned.",
    )
    warmup_epochs: int = Field(2, ge=0, description="Median: epochs that every trial may take.")
    min_epochs: int = Field(1, ge=1, description="Hyperband: epochs of the lowest rung.")
    reduction: int = Field(3, ge=2, description="Hyperband: one of so many trials is continued.")


class ProofSettings(Config):
    """How the best trials are confirmed with fresh seeds."""

    top: int = Field(5, ge=0, description="So many of the best trials are trained anew (0: none).")
    seeds: int = Field(5, ge=2, description="With so many fresh seeds each.")


class Search(Config):
    """A search for the best settings of one model."""

    model: str = Field(
        "vae", description="The model; its latent size is the first of --latent-dim."
    )
    goal: tuple[str, ...] = Field(
        (),
        description="likelihood, reconstruction, representation, rate, distortion, or any metric "
        "with a better side; several give a Pareto front (left out: what the model trains for).",
    )
    trials: int | None = Field(60, ge=1, description="Trials to make (None: until --minutes).")
    minutes: float | None = Field(None, gt=0, description="Minutes after which no trial begins.")
    trial_epochs: int = Field(
        10, ge=1, description="Epochs of a trial; the proof takes those of the model's settings."
    )
    sampler: SamplerSettings = Field(SamplerSettings(), description="How settings are chosen.")
    pruner: PrunerSettings = Field(PrunerSettings(), description="When a trial is pruned.")
    proof: ProofSettings = Field(
        ProofSettings(), description="How the best trials are confirmed with fresh seeds."
    )
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
        """The goals, resolved."""
        return tuple(find_goal(name) for name in self.goal or (default_goal(self.model),))

    @property
    def every_epoch(self) -> bool:
        """Whether there is one goal, known at every epoch: Optuna can prune by nothing else."""
        return len(self.goals) == 1 and self.goals[0].every_epoch

    def build_pruner(self) -> optuna.pruners.BasePruner:
        """Optuna's pruner."""
        settings = self.pruner
        if settings.kind == "none" or not self.every_epoch:
            return optuna.pruners.NopPruner()
        if settings.kind == "median":
            return optuna.pruners.MedianPruner(settings.n_startup_trials, settings.warmup_epochs)
        return optuna.pruners.HyperbandPruner(
            settings.min_epochs, self.trial_epochs, settings.reduction
        )

    def build_sampler(self, seed: int, number: int) -> BaseSampler:
        """Optuna's sampler for the trial of that number, with a random stream of its own."""
        settings = self.sampler
        seed = derive(seed, "search", "sampler", number) % 2**32
        if settings.kind == "random":
            return RandomSampler(seed)
        return TPESampler(
            n_startup_trials=max(1, settings.start),
            n_ei_candidates=settings.candidates,
            multivariate=settings.joint,
            constant_liar=settings.constant_liar,
            seed=seed,
        )
