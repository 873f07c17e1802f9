"""One training step: autograd for every model, derived by hand for dense ones (fast.py).

Both give the same gradients (tests/test_steps.py); :func:`make_step` chooses one.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol, final

import torch
from torch import Tensor, nn

from aelab.losses import Batch, means, weighted_total
from aelab.models import Autoencoder
from aelab.training.fast import FusedStep


class Step(Protocol):
    """Computes the gradient of a batch in the parameters, and returns the loss terms."""

    term_weights: Mapping[str, float]  # of the terms of the last batch

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms, known after the first batch."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters that the optimizer trains; the model's weights are views of them."""
        ...

    def encoder_weights(self, name: str) -> list[slice]:
        """The rows of a parameter that are weights of the encoder, without biases."""
        ...

    def parts(self, name: str, values: Tensor) -> dict[str, Tensor]:
        """Views of ``values``, which has a parameter's shape, by the model's own names."""
        ...

    def __call__(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:
        """Sums of the terms over the batch, ``(T,)``."""
        ...

    def gradient_norm(self) -> Tensor:
        """The norm of the gradient of the last batch."""
        ...


def make_step(model: Autoencoder) -> Step:
    """The fastest step that computes the model's own loss."""
    return FusedStep(model) if FusedStep.fits(model) else AutogradStep(model)


@final
class AutogradStep:
    """Any model's loss, differentiated by torch."""

    def __init__(self, model: Autoencoder) -> None:
        self.model = model
        self.term_weights: Mapping[str, float] = {}
        self._terms: tuple[str, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms, known after the first batch."""
        return self._terms

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The model's own parameters."""
        return self.model.named_parameters()

    def encoder_weights(self, name: str) -> list[slice]:
        """All rows or none."""
        is_weight = self.model.get_parameter(name).dim() > 1
        return [slice(None)] if is_weight and name.startswith("encoder.") else []

    def parts(self, name: str, values: Tensor) -> dict[str, Tensor]:
        """The parameter itself."""
        return {name: values}

    def __call__(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:
        """Sums of the terms over the batch ``(T,)``."""
        loss = self.model.loss(batch, generator, epoch)
        terms = means(loss.terms)
        self.model.zero_grad(set_to_none=True)
        weighted_total(terms, loss.weights).backward()
        self._terms, self.term_weights = tuple(terms), loss.weights
        return torch.stack([term.detach() * len(batch.x) for term in terms.values()])

    def gradient_norm(self) -> Tensor:
        """The norm of the gradient of the last batch."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)
