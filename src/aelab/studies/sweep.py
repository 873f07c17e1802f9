"""What a study varies beside the seed: one setting at a time, away from the study's experiment."""

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
    """A place on an axis; without a setting it is the study's experiment itself, the base."""

    setting: str | None = None
    value: Any = None  # plain JSON

    @property
    def name(self) -> str:
        """Such as ``vae.beta=0.5``; empty for the base."""
        if self.setting is None:
            return ""
        return f"{self.setting.replace('_', '-')}={written(self.value)}"

    def affects(self, model: str) -> bool:
        """Whether a model is another one here than at the base."""
        return self.setting is not None and owner(self.setting) in (None, model)

    def of(self, base: Experiment) -> Experiment:
        """The experiment at this place."""
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
    """The model whose own setting it is; None for one that all models share."""
    table, dot, _ = setting.partition(".")
    return table if dot and table in MODELS else None


def written(value: Any) -> str:
    """A value as a flag has it; no limit is "all"."""
    if value is None:
        return "all"
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def parse(words: Sequence[str]) -> dict[str, list[Any]]:
    """The axes of ``--vary``, such as ``latent-dim=2,4,8``; AelabError if that is not one."""
    axes: dict[str, list[Any]] = {}
    for word in words:
        setting, equals, values = word.partition("=")
        if not (setting and equals and values):
            raise AelabError(
                f"--vary {word} is no axis: write a setting and its values, as in vae.beta=0.5,1,4."
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
    """The places of every axis but the base itself, each once.

    The base is part of every axis without being named. Raises AelabError for a setting that cannot
    be varied or a value that it cannot have.
    """
    found: dict[str, Point] = {}
    for name, values in axes.items():
        setting = _plain(name)
        _check(setting, base)
        for value in values:
            experiment = Point(setting, value).of(base)
            if experiment != base:
                kept = flatten(experiment.model_dump(mode="json"))[setting]
                point = Point(setting, kept[0] if isinstance(kept, list) else kept)
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
