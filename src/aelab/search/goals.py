"""The goals of a search: numbers evaluated on the validation images, never on test.

A goal of this file is cheap enough for every epoch, so that trials can be pruned by it. Every
registered metric with a better side is a goal too, by its name: it is evaluated once, at the end of
a trial, with the validation images in the place of the test images.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from aelab.config.evaluation import EvaluationSettings
from aelab.config.registry import Registry
from aelab.data.dataset import Data, Split
from aelab.errors import AelabError, TrainingError
from aelab.experiment.settings import Experiment
from aelab.metrics import METRICS, Context, Estimate
from aelab.metrics.likelihood import elbo_terms
from aelab.models import MODELS, Autoencoder, Capability

PROBE_IMAGES = 5_000  # training images of the probe that is fitted after every epoch
PROBE_C = 1.0

Function = Callable[[Context], float]


@dataclass(frozen=True)
class Goal:
    """A number to make low or high; ``every_epoch`` if it is cheap enough to prune by."""

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"]
    needs: frozenset[Capability]
    every_epoch: bool
    function: Function
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


GOALS: Registry[Goal] = Registry("goal")


def goal(
    name: str,
    title: str,
    *,
    unit: str = "",
    better: Literal["lower", "higher"] = "lower",
    needs: Capability = "codes",
) -> Callable[[Function], Function]:
    """Register a goal that is evaluated after every epoch."""

    def register(function: Function) -> Function:
        found = Goal(name, title, unit, better, frozenset([needs]), True, function)
        GOALS.register(name, found, function)
        return function

    return register


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
        name, metric.title, metric.unit, metric.better, metric.needs, False,
        lambda context: as_number(function(context)), metric.asked,
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


@goal("reconstruction", "Reconstruction", unit="nats")
def reconstruction(context: Context) -> float:
    """−log p(x|z) at the deterministic code."""
    return as_number(METRICS["reconstruction_nll"].function(context))


@goal("likelihood", "−ELBO", unit="nats", needs="likelihood")
def likelihood(context: Context) -> float:
    """−ELBO with β = 1, whatever β trained the model; one posterior draw an image."""
    return distortion(context) + rate(context)


@goal("distortion", "Distortion", unit="nats", needs="likelihood")
def distortion(context: Context) -> float:
    """−log p(x|z) at one draw of the posterior an image; the same draws for every trial."""
    return float(_terms(context)[0].double().mean())


@goal("rate", "Rate", unit="nats", needs="likelihood")
def rate(context: Context) -> float:
    """KL(q(z|x) ‖ p(z)): Alemi et al. (2018) draw distortion against it."""
    return float(_terms(context)[1].sum(-1).double().mean())


def _terms(context: Context) -> tuple[Tensor, Tensor]:
    return elbo_terms(context, 1, "search", "draws")


@goal("representation", "Linear probe accuracy", better="higher")
def representation(context: Context) -> float:
    """Accuracy of logistic regression on the codes of 5,000 training images."""
    train = Split(
        context.data.train.images[:PROBE_IMAGES], context.data.train.labels[:PROBE_IMAGES]
    )
    small = dataclasses.replace(context, data=dataclasses.replace(context.data, train=train))
    scaler = StandardScaler().fit(small.codes("train"))
    probe = LogisticRegression(C=PROBE_C, max_iter=200)
    with warnings.catch_warnings():  # short of its optimum it still ranks codes
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(scaler.transform(small.codes("train")), train.labels)
    return float(probe.score(scaler.transform(small.codes("test")), small.data.test.labels))
