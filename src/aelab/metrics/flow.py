"""A normalising flow on the codes, the most flexible sampler.

Masked autoregressive flow, Papamakarios, Pavlakou and Murray (2017), from zuko (extra ``flow``).

Shape legend: N codes, B of a batch, Z latent dimensions.
"""

import copy
from typing import Any

import torch
from torch import Tensor

from aelab.errors import not_installed
from aelab.metrics.base import Array
from aelab.randomness import derive

TRANSFORMS, HIDDEN = 3, (128, 128)
EPOCHS, LEAST_STEPS, BATCH, RATE = 20, 1_000, 512, 2e-3


def draws(train_NZ: Array, validation_NZ: Array, count: int, seed: int) -> Array:
    """Codes ``(count, Z)`` from a flow fitted to the training codes.

    The epoch with the best likelihood of the validation codes is kept. Raises AelabError without
    zuko.
    """
    train, validation = (torch.from_numpy(codes).float() for codes in (train_NZ, validation_NZ))
    mean = train.mean(0)
    # The least spread follows the scale of the codes: an AE may not use a dimension.
    spread = train.std(0).clamp_min(1e-2 * float(train.std(0).square().mean().sqrt()) + 1e-6)
    with torch.random.fork_rng(devices=[]):  # zuko draws from torch's global generator
        torch.manual_seed(derive(seed, "flow"))
        flow = fit((train - mean) / spread, (validation - mean) / spread)
        with torch.no_grad():
            codes: Array = (flow().sample((count,)) * spread + mean).numpy()
    return codes


def fit(train_NZ: Tensor, validation_NZ: Tensor) -> Any:
    """The flow of the epoch with the best likelihood of the validation codes."""
    try:
        import zuko
    except ImportError:
        raise not_installed("A flow on the codes", "zuko", "flow") from None
    flow = zuko.flows.MAF(train_NZ.shape[1], transforms=TRANSFORMS, hidden_features=HIDDEN)
    epochs = max(EPOCHS, LEAST_STEPS // -(-len(train_NZ) // BATCH))
    optimizer = torch.optim.Adam(flow.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    best, kept = float("inf"), copy.deepcopy(flow.state_dict())
    for _ in range(epochs):
        for batch_BZ in train_NZ[torch.randperm(len(train_NZ))].split(BATCH):
            optimizer.zero_grad()
            (-flow().log_prob(batch_BZ).mean()).backward()
            optimizer.step()
        schedule.step()
        with torch.no_grad():
            nll = float(-flow().log_prob(validation_NZ).mean())
        if nll < best:
            best, kept = nll, copy.deepcopy(flow.state_dict())
    flow.load_state_dict(kept)
    return flow
