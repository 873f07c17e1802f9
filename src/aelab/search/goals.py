"""The goals of a search: numbers evaluated on the validation images, never on test.

A goal of this file is cheap enough for every epoch, so that trials can be pruned by it. Every
registered metric with a better side is a goal too, by its name: it is evaluated once, at the end of
a trial, with the validation images in the place of the test images.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aelab.config.evaluation import EvaluationSettings
from aelab.data.dataset import Data, Split
from aelab.errors import AelabError, TrainingError
from aelab.experiment.settings import Experiment
from aelab.metrics import METRICS, Context, Estimate
from aelab.metrics.likelihood import elbo_terms
from aelab.metrics.representation import fit_classes
from aelab.models import MODELS, Autoencoder, Capability

PROBE_IMAGES = 5_000  # training images of the probe that is fitted after every epoch


@dataclass(frozen=True)
class Goal:
    """A number to make low or high; ``every_epoch`` if it is cheap enough to prune by."""

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"]
    needs: frozenset[Capability]
    function: Callable[[Context], float]
    every_epoch: bool = False
    asked: Callable[[EvaluationSettings], bool] = lambda _: True

    def applies_to(self, model: str) -> bool:
        """Whether the model has it."""
        # Whether the data have labels is known later; a metric without them is NaN.
        return self.needs <= MODELS[model].capabilities | {"labels"}

    def format(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:.4g} {self.unit}".rstrip()

    def of(self, context: Context) -> float:
        """The number, on a context of :func:`validation_context`. Raises TrainingError if NaN."""
        value = self.function(context)
        if not math.isfinite(value):
            raise TrainingError(f"The {self.title} on validation is not finite.")
        return value


def find_goal(name: str) -> Goal:
    """A goal by its name, or a metric with a better side. Raises AelabError if there is none."""
    if name in GOALS:
        return GOALS[name]
    metric = METRICS.get(name)
    if metric is None or metric.better is None:
        known = [*GOALS, *(key for key, found in METRICS.items() if found.better)]
        raise AelabError(f"There is no goal {name}: choose from {', '.join(known)}.")
    function = metric.function
    return Goal(
        name, metric.title, metric.unit, metric.better, metric.needs,
        lambda context: as_number(function(context)), asked=metric.asked,
    )  # fmt: skip


def as_number(result: Any) -> float:
    """A metric's result as a number; NaN where it is not defined."""
    if isinstance(result, Estimate):
        return result.value
    return float(np.mean(result, dtype=np.float64)) if result is not None else math.nan


def default_goal(model: str) -> str:
    """The likelihood of a model that has one, else the reconstruction."""
    return "likelihood" if GOALS["likelihood"].applies_to(model) else "reconstruction"


def validation_context(model: Autoencoder, data: Data, experiment: Experiment) -> Context:
    """The model on the validation images, put in the place of the test images.

    A metric that chooses something on validation chooses it on the last training images instead, as
    many; a metric thus cannot reach a test image, nor choose on what it is evaluated on.
    """
    count = max(1, min(len(data.validation), len(data.train) // 5))
    chosen = Split(data.train.images[-count:], data.train.labels[-count:])
    rest = Split(data.train.images[:-count], data.train.labels[:-count])
    shifted = dataclasses.replace(data, train=rest, validation=chosen, test=data.validation)
    return Context.of(experiment, model, shifted)


def _reconstruction(context: Context) -> float:
    """−log p(x|z) at the deterministic code."""
    return as_number(METRICS["reconstruction_nll"].function(context))


def _likelihood(context: Context) -> float:
    """−ELBO with β = 1, whatever β trained the model; one draw an image, the same in all trials."""
    distortion, rate = elbo_terms(context, 1, "search", "draws")
    return float(distortion.double().mean()) + float(rate.sum(-1).double().mean())


def _representation(context: Context) -> float:
    """Accuracy of logistic regression on the codes of 5,000 training images."""
    train = Split(
        context.data.train.images[:PROBE_IMAGES], context.data.train.labels[:PROBE_IMAGES]
    )
    small = dataclasses.replace(context, data=dataclasses.replace(context.data, train=train))
    # Short of its optimum the probe still ranks codes.
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    fit_classes(probe, small.codes("train"), train.labels)
    return float(probe.score(small.codes("test"), small.data.test.labels))


CODES: frozenset[Capability] = frozenset({"codes"})
LIKELIHOOD: frozenset[Capability] = frozenset({"likelihood"})
GOALS = {
    goal.name: goal
    for goal in (
        Goal("reconstruction", "Reconstruction", "nats", "lower", CODES, _reconstruction, True),
        Goal("likelihood", "−ELBO", "nats", "lower", LIKELIHOOD, _likelihood, True),
        Goal("representation", "Linear probe accuracy", "", "higher", CODES, _representation, True),
    )
}
