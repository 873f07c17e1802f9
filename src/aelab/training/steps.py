"""One training step: autograd for every model, derived by hand for dense ones (fast.py).

Both give the same gradients (tests/test_steps.py); :func:`make_step` chooses one.
"""

from collections.abc import Mapping
from typing import Protocol, final

import torch
from torch import Tensor, nn

from aelab.losses import Batch, means, weighted_total
from aelab.models import Autoencoder
from aelab.training.fast import FusedStep


class Layout(Protocol):
    """Where a parameter of the optimizer has those of the model."""

    def parts(self, name: str, values: Tensor) -> dict[str, Tensor]:
        """Views of ``values``, which has a parameter's shape, by the model's own names."""
        ...


class Step(Layout, Protocol):
    """Computes the gradient of a batch in the parameters, and returns the loss terms."""

    terms: tuple[str, ...]  # their names, known after the first batch
    term_weights: Mapping[str, float]  # of the terms of the last batch
    parameters: dict[str, nn.Parameter]  # what is optimised; the weights are views of them
    encoder_weights: list[str]  # which of them are weights of the encoder, without biases

    def __call__(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:
        """Sums of the terms over the batch, ``(T,)``."""
        ...


def make_step(model: Autoencoder) -> Step:
    """The fastest step that computes the model's own loss."""
    return FusedStep(model) if FusedStep.fits(model) else AutogradStep(model)


def gradient_norm(step: Step) -> Tensor:
    """The norm of the gradient of the last batch."""
    gradients = [p.grad for p in step.parameters.values() if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)


@final
class AutogradStep:
    """Any model's loss, differentiated by torch."""

    def __init__(self, model: Autoencoder) -> None:
        self.model = model
        self.terms: tuple[str, ...] = ()
        self.term_weights: Mapping[str, float] = {}
        self.parameters = dict(model.named_parameters())
        self.encoder_weights = [
            name
            for name, p in self.parameters.items()
            if p.dim() > 1 and name.startswith("encoder.")
        ]

    def parts(self, name: str, values: Tensor) -> dict[str, Tensor]:
        """The parameter itself."""
        return {name: values}

    def __call__(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:
        """Sums of the terms over the batch ``(T,)``."""
        loss = self.model.loss(batch, generator, epoch)
        terms = means(loss.terms)
        self.model.zero_grad(set_to_none=True)
        weighted_total(terms, loss.weights).backward()
        self.terms, self.term_weights = tuple(terms), loss.weights
        return torch.stack([term.detach() * len(batch.x) for term in terms.values()])
