"""Many models of one shape trained at once, their weights stacked on a leading axis.

A step of a small network should leave a GPU waiting for the launch of its kernels. Here
``torch.func.vmap`` computes the losses of all models in one pass. Every model has the batch order,
noise and learning rate of its own training in loop.py, and no gradient crosses from one to
another: a state of either training continues in the other, to rounding.

Shape legend: M models, N images, B images of a batch, D pixels, S steps, T terms.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from aelab.data.binarize import Batches, Protocol
from aelab.data.dataset import Data
from aelab.errors import AelabError, TrainingError
from aelab.losses import Batch
from aelab.models import Autoencoder, Objective
from aelab.nets.precision import Resolved
from aelab.randomness import stream
from aelab.training.arithmetic import arithmetic
from aelab.training.loop import (
    Trained,
    end_epoch,
    images_on,
    labels_on,
    normed_steps,
    start_at_mean,
    summarise,
)
from aelab.training.records import Epoch, State
from aelab.training.settings import Training
from aelab.training.stacked_step import StackedStep
from aelab.training.state import restore


@dataclass(frozen=True)
class StackMember:
    """One of the models that train together: what :func:`aelab.fit` takes for it."""

    model: Autoencoder
    config: Training
    seed: int
    start: State | None = None


def shape_of(model: type[Autoencoder], objective: Objective, config: Training) -> tuple[Any, ...]:
    """What models must have in common to train together, beside their networks and images.

    The settings of a plain loss are the weights of its terms, in which they may differ.
    """
    plain = model.plain_loss and "plain_loss" in vars(model)
    settings = objective.model_dump_json(include=set(model.Config.model_fields))
    return model, "" if plain else settings, config.batch_size, config.epochs


def fit_stacked(
    members: Sequence[StackMember],
    data: Data,
    *,
    protocol: Protocol = "grey",
    device: torch.device | str = "cpu",
    precision: Resolved = "float32",
) -> Iterator[list[Epoch | TrainingError]]:
    """Train models of one shape at once, in place, and yield their records after every epoch.

    A model that fails does not stop the others.

    Args:
        members: The models, with their settings, seeds and the states to continue from.
        data: The training and validation images.
        protocol: How pixels become inputs: grey, dynamic or static.
        device: Where to train.
        precision: Of the matrix products of the training steps.

    Yields:
        For each model the record of :func:`aelab.fit`, whose seconds are its share of the time; or
        why it failed, from that epoch on.

    Raises:
        AelabError: If the models differ in more than seed, weights of terms and learning rates.
        RuntimeError: If ``vmap`` cannot compute their loss.
    """
    _require_one_shape(members)
    for member in members:
        member.model.to(device)
    # Static pixels follow from the seed; else all models read the same images.
    images = [
        images_on(device, data, protocol, member.seed)
        for member in (members if protocol == "static" else members[:1])
    ]
    for place, member in enumerate(members):
        if member.start is None and member.config.mean_start:
            start_at_mean(member.model, images[place % len(images)][0])
    labels, validation_labels = labels_on(device, data)
    step = StackedStep([member.model for member in members], [member.config for member in members])
    for member, own in zip(members, step.rows, strict=True):
        if member.start is not None:
            restore(member.model, *own, member.start)
    present = _Batches([train_u8 for train_u8, _ in images], labels, protocol)
    failures: dict[int, TrainingError] = {}
    start = members[0].start
    for index in range(start.epoch if start else 0, members[0].config.epochs):
        with arithmetic(precision, device):
            sums_MST, norms_MS, seconds = _train_epoch(step, present, members, index)
        records: list[Epoch | TrainingError] = []
        for place, member in enumerate(members):
            try:
                if place in failures:
                    raise failures[place]
                row, optimizer = step.rows[place]
                losses, norm = summarise(
                    sums_MST[place], norms_MS[place], step.terms, step.term_weights[place],
                    len(labels), index, optimizer.rate,
                )  # fmt: skip
                trained = Trained(index, losses, norm, len(labels), seconds / len(members))
                records.append(
                    end_epoch(
                        member.model, row, optimizer, trained, images[place % len(images)][1],
                        validation_labels, member.seed, protocol,
                    )
                )  # fmt: skip
            except TrainingError as error:
                failures[place] = error
                records.append(error)
        yield records


def _train_epoch(
    step: StackedStep, present: "_Batches", members: Sequence[StackMember], index: int
) -> tuple[Tensor, Tensor, float]:
    """Train one epoch; sums of the terms ``(M, S, T)``, gradient norms, and seconds."""
    device = present.labels.device
    seeds = [member.seed for member in members]
    orders = [
        torch.randperm(len(present.labels), generator=stream(seed, "shuffle", index))
        for seed in seeds
    ]
    generators = [stream(seed, "noise", index, device=device) for seed in seeds]
    batches = torch.stack(orders).to(device).split(members[0].config.batch_size, dim=1)
    steps = len(batches)
    normed = normed_steps(steps)
    sums: list[Tensor] = []
    norms: list[Tensor] = []
    began = time.perf_counter()
    for number, index_MB in enumerate(batches):
        batch = present(index_MB, generators)
        sums.append(step.gradients(batch, generators, index + number / steps))
        if number in normed:
            norms.append(step.gradient_norms())
        step.update(index, number, steps)
    sums_MST, norms_MS = torch.stack(sums, dim=1).cpu(), torch.stack(norms, dim=1).cpu()
    return sums_MST, norms_MS, time.perf_counter() - began


def _require_one_shape(members: Sequence[StackMember]) -> None:
    shapes = {
        (
            shape_of(type(member.model), member.model.config, member.config),
            member.model.architecture.model_dump_json(),
            member.start.epoch if member.start else 0,
        )
        for member in members
    }
    if len(shapes) != 1:
        raise AelabError(
            "Models train together if they have one network, loss, batch size and number of "
            "epochs, and continue from one epoch: train these one by one."
        )


@final
class _Batches:
    """Batches of every model's own images, or of those that all share, by the protocol."""

    def __init__(self, images_u8: Sequence[Tensor], labels: Tensor, protocol: Protocol) -> None:
        self.grey = Batches(torch.cat(list(images_u8)), "grey")
        self.own = len(images_u8) > 1
        self.labels = labels
        self.protocol = protocol

    def __call__(self, index_MB: Tensor, generators: Sequence[torch.Generator]) -> Batch:
        """The images ``(M, B, D)`` at the models' own indices, with their labels."""
        models = torch.arange(len(index_MB), device=index_MB.device)[:, None]
        places_MB = index_MB + models * len(self.labels) if self.own else index_MB
        x_MBD = self.grey(places_MB.flatten(), generators[0]).view(*index_MB.shape, -1)
        if self.protocol == "dynamic":
            rows = zip(x_MBD, generators, strict=True)
            x_MBD = torch.stack([torch.bernoulli(x_BD, generator=own) for x_BD, own in rows])
        return Batch(x_MBD, self.labels[index_MB])
