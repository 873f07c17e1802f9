"""The axes of a study: one setting varied at a time, away from the study's own experiment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aelab.config.base import flatten
from aelab.errors import AelabError
from aelab.experiment.presets import merge, validate
from aelab.experiment.settings import Experiment
from aelab.models import MODELS


@dataclass(frozen=True)
class Point:
    """A value of a setting; without a setting, the study's own experiment, the base."""

    setting: str | None = None
    value: Any = None  # plain JSON

    @property
    def name(self) -> str:
        """Such as ``vae.beta=0.5``; empty for the base."""
        if self.setting is None:
            return ""
        return f"{self.setting.replace('_', '-')}={format_value(self.value)}"

    def affects(self, model: str) -> bool:
        """Whether a model is not the same as at the base."""
        return self.setting is not None and owner(self.setting) in (None, model)

    def of(self, base: Experiment) -> Experiment:
        """The experiment at this point."""
        if self.setting is None:
            return base
        settings = base.model_dump(mode="json")
        many = isinstance(flatten(settings).get(self.setting), list)
        change: Any = [self.value] if many else self.value
        for part in reversed(self.setting.split(".")):
            change = {part: change}
        return validate(merge(settings, change), f"--vary {self.name}")


BASE = Point()


def owner(setting: str) -> str | None:
    """The model that a setting belongs to; None if all models share it."""
    table, dot, _ = setting.partition(".")
    return table if dot and table in MODELS else None


def format_value(value: Any) -> str:
    """A value as a flag has it; None, which is no limit, is "all"."""
    if value is None:
        return "all"
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def parse(arguments: Sequence[str]) -> dict[str, list[Any]]:
    """The axes of ``--vary``, such as ``latent-dim=2,4,8``. AelabError if one is wrong."""
    axes: dict[str, list[Any]] = {}
    for argument in arguments:
        setting, equals, values = argument.partition("=")
        if not (setting and equals and values):
            raise AelabError(
                f"--vary {argument} is no axis: write a setting and its values, as in "
                "vae.beta=0.5,1,4."
            )
        axes.setdefault(_plain(setting), []).extend(map(_value, values.split(",")))
    return axes


def _value(text: str) -> Any:
    if text in ("all", "none"):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _plain(setting: str) -> str:
    return setting.removeprefix("--").replace("-", "_")


def points(base: Experiment, axes: Mapping[str, Sequence[Any]]) -> list[Point]:
    """The points of every axis, each once, without the base, which is part of every axis.

    Raises AelabError for a setting that cannot be varied or a value that it cannot have.
    """
    found: dict[str, Point] = {}
    for name, values in axes.items():
        setting = _plain(name)
        _check(setting, base)
        for value in values:
            experiment = Point(setting, value).of(base)
            if experiment != base:
                valid = flatten(experiment.model_dump(mode="json"))[setting]
                point = Point(setting, valid[0] if isinstance(valid, list) else valid)
                found[point.name] = point
    return list(found.values())


def _check(setting: str, base: Experiment) -> None:
    model = owner(setting)
    shared = setting in ("latent_dim", "train_size") or setting.startswith("network.")
    if not (model or shared):
        raise AelabError(
            f"A study cannot vary {setting}: choose latent-dim, train-size, a setting of the "
            "network or one of a model, such as vae.beta."
        )
    if model and model not in base.models:
        raise AelabError(
            f"{setting} is a setting of a model that the study does not train: add {model} to "
            "--models."
        )
