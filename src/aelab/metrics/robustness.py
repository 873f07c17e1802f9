"""Reconstruction of the clean image from a damaged one, by kind and strength of the damage.

Every model gets the same damaged images.

Shape legend: B images of a batch, D pixels, H × W the image.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from aelab.losses import Batch
from aelab.metrics.base import Array, metric
from aelab.metrics.context import BaseContext
from aelab.randomness import stream

Size = tuple[int, int]
Damage = Callable[[Tensor, float, Size, torch.Generator], Tensor]


def gaussian(x_BD: Tensor, sigma: float, size: Size, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Gaussian noise of standard deviation σ on every pixel, then clipped to [0, 1]."""
    noise_BD = torch.empty_like(x_BD).normal_(generator=generator)
    return (x_BD + sigma * noise_BD).clamp_(0, 1)


def salt_and_pepper(x_BD: Tensor, share: float, size: Size, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """A share of the pixels set to 0 or 1, either with the same probability."""
    draw_BD = torch.rand(x_BD.shape, generator=generator)
    return torch.where(draw_BD < share, (draw_BD < share / 2).float(), x_BD)


def occlusion(x_BD: Tensor, share: float, size: Size, generator: torch.Generator) -> Tensor:
    """A black rectangle of a share of each side, anywhere within the image."""
    hidden = torch.ones(len(x_BD), 1, 1, dtype=torch.bool)
    for axis, pixels in enumerate(size):
        length = max(1, round(share * pixels))
        start_B = torch.randint(0, pixels - length + 1, (len(x_BD),), generator=generator)
        offset = torch.arange(pixels) - start_B[:, None]
        inside = (offset >= 0) & (offset < length)
        hidden = hidden & inside.unsqueeze(2 - axis)
    return x_BD.masked_fill(hidden.flatten(1), 0)


#: name -> the damage, its title, the symbol of its strength, and three strengths.
DAMAGES: dict[str, tuple[Damage, str, str, tuple[float, ...]]] = {
    "gaussian": (gaussian, "Gaussian noise", "σ", (0.1, 0.2, 0.4)),
    "salt_pepper": (salt_and_pepper, "Salt and pepper", "share", (0.05, 0.1, 0.2)),
    "occlusion": (occlusion, "Occlusion", "side", (0.2, 0.3, 0.4)),
}


@torch.inference_mode()
def error_from_damaged(context: BaseContext, name: str, strength: float) -> Array:
    """Squared error per pixel ``(N,)`` of the reconstruction from a damaged image."""
    damage = DAMAGES[name][0]
    errors = []
    for number, batch in enumerate(context.batches("test")):
        generator = stream(context.seed, "damage", name, str(strength), number)
        damaged_BD = damage(batch.x, strength, context.data.image_size, generator)
        restored_BD = context.reconstruct(Batch(damaged_BD, batch.labels))
        errors.append((restored_BD - batch.x).square().mean(-1))
    return torch.cat(errors).double().numpy()


for _name, (_, _title, _sign, _strengths) in DAMAGES.items():
    for _at in _strengths:
        metric(
            f"mse_{_name}_{_at:g}",
            title=f"MSE from {_title.lower()}, {_sign} {_at:g}",
            better="lower",
            family="reconstruction",
            needs="pixels",
            description="Squared error per pixel against the clean image, from one with "
            f"{_title.lower()}, {_sign} {_at:g}.",
            panel="robustness",
            quantity=f"{_title}, {_sign}",
            at=_at,
        )(lambda context, name=_name, at=_at: error_from_damaged(context, name, at))
