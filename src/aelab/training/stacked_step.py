"""One step of many models of one shape, by ``vmap`` over their stacked parameters.

Shape legend: M models, B images of a batch, D pixels, T terms.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.overrides import TorchFunctionMode

from aelab.losses import Batch
from aelab.models import Autoencoder
from aelab.nets.matmul import Dense
from aelab.training.loop import learning_rate
from aelab.training.optimizer import Adam
from aelab.training.settings import Training
from aelab.training.steps import AutogradStep


@final
class _Draws(TorchFunctionMode):
    """Draws each model's part of a tensor in ``vmap`` from the generator of that model.

    A loss is called with the first of the generators, which stands for all of them.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.generators = generators

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``function``, or draw."""
        settings = dict(kwargs or {})
        if settings.get("generator") is not self.generators[0]:
            return function(*args, **settings)
        tensor, *others = args

        def draw(tensor_M: Tensor) -> Tensor:
            rows = zip(tensor_M.clone(), self.generators, strict=True)
            return torch.stack(
                [function(row, *others, **settings | {"generator": own}) for row, own in rows]
            )

        drawn = _PerModel.apply(tensor, draw)  # type: ignore[no-untyped-call]
        return tensor.copy_(drawn) if function.__name__.endswith("_") else drawn


class _PerModel(torch.autograd.Function):
    """In ``vmap`` a function of the whole tensor ``(M, ...)``; without a gradient."""

    @staticmethod
    def forward(*_: Any) -> Tensor:
        """Called where the tensor is not one for each model."""
        raise RuntimeError("A loss draws numbers into a tensor that does not depend on its input.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Nothing to keep."""

    @staticmethod
    def vmap(_: Any, in_dims: Any, tensor: Tensor, draw: Any) -> tuple[Tensor, int]:
        """The result, and its dimension of models."""
        return draw(tensor.detach().movedim(in_dims[0], 0)), 0


class _Terms(nn.Module):
    """The loss of a model as ``forward``, which ``functional_call`` calls."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).train()
        for layer in [layer for layer in self.modules() if type(layer) is Dense]:
            layer.__class__ = nn.Linear  # type: ignore[assignment]  # vmap knows no oneDNN
        self.weights: Mapping[str, float] = {}

    def forward(
        self, x_BD: Tensor, labels_B: Tensor, generator: torch.Generator, epoch: float
    ) -> dict[str, Tensor]:
        """The terms of the loss, each ``(B,)``."""
        loss = self.model.loss(Batch(x_BD, labels_B), generator, epoch)
        self.weights = loss.weights
        return dict(loss.terms)


@dataclass(frozen=True)
class Row:
    """Where the optimizer of stacked parameters has one model."""

    place: int

    def parts(self, name: str, values: Tensor) -> dict[str, Tensor]:
        """The model's part of a stacked parameter."""
        return {name: values[self.place]}


@final
class StackedStep:
    """The models' parameters and buffers, stacked, with the optimizers of the parameters.

    The models stay usable: their own become views of the stacked ones.
    """

    def __init__(self, models: Sequence[Autoencoder], configs: Sequence[Training]) -> None:
        self.models = models
        self.loss = _Terms(self.models[0])
        self.parameters = {
            name: nn.Parameter(tensor)
            for name, tensor in self._stacked(nn.Module.named_parameters).items()
        }
        buffers = self._stacked(nn.Module.named_buffers)
        self.state = {f"model.{name}": t for name, t in (self.parameters | buffers).items()}
        self.terms: tuple[str, ...] = ()
        self.term_weights: list[dict[str, float]] = []
        self._weights: tuple[list[list[float]], Tensor] = [], torch.empty(0)
        # Neighbours of equal settings share an optimizer, over their part of the stacked tensors.
        self.optimizers: list[tuple[slice, Training, Adam]] = []
        self.rows: list[tuple[Row, Adam]] = []  # of each model
        scaled = AutogradStep(models[0]).encoder_weights
        for config, group in groupby(configs):
            begin, count = len(self.rows), len(list(group))
            part = slice(begin, begin + count)
            own = {name: nn.Parameter(p.detach()[part]) for name, p in self.parameters.items()}
            optimizer = Adam(own, config.weight_decay, scaled=scaled, lr_scale=config.encoder_rate)
            self.optimizers.append((part, config, optimizer))
            self.rows += [(Row(place), optimizer) for place in range(count)]

    @torch.no_grad()
    def _stacked(self, named: Callable[[nn.Module], Any]) -> dict[str, Tensor]:
        tensors = [dict(named(model)) for model in self.models]
        whole = {name: torch.stack([own[name] for own in tensors]) for name in tensors[0]}
        for place, own in enumerate(tensors):
            for name, tensor in own.items():
                tensor.data = whole[name][place]
        return whole

    def gradients(
        self, batch: Batch, generators: Sequence[torch.Generator], epoch: float
    ) -> Tensor:
        """Compute the gradients of a batch ``(M, B, D)``; sums of the terms over it, ``(M, T)``."""

        def terms_of(*own: Any) -> Any:
            return functional_call(self.loss, own[0], (*own[1:], generators[0], epoch))

        with _Draws(generators):
            terms: dict[str, Tensor] = vmap(terms_of)(self.state, batch.x, batch.labels)
        means_TM = torch.stack([term_MB.mean(1) for term_MB in terms.values()])
        self.terms = tuple(terms)
        self.term_weights = [{**self.loss.weights, **model.weights(epoch)} for model in self.models]
        table = [[own.get(name, 1.0) for own in self.term_weights] for name in terms]
        if table != self._weights[0]:  # copied to the device only if they change
            self._weights = table, means_TM.new_tensor(table)
        for parameter in self.parameters.values():
            parameter.grad = None
        means_TM.backward(self._weights[1])
        return means_TM.detach().t() * batch.x.shape[1]

    def gradient_norms(self) -> Tensor:
        """The norm of each model's gradient, ``(M,)``."""
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        norms = [torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1) for g in gradients]
        norm_M: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        return norm_M

    def update(self, index: int, number: int, steps: int) -> None:
        """One step of every optimizer."""
        for part, config, optimizer in self.optimizers:
            for name, own in optimizer.parameters.items():
                gradient = self.parameters[name].grad
                own.grad = None if gradient is None else gradient[part]
            optimizer.step(learning_rate(config, index, number, steps))
