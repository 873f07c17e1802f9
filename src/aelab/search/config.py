"""The settings of a search, and what they mean to Optuna."""

from typing import Literal, Self

from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from pydantic import Field, model_validator

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
        True, description="TPE: count running trials as bad, so that workers spread out."
    )


class PrunerSettings(Config):
    """When a trial is pruned, before its last epoch."""

    kind: Literal["median", "none"] = Field(
        "median", description="Prune what is worse than the median at the same epoch, or nothing."
    )
    n_startup_trials: int = Field(8, ge=1, description="Complete trials before any is pruned.")
    warmup_epochs: int = Field(2, ge=0, description="Epochs that every trial may take.")


class ProofSettings(Config):
    """How the best trials are confirmed with fresh seeds."""

    top: int = Field(5, ge=0, description="So many of the best trials are retrained (0: none).")
    seeds: int = Field(5, ge=2, description="With so many fresh seeds each.")


class Search(Config):
    """A search for the best settings of one model."""

    model: str = Field(
        "vae", description="The model; its latent size is the first of --latent-dim."
    )
    goal: str | None = Field(
        None,
        description="likelihood, reconstruction, representation, or any metric with a better side "
        "(left out: what the model trains for).",
    )
    trials: int = Field(60, ge=1, description="Trials to make.")
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
        if not self.target.applies_to(self.model):
            raise ValueError(f"the {MODELS[self.model].title} has no {self.target.title}")
        return self

    @property
    def target(self) -> Goal:
        """The goal, resolved."""
        return find_goal(self.goal or default_goal(self.model))

    @property
    def direction(self) -> StudyDirection:
        """Optuna's word for the better side of the goal."""
        lower = self.target.better == "lower"
        return StudyDirection.MINIMIZE if lower else StudyDirection.MAXIMIZE

    def build_pruner(self) -> BasePruner:
        """Optuna's pruner, for a goal that is known at every epoch."""
        settings = self.pruner
        if settings.kind == "none" or not self.target.every_epoch:
            return NopPruner()
        return MedianPruner(settings.n_startup_trials, settings.warmup_epochs)

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
