"""How a model is trained: learning rate, schedule, batches, epochs."""

import math
from typing import Annotated, Literal

from pydantic import Field

from aelab.config.base import Config
from aelab.config.ranges import Choice, Range


class Training(Config):
    """How a model is trained."""

    learning_rate: Annotated[float, Range(1e-4, 1e-2, log=True)] = Field(
        1e-3, gt=0, description="Adam's learning rate."
    )
    encoder_rate: Annotated[float, Range(0.05, 1.0, log=True, by_default=False)] = Field(
        1.0,
        gt=0,
        description="Learning rate of the encoder's weights, as a multiple of the learning rate.",
    )
    batch_size: Annotated[int, Choice((32, 64, 128, 256, 512))] = Field(
        64, ge=1, description="Images per step."
    )
    epochs: Annotated[int, Range(1, 10, whole=True, by_default=False)] = Field(
        50, ge=1, description="Passes over the training images."
    )
    weight_decay: Annotated[float, Range(1e-6, 1e-1, log=True)] = Field(
        0.0, ge=0, description="Decoupled weight decay (AdamW)."
    )
    schedule: Annotated[Literal["constant", "cosine", "linear"], Choice(("constant", "cosine"))] = (
        Field(
            "constant", description="Learning rate over the steps; cosine and linear end at zero."
        )
    )
    warmup_epochs: Annotated[float, Range(0, 2)] = Field(
        0.0, ge=0, description="Epochs in which the learning rate rises linearly from 0."
    )
    mean_start: bool = Field(
        False, description="Start the decoder's output at the mean training image, not at random."
    )
    early_stopping: int | None = Field(
        None, ge=1, description="Stop after so many epochs without a better validation total."
    )

    def learning_rate_at(self, epoch: float) -> float:
        """The learning rate after ``epoch`` epochs (a fraction within an epoch)."""
        if epoch < self.warmup_epochs:
            return self.learning_rate * epoch / self.warmup_epochs
        if self.schedule == "constant":
            return self.learning_rate
        span = max(self.epochs - self.warmup_epochs, 1e-9)
        progress = min(1.0, (epoch - self.warmup_epochs) / span)
        if self.schedule == "linear":  # Defazio et al. (2023): the best of the plain schedules
            return self.learning_rate * (1 - progress)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
