"""One training step, two ways: autograd for every model, and by hand for dense ones.

At batch 64 on a CPU a step of autograd spends a quarter of its time outside the arithmetic: fresh
200 kB temporaries cost page faults, and Adam walks over eight tensors. The hand-derived step writes
into arrays made once and keeps all parameters in one flat vector. Both give the same gradients
(tests/test_steps.py); which one serves is decided by :func:`make_step`.

Shape legend: B images of a batch, D pixels, H hidden units, Z latent dimensions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from aelab.losses import means, weighted_total
from aelab.models import Autoencoder


class Step(Protocol):
    """Leaves the gradient of a batch in the parameters and returns what it measured."""

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms, once a batch has been seen."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """What the optimizer trains; the model's weights are views of it or it itself."""
        ...

    def __call__(self, x_BD: Tensor, generator: torch.Generator, epoch: float) -> Tensor:
        """Means of the terms over the batch, and the gradient's norm, ``(T + 1,)``."""
        ...


def make_step(model: Autoencoder) -> Step:
    """The fastest step that computes the model's own loss."""
    return FusedStep(model) if FusedStep.fits(model) else AutogradStep(model)


@final
class AutogradStep:
    """Any model's loss, differentiated by torch."""

    def __init__(self, model: Autoencoder) -> None:
        self.model = model
        self._terms: tuple[str, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms, known after the first batch."""
        return self._terms

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The model's own parameters."""
        return self.model.named_parameters()

    def __call__(self, x_BD: Tensor, generator: torch.Generator, epoch: float) -> Tensor:
        """Term means and gradient norm ``(T + 1,)``."""
        loss = self.model.loss(x_BD, generator, epoch)
        terms = means(loss.terms)
        self.model.zero_grad(set_to_none=True)
        weighted_total(terms, loss.weights).backward()
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        self._terms = tuple(terms)
        return torch.stack([*terms.values(), norm]).detach()


# In-place activation, and its gradient from its own output: backward(gradient, output, *constants).
_ACTIVATIONS: dict[type[nn.Module], tuple[Any, Any, tuple[float, ...]]] = {
    nn.ReLU: (torch.relu_, torch.ops.aten.threshold_backward.grad_input, (0.0,)),
    nn.Tanh: (torch.tanh_, torch.ops.aten.tanh_backward.grad_input, ()),
}
_ALIGN = 16  # floats: every parameter starts on a cache line of 64 bytes


@dataclass(frozen=True)
class _Buffers:
    """Everything that a batch of one size writes: made once, used in every step."""

    outputs: list[Tensor]  # of each layer: (B, H) …, the head (B, Z or 2Z), …, logits (B, D)
    gradients: list[Tensor]  # of the loss by each of them
    nll_BD: Tensor
    z_BZ: Tensor
    gradient_BZ: Tensor
    noise_BZ: Tensor
    std_BZ: Tensor


@final
class FusedStep:
    """Forward and backward pass of reconstruction + weight · KL of a dense network, by hand.

    The model stays usable: its parameters become views of one flat parameter. The same seed and
    number of threads give the same bits.
    """

    @staticmethod
    def fits(model: Autoencoder) -> bool:
        """Whether the model's loss is the plain one and its network dense, on a CPU."""
        return (
            model.plain_loss
            and model.architecture.likelihood == "bernoulli"
            and next(model.parameters()).device.type == "cpu"
            and all(
                type(layer) is (nn.Linear if place % 2 == 0 else type(stack[1]))
                for stack in (model.encoder, model.decoder)
                for place, layer in enumerate(stack)
            )
            and all(
                type(layer) in _ACTIVATIONS
                for stack in (model.encoder, model.decoder)
                for layer in list(stack)[1::2]
            )
        )

    def __init__(self, model: Autoencoder) -> None:
        self.model = model
        self.gaussian = model.outputs_per_dimension == 2
        stacks = [list(model.encoder), list(model.decoder)]
        self.layers: list[nn.Linear] = [m for s in stacks for m in s if isinstance(m, nn.Linear)]
        self.head = len(stacks[0]) // 2  # index of the layer that gives the code
        self.activations = [
            _ACTIVATIONS[type(stack[place + 1])] if place + 1 < len(stack) else None
            for stack in stacks
            for place in range(0, len(stack), 2)
        ]
        self.flat = self._flatten()
        self.weights = [layer.weight.detach() for layer in self.layers]
        self.biases = [layer.bias.detach() for layer in self.layers]
        self.buffers: dict[int, _Buffers] = {}

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms."""
        return ("reconstruction", "kl") if self.gaussian else ("reconstruction",)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The one flat parameter; its padding stays zero."""
        yield "flat", self.flat

    def _flatten(self) -> nn.Parameter:
        tensors = [part for layer in self.layers for part in (layer.weight, layer.bias)]
        sizes = [-(-tensor.numel() // _ALIGN) * _ALIGN for tensor in tensors]
        flat = nn.Parameter(torch.zeros(sum(sizes)))
        gradient = flat.grad = torch.zeros(sum(sizes))
        self.gradients = []
        for tensor, values, slot in zip(
            tensors, flat.detach().split(sizes), gradient.split(sizes), strict=True
        ):
            view = values[: tensor.numel()].view(tensor.shape)
            tensor.data = view.copy_(tensor.detach())
            self.gradients.append(slot[: tensor.numel()].view(tensor.shape))
        return flat

    def _buffers_for(self, size: int) -> _Buffers:
        if size not in self.buffers:
            widths = [layer.out_features for layer in self.layers]
            latent = self.layers[self.head + 1].in_features
            self.buffers[size] = _Buffers(
                [torch.empty(size, width) for width in widths],
                [torch.empty(size, width) for width in widths],
                torch.empty(size, widths[-1]),
                *(torch.empty(size, latent) for _ in range(4)),
            )
        return self.buffers[size]

    @torch.no_grad()
    def __call__(self, x_BD: Tensor, generator: torch.Generator, epoch: float) -> Tensor:
        """Term means and gradient norm ``(T + 1,)``."""
        b = self._buffers_for(len(x_BD))
        terms = [self._forward(b, x_BD, generator)]
        if self.gaussian:
            mean_BZ, log_variance_BZ = b.outputs[self.head].chunk(2, 1)
            kl_BZ = (mean_BZ.square() + b.std_BZ.square()).sub_(log_variance_BZ).sub_(1)
            terms.append(kl_BZ.sum().mul_(0.5 / len(x_BD)))
        self._backward(b, x_BD, self.model.weights(epoch).get("kl", 1.0))
        assert self.flat.grad is not None
        terms.append(torch.dot(self.flat.grad, self.flat.grad).sqrt_())
        return torch.stack(terms)

    def _forward(self, b: _Buffers, x_BD: Tensor, generator: torch.Generator) -> Tensor:
        hidden_BH = x_BD
        for i, output_BH in enumerate(b.outputs):
            torch.addmm(self.biases[i], hidden_BH, self.weights[i].t(), out=output_BH)
            if activation := self.activations[i]:
                activation[0](output_BH)
            hidden_BH = output_BH
            if i == self.head and self.gaussian:
                mean_BZ, log_variance_BZ = output_BH.chunk(2, 1)
                torch.mul(log_variance_BZ, 0.5, out=b.std_BZ).exp_()
                hidden_BH = b.z_BZ
                b.noise_BZ.normal_(generator=generator)
                torch.addcmul(mean_BZ, b.std_BZ, b.noise_BZ, out=b.z_BZ)
        # −log p(x|z) = softplus(logit) − x · logit, summed over the pixels.
        logits_BD = b.outputs[-1]
        torch.ops.aten.softplus.out(logits_BD, out=b.nll_BD)
        return b.nll_BD.addcmul_(x_BD, logits_BD, value=-1).sum().div_(len(x_BD))

    def _backward(self, b: _Buffers, x_BD: Tensor, kl_weight: float) -> None:
        # The gradient of the Bernoulli term by its logits is sigmoid(logit) − x.
        torch.sigmoid(b.outputs[-1], out=b.gradients[-1]).sub_(x_BD).div_(len(x_BD))
        for i in reversed(range(len(self.layers))):
            gradient_BH = b.gradients[i]
            if activation := self.activations[i]:
                _, backward, constants = activation
                backward(gradient_BH, b.outputs[i], *constants, grad_input=gradient_BH)
            drawn = self.gaussian and i == self.head + 1  # this layer's input is z
            input_BH = x_BD if i == 0 else b.z_BZ if drawn else b.outputs[i - 1]
            torch.mm(gradient_BH.t(), input_BH, out=self.gradients[2 * i])
            torch.sum(gradient_BH, 0, out=self.gradients[2 * i + 1])
            if i > 0:  # nothing asks for the gradient of the images
                below = b.gradient_BZ if drawn else b.gradients[i - 1]
                torch.mm(gradient_BH, self.weights[i], out=below)
            if drawn:
                self._code_backward(b, kl_weight / len(x_BD))

    def _code_backward(self, b: _Buffers, scale: float) -> None:
        """From z to mean and log-variance; the KL adds its own: mean, and (variance − 1) / 2."""
        mean_BZ, _ = b.outputs[self.head].chunk(2, 1)
        mean_gradient_BZ, log_variance_gradient_BZ = b.gradients[self.head].chunk(2, 1)
        torch.add(b.gradient_BZ, mean_BZ, alpha=scale, out=mean_gradient_BZ)
        torch.mul(b.gradient_BZ, b.noise_BZ, out=log_variance_gradient_BZ).mul_(b.std_BZ)
        log_variance_gradient_BZ.add_(b.std_BZ.square().sub_(1), alpha=scale).mul_(0.5)
