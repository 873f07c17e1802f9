"""Training into run folders: a model, or many of one shape at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from torch import Tensor

from aelab.data.dataset import Data
from aelab.data.sources import Source
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.lab.data import load, require_same_data
from aelab.models import Autoencoder
from aelab.runs.models import ModelFolder
from aelab.runs.pool import Send
from aelab.runs.run import Run
from aelab.training.checkpoints import (
    before_sigterm,
    best_epoch,
    ended,
    newest_state,
    write_final,
    write_state,
    write_weights,
)
from aelab.training.loop import fit
from aelab.training.records import Epoch
from aelab.training.stacked import StackMember, fit_stacked
from aelab.training.state import fits, load_weights


class _Recorder:
    """Writes the history, checkpoints and weights of a training, and finds where it continues."""

    def __init__(
        self, send: Send, experiment: Experiment, key: str, model: Autoencoder, folder: ModelFolder
    ) -> None:
        self.experiment, self.model, self.folder = experiment, model, folder
        self.config = experiment.training(experiment.by_key[key][0])
        self.state, self.rows, warnings = newest_state(folder, lambda state: fits(model, state))
        for text in warnings:
            send({"warning": text})
        for number, name in folder.checkpoints().items():
            if self.state is None or number > self.state.epoch:  # damaged, or of another training
                folder.remove(name)

    @property
    def over(self) -> bool:
        return ended(self.rows, self.config)

    def add(self, epoch: Epoch) -> None:
        self.rows.append(epoch.row())
        if self.config.early_stopping and best_epoch(self.rows) == len(self.rows):
            write_weights(self.folder, "best.safetensors", epoch.state.tensors)
        self.folder.write_history(self.rows)
        self.state = epoch.state
        if self.over or epoch.index % self.experiment.checkpoint_epochs == 0:
            write_state(self.folder, self.state, self.rows)

    def save(self) -> None:
        """Write the state of the last epoch, if it has not been."""
        if self.state and self.state.epoch not in self.folder.checkpoints():
            write_state(self.folder, self.state, self.rows[: self.state.epoch])

    def finish(self) -> Mapping[str, Tensor]:
        """Write the final weights, and return them."""
        assert self.state is not None
        return write_final(self.folder, self.state.tensors, self.config)


def train(
    send: Send,
    experiment: Experiment,
    key: str,
    model: Autoencoder,
    data: Data,
    folder: ModelFolder,
) -> None:
    """Train to the end, from the last checkpoint if there is one, and load the final weights."""
    recorder = _Recorder(send, experiment, key, model, folder)
    if recorder.state:
        send({"resumed": recorder.state.epoch})
    epochs = fit(
        model, data, recorder.config, seed=experiment.seed, start=recorder.state,
        **experiment.conditions(),
    )  # fmt: skip
    with before_sigterm(recorder.save):
        for epoch in () if recorder.over else epochs:
            recorder.add(epoch)
            send({"epoch": epoch.index, "epochs": recorder.config.epochs, "row": recorder.rows[-1]})
            if recorder.over:
                break
    load_weights(model, recorder.finish())


def train_stacked(send: Send, models: Sequence[tuple[Path, str]], source: Source) -> None:
    """The job that trains models of one shape at once: those that continue from the same epoch.

    It leaves the others, and those that fail, to the job of each model.

    Args:
        send: Called with what happens.
        models: Their runs and keys.
        source: Where the data are.
    """
    data: Data | None = None
    stacks: dict[int, list[_Recorder]] = defaultdict(list)
    for path, key in models:
        run = Run(path)
        experiment = experiment_of(run)
        data = data or load(source, experiment)
        require_same_data(data, run.manifest()["data"]["sha256"], path)
        model = experiment.build(key, data.image_size)
        recorder = _Recorder(send, experiment, key, model, run.model(key))
        if not recorder.over:
            stacks[recorder.state.epoch if recorder.state else 0].append(recorder)
    for epoch, stack in stacks.items():
        if data is None or len(stack) < 2:
            continue
        if epoch:
            send({"resumed": epoch})
        try:
            _train_stack(send, stack, data)
        except RuntimeError as error:  # a loss that vmap cannot compute, too little memory
            send({"warning": f"The models train one by one: {str(error).partition(chr(10))[0]}"})


def _train_stack(send: Send, stack: Sequence[_Recorder], data: Data) -> None:
    experiment = stack[0].experiment
    members = [StackMember(r.model, r.config, r.experiment.seed, r.state) for r in stack]

    def save() -> None:
        for recorder in stack:
            recorder.save()

    epochs = fit_stacked(members, data, **experiment.conditions())
    with before_sigterm(save):
        for records in epochs:
            rows = []
            for recorder, record in zip(stack, records, strict=True):
                if isinstance(record, Epoch) and not recorder.over:
                    recorder.add(record)
                    rows.append(recorder.rows[-1])
                    if recorder.over:
                        recorder.finish()
            if not rows:
                break
            means = {
                split: {"total": fmean(row[split]["total"] for row in rows)}
                for split in ("train", "validation")
            }
            last = stack[0].config.epochs
            send({"epoch": rows[0]["epoch"], "epochs": last, "row": rows[0] | means})
