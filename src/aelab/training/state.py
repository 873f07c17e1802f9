"""Model and optimizer as named tensors, and back."""

from collections.abc import Mapping

import torch
from torch import Tensor

from aelab.errors import TrainingError
from aelab.models import Autoencoder
from aelab.training.optimizer import Adam
from aelab.training.records import State
from aelab.training.steps import Layout


def not_finite(what: str, where: str, rate: float) -> TrainingError:
    """The error of a loss, gradient or weight that is not finite."""
    return TrainingError(
        f"{what} is not finite {where} with learning rate {rate:g}: start another run with a "
        "lower learning rate or with --*.warmup-epochs."
    )


def tensors_of(model: Autoencoder, step: Layout, optimizer: Adam, where: str) -> dict[str, Tensor]:
    """Model and optimizer as named tensors, by the model's names whatever step trains it.

    Raises TrainingError if a weight is not finite.
    """
    weights = {f"model/{name}": value for name, value in model.state_dict().items()}
    if not all(value.isfinite().all() for value in weights.values()):
        raise not_finite("A weight", where, optimizer.rate)
    state = _optimizer_tensors(step, optimizer)
    return {name: value.detach().cpu().clone() for name, value in (weights | state).items()}


def restore(model: Autoencoder, step: Layout, optimizer: Adam, state: State) -> None:
    """Load a state into the model and its optimizer."""
    load_weights(model, state.tensors)
    for name, value in _optimizer_tensors(step, optimizer).items():
        value.copy_(state.tensors[name])


def _optimizer_tensors(step: Layout, optimizer: Adam) -> dict[str, Tensor]:
    """Views of Adam's moments by parameter, and its step count, which all its parts share."""
    found: dict[str, Tensor] = {}
    for slot, tensors in optimizer.slots.items():
        for (name, parameter), values in zip(optimizer.parameters.items(), tensors, strict=True):
            parts = step.parts(name, parameter if slot == "step" else values)
            for own, part in parts.items():
                found[f"optimizer/{slot}/{own}"] = values if slot == "step" else part
    return found


def fits(model: Autoencoder, state: State) -> bool:
    """Whether ``state`` has the tensors of a training of ``model``, by name, shape and kind.

    A checksum says that a file is as it was written, not which training wrote it.
    """
    expected = {f"model/{name}": value for name, value in model.state_dict().items()}
    for name, value in model.named_parameters():
        expected |= {f"optimizer/{moment}/{name}": value for moment in ("exp_avg", "exp_avg_sq")}
        expected[f"optimizer/step/{name}"] = torch.zeros(())
    return _shapes(expected) == _shapes(state.tensors)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, bool]]:
    return {name: (value.shape, value.is_floating_point()) for name, value in tensors.items()}


def load_weights(model: Autoencoder, tensors: Mapping[str, Tensor]) -> None:
    """Put the weights of a saved state into ``model``."""
    model.load_state_dict(
        {key.removeprefix("model/"): v for key, v in tensors.items() if key.startswith("model/")}
    )
