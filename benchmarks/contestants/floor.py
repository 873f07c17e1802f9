"""A lower bound for these libraries: the large products, and Adam's memory traffic."""

from collections.abc import Callable
from functools import partial
from typing import final

import torch
from torch import Tensor

from aelab.nets.matmul import product
from benchmarks.contestants import Images, Setting

Multiply = Callable[[Tensor, Tensor, Tensor], None]


def by_torch(left_MK: Tensor, right_KN: Tensor, out_MN: Tensor) -> None:
    """The product by torch's own call, which on x86 goes to MKL."""
    torch.mm(left_MK, right_KN, out=out_MN)


@final
class Floor:
    """The five large matrix products of a step, one Adam step over as many numbers, or both."""

    def __init__(
        self,
        images: Images,
        setting: Setting,
        *,
        multiply: Multiply | None = product,
        adam: bool = True,
    ) -> None:
        self.multiply, self.adam = multiply, adam
        b, h, d = setting.batch_size, setting.hidden, setting.latent_dim
        self.steps = -(-len(images) // b)
        self.x, self.hidden, self.logits = torch.rand(b, 784), torch.rand(b, h), torch.rand(b, 784)
        self.first, self.last = torch.rand(h, 784), torch.rand(784, h)
        self.first_gradient, self.last_gradient = torch.rand(h, 784), torch.rand(784, h)
        count = 2 * 784 * h + h + 784 + 2 * d * h + 2 * d + d * h + h
        self.flat, self.gradient, self.mean, self.square = (torch.rand(count) for _ in range(4))
        self.step = torch.ones(())

    @torch.no_grad()
    def epoch(self) -> None:
        """As many steps as an epoch has."""
        for _ in range(self.steps):
            if multiply := self.multiply:
                multiply(self.x, self.first.t(), self.hidden)
                multiply(self.hidden, self.last.t(), self.logits)
                multiply(self.logits.t(), self.hidden, self.last_gradient)
                multiply(self.logits, self.last, self.hidden)
                multiply(self.hidden.t(), self.x, self.first_gradient)
            if self.adam:
                torch._fused_adam_(
                    [self.flat], [self.gradient], [self.mean], [self.square], [], [self.step],
                    lr=1e-4, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8, amsgrad=False,
                    maximize=False,
                )  # fmt: skip

    def weights(self) -> None:
        """Nothing was learnt."""


start = Floor
products = partial(Floor, adam=False)
torch_mm = partial(Floor, adam=False, multiply=by_torch)
adam = partial(Floor, multiply=None)
