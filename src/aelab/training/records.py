"""What training yields after each epoch, and the state that it continues from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from aelab.losses import weighted_total


@dataclass(frozen=True)
class MeanLoss:
    """The objective on one split: means over images, in nats per image."""

    terms: Mapping[str, float]
    weights: Mapping[str, float]
    per_dimension: Mapping[str, list[float]] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """The weighted sum of the terms."""
        return weighted_total(self.terms, self.weights)

    def row(self) -> dict[str, Any]:
        """The record as a row of the history."""
        row = {"total": self.total, "terms": dict(self.terms), "weights": dict(self.weights)}
        return row | ({"per_dimension": dict(self.per_dimension)} if self.per_dimension else {})


@dataclass(frozen=True)
class State:
    """Everything that training needs to continue after ``epoch`` epochs, as named tensors."""

    epoch: int
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Epoch:
    """What one epoch did; ``state`` continues from its end."""

    index: int  # from 1
    train: MeanLoss
    validation: MeanLoss
    learning_rate: float
    images_per_second: float
    gradient_norm: float  # mean over every eighth step and the last
    seconds: float
    state: State

    def row(self) -> dict[str, Any]:
        """The record as a row of the history."""
        return {
            "epoch": self.index,
            "train": self.train.row(),
            "validation": self.validation.row(),
            "learning_rate": self.learning_rate,
            "images_per_second": self.images_per_second,
            "gradient_norm": self.gradient_norm,
            "seconds": self.seconds,
        }
