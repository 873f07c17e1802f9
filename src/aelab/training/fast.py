"""The training step of a dense model with its backward pass derived by hand.

At batch 64 on a CPU a step of autograd spends a third of its time outside the matrix products:
fresh 200 kB temporaries cost page faults, one function runs after another over the same pixels,
and Adam walks over eight tensors. Here every array and every view is made once, and the
parameters lie in two flat vectors: the encoder's weights, and the rest. docs/performance.md has the
figures.

Shape legend: B images of a batch, D pixels, H hidden units, Z latent dimensions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, final

import torch
from torch import Tensor, nn

from aelab.losses import Batch
from aelab.models import Autoencoder
from aelab.nets.matmul import Dense, product


@dataclass(frozen=True)
class _Activation:
    """``apply(before, out=after)``, and ``backward(gradient, kept, *constants, grad_input=...)``.

    What is kept is the output, and then the activation is done in place, or else the input.
    """

    apply: Any
    backward: Any
    constants: tuple[float, ...] = ()
    keeps_input: bool = False


_ATEN = torch.ops.aten
_ACTIVATIONS: dict[type[nn.Module], _Activation] = {
    nn.ReLU: _Activation(_ATEN.relu.out, _ATEN.threshold_backward.grad_input, (0.0,)),
    nn.Tanh: _Activation(_ATEN.tanh.out, _ATEN.tanh_backward.grad_input),
    nn.GELU: _Activation(_ATEN.gelu.out, _ATEN.gelu_backward.grad_input, keeps_input=True),
}
_ALIGN = 16  # floats: every parameter starts on a cache line of 64 bytes


class _Buffers:
    """Everything that a batch of one size writes, and the views of it that a step needs."""

    def __init__(
        self, size: int, widths: list[int], apart: list[bool], head: int, latent: int
    ) -> None:
        def empty(width: int) -> Tensor:
            return torch.empty(size, width)

        self.outputs = [empty(width) for width in widths]  # of every layer: hidden, code, logits
        # What an activation is applied to: its output's own place, or one apart.
        self.before = [
            empty(output.shape[1]) if own else output
            for output, own in zip(self.outputs, apart, strict=True)
        ]
        self.gradients = [empty(width) for width in widths]  # of the loss by each of them
        self.transposed = [gradient.t() for gradient in self.gradients]
        self.logits_BD = self.outputs[-1]
        self.scratch_BD = empty(widths[-1])
        # What the decoder reads and the gradient by it; of a Gaussian code, its draw.
        self.z_BZ, self.z_gradient_BZ = self.outputs[head], self.gradients[head]
        if widths[head] == 2 * latent:
            self.mean_BZ, self.log_variance_BZ = self.outputs[head].chunk(2, 1)
            self.mean_gradient_BZ, self.log_variance_gradient_BZ = self.gradients[head].chunk(2, 1)
            self.z_BZ, self.z_gradient_BZ = empty(latent), empty(latent)
            self.noise_BZ, self.std_BZ, self.variance_BZ, self.kl_BZ = (
                empty(latent) for _ in range(4)
            )
        # What each layer but the first reads, and where the gradient by that goes.
        self.inputs = [*self.outputs[:head], self.z_BZ, *self.outputs[head + 1 : -1]]
        self.input_gradients = [
            *self.gradients[:head],
            self.z_gradient_BZ,
            *self.gradients[head + 1 : -1],
        ]


def _is_dense(network: nn.Module) -> bool:
    """Whether dense layers and one kind of activation alternate."""
    layers = list(network) if isinstance(network, nn.Sequential) else []
    activations = {type(layer) for layer in layers[1::2]}
    return (
        len(layers) % 2 == 1
        and all(type(layer) is Dense for layer in layers[::2])
        and len(activations) <= 1
        and activations <= _ACTIVATIONS.keys()
    )


@final
class FusedStep:
    """Forward and backward pass of reconstruction + weight · KL of a dense network, by hand.

    The model stays usable: its parameters become views of two flat ones. The same seed and
    number of threads give the same bits.
    """

    @staticmethod
    def fits(model: Autoencoder) -> bool:
        """Whether the model's loss is the plain one and its network dense, on a CPU."""
        return (
            model.plain_loss
            and "plain_loss" in vars(type(model))  # a subclass may compute another loss
            and model.architecture.likelihood == "bernoulli"
            and next(model.parameters()).device.type == "cpu"
            and all(_is_dense(network) for network in (model.encoder, model.decoder))
        )

    def __init__(self, model: Autoencoder) -> None:
        self.model = model
        self.gaussian = "likelihood" in model.capabilities
        stacks = [list(model.encoder.children()), list(model.decoder.children())]
        self.layers: list[Dense] = [m for s in stacks for m in s if isinstance(m, Dense)]
        self.head = len(stacks[0]) // 2  # index of the layer that gives the code
        self.activations = [
            _ACTIVATIONS[type(stack[place + 1])] if place + 1 < len(stack) else None
            for stack in stacks
            for place in range(0, len(stack), 2)
        ]
        self.terms: tuple[str, ...] = (
            ("reconstruction", "kl") if self.gaussian else ("reconstruction",)
        )
        self.parameters: dict[str, nn.Parameter] = {}
        self.encoder_weights = ["encoder weights"]
        self.layouts: dict[str, dict[str, tuple[slice, torch.Size]]] = {}
        self._flatten()
        self.weights = [layer.weight.detach() for layer in self.layers]
        self.transposed = [weight.t() for weight in self.weights]
        self.biases = [layer.bias.detach() for layer in self.layers]
        self.buffers: dict[int, _Buffers] = {}
        self.term_weights: Mapping[str, float] = {}

    def parts(self, name: str, values: Tensor) -> dict[str, Tensor]:
        """Each parameter's stretch in its own shape; the padding is nobody's."""
        return {
            own: values[slot][: math.prod(shape)].view(shape)
            for own, (slot, shape) in self.layouts[name].items()
        }

    def _flatten(self) -> None:
        """Make the model's parameters views of two flat ones, whose padding stays zero."""
        names: dict[Tensor, str] = {p: name for name, p in self.model.named_parameters()}
        tensors = [part for layer in self.layers for part in (layer.weight, layer.bias)]
        scaled = tensors[: 2 * (self.head + 1) : 2]
        of_gradients: dict[Tensor, Tensor] = {}
        for group in self.encoder_weights[0], "rest":
            members = [t for t in tensors if any(t is s for s in scaled) == (group != "rest")]
            sizes = [-(-tensor.numel() // _ALIGN) * _ALIGN for tensor in members]
            starts = accumulate(sizes, initial=0)
            self.layouts[group] = {
                names[tensor]: (slice(start, start + size), tensor.shape)
                for tensor, start, size in zip(members, starts, sizes, strict=False)
            }
            flat = self.parameters[group] = nn.Parameter(torch.zeros(sum(sizes)))
            flat.grad = torch.zeros(sum(sizes))
            values, gradients = (self.parts(group, t) for t in (flat.detach(), flat.grad))
            for tensor in members:
                tensor.data = values[names[tensor]].copy_(tensor.detach())
                of_gradients[tensor] = gradients[names[tensor]]
        self.gradients = [of_gradients[tensor] for tensor in tensors]

    def _buffers_for(self, size: int) -> _Buffers:
        if size not in self.buffers:
            widths = [layer.out_features for layer in self.layers]
            latent = self.layers[self.head + 1].in_features
            apart = [a is not None and a.keeps_input for a in self.activations]
            self.buffers[size] = _Buffers(size, widths, apart, self.head, latent)
        return self.buffers[size]

    @torch.no_grad()
    def __call__(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:
        """Sums of the terms over the batch ``(T,)``."""
        x_BD = batch.x
        b = self._buffers_for(len(x_BD))
        self._forward(b, x_BD, generator)
        sums = [self._reconstruction(b, x_BD)]
        if self.gaussian:
            sums.append(self._kl(b))
        self.term_weights = self.model.weights(epoch)
        self._backward(b, x_BD)
        return torch.stack(sums)

    def _forward(self, b: _Buffers, x_BD: Tensor, generator: torch.Generator) -> None:
        for i, (input_BH, before_BH) in enumerate(zip([x_BD, *b.inputs], b.before, strict=True)):
            product(input_BH, self.transposed[i], before_BH, self.biases[i])
            if activation := self.activations[i]:
                activation.apply(before_BH, out=b.outputs[i])
            if self.gaussian and i == self.head:
                torch.mul(b.log_variance_BZ, 0.5, out=b.std_BZ).exp_()
                b.noise_BZ.normal_(generator=generator)
                torch.addcmul(b.mean_BZ, b.std_BZ, b.noise_BZ, out=b.z_BZ)

    def _reconstruction(self, b: _Buffers, x_BD: Tensor) -> Tensor:
        """Sum of −log p(x|z) = Σ softplus(l) − x l; leaves σ(l) where the logits' gradient goes."""
        torch.sigmoid(b.logits_BD, out=b.gradients[-1])
        torch.ops.aten.softplus.out(b.logits_BD, out=b.scratch_BD)
        return b.scratch_BD.addcmul_(b.logits_BD, x_BD, value=-1).sum()

    def _kl(self, b: _Buffers) -> Tensor:
        """Sum of KL(q(z|x) ‖ N(0, I)) = ½ Σ (μ² + σ² − log σ² − 1)."""
        torch.mul(b.std_BZ, b.std_BZ, out=b.variance_BZ)
        torch.sub(b.variance_BZ, b.log_variance_BZ, out=b.kl_BZ)
        total = b.kl_BZ.addcmul_(b.mean_BZ, b.mean_BZ).sum()
        return total.sub_(b.kl_BZ.numel()).mul_(0.5)

    def _backward(self, b: _Buffers, x_BD: Tensor) -> None:
        # The gradient of the Bernoulli term by its logits is σ(logit) − x; the loss is a mean.
        b.gradients[-1].sub_(x_BD).mul_(self.term_weights.get("reconstruction", 1.0) / len(x_BD))
        for i in reversed(range(len(self.layers))):
            gradient_BH = b.gradients[i]
            if activation := self.activations[i]:
                kept_BH = b.before[i] if activation.keeps_input else b.outputs[i]
                activation.backward(
                    gradient_BH, kept_BH, *activation.constants, grad_input=gradient_BH
                )
            input_BH = b.inputs[i - 1] if i else x_BD
            product(b.transposed[i], input_BH, self.gradients[2 * i])
            torch.sum(gradient_BH, 0, out=self.gradients[2 * i + 1])
            if i:  # nothing asks for the gradient of the images
                product(gradient_BH, self.weights[i], b.input_gradients[i - 1])
            if self.gaussian and i == self.head + 1:
                self._code_backward(b, self.term_weights.get("kl", 1.0) / len(x_BD))

    def _code_backward(self, b: _Buffers, scale: float) -> None:
        """From z to mean and log-variance; the KL adds its own: mean, and (variance − 1) / 2."""
        torch.add(b.z_gradient_BZ, b.mean_BZ, alpha=scale, out=b.mean_gradient_BZ)
        torch.mul(b.z_gradient_BZ, b.noise_BZ, out=b.log_variance_gradient_BZ).mul_(b.std_BZ)
        b.log_variance_gradient_BZ.add_(b.variance_BZ.sub_(1), alpha=scale).mul_(0.5)
