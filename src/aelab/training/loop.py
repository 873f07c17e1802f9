"""The one training loop: a generator of plain records, one per epoch.

Progress, early stopping, pruning and checkpoints belong to the caller that iterates. All random
numbers of an epoch come from generators seeded by the experiment's seed and the epoch, so a loop
that starts from a saved state gives the same weights, to the bit, as one that was never stopped.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aelab.data.binarize import Batches, Protocol, freeze, prepare
from aelab.data.dataset import Data
from aelab.errors import AelabError
from aelab.losses import Batch
from aelab.models import Autoencoder
from aelab.nets.precision import Resolved
from aelab.randomness import stream
from aelab.training.arithmetic import arithmetic
from aelab.training.optimizer import Adam
from aelab.training.records import Epoch, MeanLoss, State
from aelab.training.settings import Training
from aelab.training.state import not_finite, restore, tensors_of
from aelab.training.steps import Layout, Step, gradient_norm, make_step

VALIDATION_BATCH = 500  # large enough to be fast, small enough for the cache
NORM_EVERY = 8  # steps: the norm of the gradient takes 3% of a step
LEAST_MEAN = 1e-3  # of a pixel that is always off: a bias further out is slow to come back


def fit(
    model: Autoencoder,
    data: Data,
    config: Training,
    *,
    seed: int,
    protocol: Protocol = "grey",
    start: State | None = None,
    device: torch.device | str = "cpu",
    precision: Resolved = "float32",
) -> Iterator[Epoch]:
    """Train ``model`` in place and yield a record after every epoch.

    The images stay uint8 in memory, on the device; a batch is converted when it is used.

    Args:
        model: The model, with its initial weights.
        data: Its training and validation images.
        config: Learning rate, schedule, batches and epochs.
        seed: Seed of the batch order and of the noise.
        protocol: How pixels become inputs: grey, dynamic or static.
        start: A state to continue from.
        device: Where to train.
        precision: Of the matrix products of the training steps; validation is in float32.

    Yields:
        The terms of the loss on both splits in nats per image, and the state to continue from.

    Raises:
        TrainingError: At the end of an epoch in which a term, gradient or weight was not finite.
    """
    model.to(device)
    train_u8, validation_u8 = images_on(device, data, protocol, seed)
    if start is None and config.mean_start:
        start_at_mean(model, train_u8)
    train_labels, validation_labels = labels_on(device, data)
    step = make_step(model)
    optimizer = Adam(
        step.parameters, config.weight_decay,
        scaled=step.encoder_weights, lr_scale=config.encoder_rate,
    )  # fmt: skip
    present = Batches(train_u8, protocol)
    if start is not None:
        restore(model, step, optimizer, start)
    for index in range(start.epoch if start else 0, config.epochs):
        with arithmetic(precision, device):
            trained = _train_epoch(
                model, step, optimizer, present, train_labels, config, seed, index
            )
        yield end_epoch(
            model, step, optimizer, trained, validation_u8, validation_labels, seed, protocol
        )


def images_on(
    device: torch.device | str, data: Data, protocol: Protocol, seed: int
) -> tuple[Tensor, Tensor]:
    """The training and validation images on a device, uint8; static pixels are those of a seed."""
    train, validation = (
        freeze(split.images, seed, name) if protocol == "static" else split.images
        for name, split in (("train", data.train), ("validation", data.validation))
    )
    return torch.from_numpy(train).to(device), torch.from_numpy(validation).to(device)


def labels_on(device: torch.device | str, data: Data) -> tuple[Tensor, Tensor]:
    """The training and validation labels on a device."""
    return (
        torch.from_numpy(data.train.labels).to(device),
        torch.from_numpy(data.validation.labels).to(device),
    )


@torch.no_grad()
def start_at_mean(model: Autoencoder, images_u8: Tensor) -> None:
    """Let the decoder's last bias be the logit of the mean image, or of its mean pixel.

    Without it the first steps of a training mostly learn that the border is black.
    """
    biases = [p for name, p in model.decoder.named_parameters() if name.endswith("bias")]
    pixels = images_u8[0].numel()
    if not biases or biases[-1].numel() not in (1, pixels):
        raise AelabError(
            f"The decoder of the {model.title} does not end in a bias for each pixel or channel: "
            "train it without mean_start."
        )
    bias = biases[-1]
    # In parts, as floats, which hold such sums exactly: a tenth of the time of one sum of integers.
    parts = images_u8.flatten(1).split(VALIDATION_BATCH)
    sum_D = torch.stack([part.float().sum(0) for part in parts]).long().sum(0)
    mean_D = sum_D / (255 * len(images_u8))
    mean = mean_D if len(bias) > 1 else mean_D.mean()  # a convolution has a bias a channel
    bias.copy_(torch.logit(mean, eps=LEAST_MEAN))


@dataclass(frozen=True)
class Trained:
    """The training part of an epoch of one model."""

    index: int  # from 0
    losses: MeanLoss
    norm: float
    images: int
    seconds: float


def _train_epoch(
    model: Autoencoder,
    step: Step,
    optimizer: Adam,
    present: Batches,
    labels: Tensor,
    config: Training,
    seed: int,
    index: int,
) -> Trained:
    images, device = len(present.images_u8), present.images_u8.device
    order = torch.randperm(images, generator=stream(seed, "shuffle", index)).to(device)
    generator = stream(seed, "noise", index, device=device)
    batches = order.split(config.batch_size)
    model.train()
    # Sums of the terms of each step, and the norms of some steps; read once, after the epoch. They
    # are allocated before: what a step leaves on the heap keeps the next from reusing freed room.
    sums_ST = torch.empty(0)
    normed = normed_steps(len(batches))
    norms_S = torch.empty(len(normed), device=device)
    began = time.perf_counter()
    for number, batch in enumerate(batches):
        at = index + number / len(batches)
        sums_T = step(Batch(present(batch, generator), labels[batch]), generator, at)
        if not number:
            sums_ST = sums_T.new_empty(len(batches), len(sums_T))
        sums_ST[number] = sums_T
        if number in normed:
            norms_S[normed[number]] = gradient_norm(step)
        optimizer.step(learning_rate(config, index, number, len(batches)))
    sums_ST, norms_S = sums_ST.cpu(), norms_S.cpu()
    # The weights are those of the last step: within a warm-up they rise from step to step.
    losses, norm = summarise(
        sums_ST, norms_S, step.terms, step.term_weights, images, index, optimizer.rate
    )
    return Trained(index, losses, norm, images, time.perf_counter() - began)


def normed_steps(steps: int) -> dict[int, int]:
    """The steps of an epoch at which the norm of the gradient is taken, and their places."""
    chosen = dict.fromkeys([*range(0, steps, NORM_EVERY), steps - 1])
    return {step: place for place, step in enumerate(chosen)}


def learning_rate(config: Training, index: int, number: int, steps: int) -> float:
    """The learning rate of a step of epoch ``index``, both from 0.

    In a warm-up the first step must not have rate 0: it counts as done.
    """
    at = index + number / steps
    return config.learning_rate_at(
        at if at >= config.warmup_epochs else index + (number + 1) / steps
    )


def summarise(
    sums_ST: Tensor,
    norms_S: Tensor,
    names: tuple[str, ...],
    weights: Mapping[str, float],
    images: int,
    index: int,
    rate: float,
) -> tuple[MeanLoss, float]:
    """The mean loss and gradient norm of an epoch from those of its steps.

    Raises TrainingError if one is not finite.
    """
    _require_finite(sums_ST, names, range(len(sums_ST)), index, rate)
    _require_finite(
        norms_S[:, None], ("gradient norm",), [*normed_steps(len(sums_ST))], index, rate
    )
    terms = dict(zip(names, (sums_ST.double().sum(0) / images).tolist(), strict=True))
    return MeanLoss(terms, dict(weights)), float(norms_S.double().mean())


def end_epoch(
    model: Autoencoder,
    step: Layout,
    optimizer: Adam,
    trained: Trained,
    validation_u8: Tensor,
    labels: Tensor,
    seed: int,
    protocol: Protocol,
) -> Epoch:
    """The record of an epoch, with its validation. Raises TrainingError if that is not finite."""
    began, number = time.perf_counter(), trained.index + 1
    with arithmetic("float32"):
        validation = mean_loss(model, validation_u8, labels, seed, protocol, number)
    where = f"after epoch {number}"
    if not math.isfinite(validation.total):
        raise not_finite("The validation total", where, optimizer.rate)
    return Epoch(
        index=number,
        train=trained.losses,
        validation=validation,
        learning_rate=optimizer.rate,
        images_per_second=trained.images / trained.seconds,
        gradient_norm=trained.norm,
        seconds=trained.seconds + time.perf_counter() - began,
        state=State(number, tensors_of(model, step, optimizer, where)),
    )


@torch.inference_mode()
def mean_loss(
    model: Autoencoder,
    images_u8: Tensor,
    labels: Tensor,
    seed: int,
    protocol: Protocol,
    epoch: float,
) -> MeanLoss:
    """The training objective on other images, with the same noise at every call."""
    device = images_u8.device
    exact = torch.float32 if device.type == "mps" else torch.float64  # which MPS does not have
    generator = stream(seed, "validation", device=device)
    model.eval()
    sums: dict[str, Tensor] = {}
    dimensions: dict[str, Tensor] = {}
    weights: Mapping[str, float] = {}
    batches = (part.split(VALIDATION_BATCH) for part in (images_u8, labels))
    for batch_u8, labels_B in zip(*batches, strict=True):
        batch = Batch(prepare(batch_u8, protocol, generator), labels_B)
        loss = model.loss(batch, generator, epoch)
        weights = loss.weights
        for name, term in loss.terms.items():
            sums[name] = sums.get(name, torch.zeros((), device=device)) + term.to(exact).sum()
        for name, part in loss.per_dimension.items():
            dimensions[name] = dimensions.get(name, 0) + part.to(exact).sum(0)
    count = len(images_u8)
    return MeanLoss(
        {name: float(value) / count for name, value in sums.items()},
        dict(weights),
        {name: (value / count).tolist() for name, value in dimensions.items()},
    )


def _require_finite(
    table: Tensor, names: tuple[str, ...], steps: Sequence[int], index: int, rate: float
) -> None:
    bad = (~table.isfinite()).nonzero()
    if len(bad):
        row, column = bad[0].tolist()
        where = f"at step {steps[row] + 1} of epoch {index + 1}"
        raise not_finite(f"The {names[column]}", where, rate)
