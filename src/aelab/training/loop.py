"""The one training loop: a generator of plain records, one per epoch.

Progress, early stopping, pruning and checkpoints belong to the caller that iterates. All random
numbers of an epoch come from generators seeded by the experiment's seed and the epoch, so a loop
that starts from a saved state gives the same weights, to the bit, as one that was never stopped.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence

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
from aelab.training.steps import Step, gradient_norm, make_step

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
    train_u8, validation_u8 = (
        torch.from_numpy(
            freeze(split.images, seed, name) if protocol == "static" else split.images
        ).to(device)
        for name, split in (("train", data.train), ("validation", data.validation))
    )
    if start is None and config.mean_start:
        _start_at_mean(model, train_u8)
    train_labels, validation_labels = (
        torch.from_numpy(split.labels).to(device) for split in (data.train, data.validation)
    )
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
            train, norm, seconds = _train_epoch(
                model, step, optimizer, present, train_labels, config, seed, index
            )
        trained = time.perf_counter()
        with arithmetic("float32"):
            validation = mean_loss(
                model, validation_u8, validation_labels, seed, protocol, index + 1
            )
        where = f"after epoch {index + 1}"
        if not math.isfinite(validation.total):
            raise not_finite("The validation total", where, optimizer.rate)
        yield Epoch(
            index=index + 1,
            train=train,
            validation=validation,
            learning_rate=optimizer.rate,
            images_per_second=len(train_u8) / seconds,
            gradient_norm=norm,
            seconds=seconds + time.perf_counter() - trained,
            state=State(index + 1, tensors_of(model, step, optimizer, where)),
        )


@torch.no_grad()
def _start_at_mean(model: Autoencoder, images_u8: Tensor) -> None:
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


def _train_epoch(
    model: Autoencoder,
    step: Step,
    optimizer: Adam,
    present: Batches,
    labels: Tensor,
    config: Training,
    seed: int,
    index: int,
) -> tuple[MeanLoss, float, float]:
    """Train one epoch; its terms, mean gradient norm and seconds."""
    images, device = len(present.images_u8), present.images_u8.device
    order = torch.randperm(images, generator=stream(seed, "shuffle", index)).to(device)
    generator = stream(seed, "noise", index, device=device)
    batches = order.split(config.batch_size)
    model.train()
    # Sums of the terms of each step, and the norms of some steps; read once, after the epoch. They
    # are allocated before: what a step leaves on the heap keeps the next from reusing freed room.
    sums_ST = torch.empty(0)
    norms_S = torch.empty(-(-len(batches) // NORM_EVERY) + 1, device=device)
    normed: list[int] = []  # the steps whose norms they are
    began = time.perf_counter()
    for number, batch in enumerate(batches):
        at = index + number / len(batches)
        sums_T = step(Batch(present(batch, generator), labels[batch]), generator, at)
        if not number:
            sums_ST = sums_T.new_empty(len(batches), len(sums_T))
        sums_ST[number] = sums_T
        if number % NORM_EVERY == 0 or number + 1 == len(batches):
            norms_S[len(normed)] = gradient_norm(step)
            normed.append(number)
        # In a warm-up the first step must not have rate 0: it counts as done.
        ahead = at if at >= config.warmup_epochs else index + (number + 1) / len(batches)
        optimizer.step(config.learning_rate_at(ahead))
    sums_ST, norms_S = sums_ST.cpu(), norms_S[: len(normed)].cpu()
    _require_finite(sums_ST, step.terms, range(len(batches)), index, optimizer.rate)
    _require_finite(norms_S[:, None], ("gradient norm",), normed, index, optimizer.rate)
    seconds = time.perf_counter() - began
    terms = dict(zip(step.terms, (sums_ST.double().sum(0) / images).tolist(), strict=True))
    # The weights are those of the last step: within a warm-up they rise from step to step.
    losses = MeanLoss(terms, dict(step.term_weights))
    return losses, float(norms_S.double().mean()), seconds


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
