"""What is done for a run in processes of their own: training, measuring, checking one model."""

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from aelab.config.device import find_device, measuring_device
from aelab.data.cache import require_cache
from aelab.data.dataset import Data
from aelab.data.idx import shown
from aelab.data.sources import Source, resolve_data
from aelab.errors import DataError, RunError
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.metrics import (
    Context,
    Evaluation,
    ais_check,
    evaluate_baseline,
    health,
    obtain_classifier,
    require_components,
)
from aelab.metrics import evaluate as evaluate_model
from aelab.models import MODELS, Autoencoder
from aelab.runs.models import ModelFolder
from aelab.runs.pool import Job, Send
from aelab.runs.run import Run
from aelab.runs.search import SearchFolder
from aelab.runs.study import Study
from aelab.training.checkpoints import (
    before_sigterm,
    best_epoch,
    ended,
    keep_best,
    keep_chosen,
    newest_state,
    write_state,
)
from aelab.training.loop import fit
from aelab.training.state import fits, load_weights

CLASSIFIER = "classifier"  # the name of the job that makes it


def load(source: Source, experiment: Experiment) -> Data:
    """The data of an experiment, from where they are."""
    return source.load(
        seed=experiment.split_seed,
        validation=experiment.validation,
        train_size=experiment.train_size,
    )


def load_run_data(run: Run, data: str | None = None) -> Data:
    """The data of a run, verified against what it was trained on; see :func:`find_data`."""
    return find_data(run, data)[1]


def find_data(folder: Run | Study | SearchFolder, data: str | None = None) -> tuple[Source, Data]:
    """Where the data of a run, study or search are, and the data.

    Args:
        folder: The run, study or search.
        data: Where its data are now (a folder, ``mnist`` or ``bundled``), if they have moved.

    Raises:
        DataError: If they cannot be read, or their checksums are not those in the manifest.
    """
    source = Source(**folder.manifest()["source"])
    if data is not None:
        source = resolve_data(data)
    elif source.files and not all(map(os.path.exists, source.files.values())):
        raise DataError(
            f"The data of {folder.path} are no longer in "
            f"{shown(Path(next(iter(source.files.values()))).parent)}: name the folder that they "
            "have moved to by --data."
        )
    found = load(source, experiment_of(folder))
    same_data(folder, found)
    return source, found


def require_possible(experiment: Experiment, data: Mapping[str, Any]) -> None:
    """Raise AelabError if a run of these settings cannot be evaluated here, on these data.

    ``data`` are the facts of :func:`describe`.
    """
    require_cache()
    experiment.require_packages()
    pixels = math.prod(data["image_size"])
    for d in experiment.latent_dim if "pca" in experiment.baselines else ():
        require_components(d, data["counts"]["train"], pixels)


def load_model(run: Run, key: str) -> Autoencoder:
    """The trained model called ``key``, ready to encode and decode."""
    experiment = experiment_of(run)
    if key not in experiment.by_key:
        raise RunError(f"{run.path} has no model {key}: it has {', '.join(experiment.by_key)}.")
    height, width = run.manifest()["data"]["image_size"]
    weights = run.model(key).tensors("weights.safetensors")
    with torch.device("meta"):  # takes no memory, whatever size the settings name
        named = experiment.build(key, (height, width)).state_dict()
    shapes = {f"model/{name}": value.shape for name, value in named.items()}
    if shapes != {name: value.shape for name, value in weights.items()}:
        raise RunError(f"The weights of {key} in {run.path} are not of the network it names.")
    model = experiment.build(key, (height, width))
    load_weights(model, weights)
    return model.eval()


def describe(data: Data) -> dict[str, Any]:
    """The facts about the data that a run carries."""
    return {
        "name": data.name,
        "source": data.source,
        "why": data.why,
        "split": data.split,
        "sha256": data.sha256,
        "label_names": list(data.label_names),
        "image_size": list(data.image_size),
        "counts": {name: len(getattr(data, name)) for name in ("train", "validation", "test")},
    }


def same_data(folder: Run | Study | SearchFolder, data: Data) -> None:
    """Raise DataError if the folder was made with other data."""
    if folder.manifest()["data"]["sha256"] != data.sha256:
        raise DataError(
            f"{data.name} is not the data of {folder.path}: the checksums differ; name the folder "
            "of the same files by --data."
        )


def jobs(
    run: Run, experiment: Experiment, source: Source, label: str = "", again: bool = False
) -> list[Job]:
    """What trains and measures the models of ``run``; ``label`` tells runs in one pool apart.

    ``again`` measures all models anew, beside the metrics they have (see ``Run.staging``).
    """
    # It takes a minute once, while the first model trains; those that need it wait for each other.
    classifier = Job(f"{label}{CLASSIFIER}", _obtain_classifier, (run.path, source))
    models = [
        Job(label + key, train_and_evaluate, (run.path, key, source, again))
        for key in experiment.by_key
    ]
    return [classifier, *models] + [
        Job(label + key, _measure_baseline, (run.path, key, source, again))
        for key in experiment.baseline_keys
    ]


def _obtain_classifier(send: Send, path: Path, source: Source) -> None:
    experiment = experiment_of(Run(path))
    obtain_classifier(load(source, experiment), lambda text: send({"phase": text}))


def train_and_evaluate(
    send: Send, path: Path, key: str, source: Source, again: bool = False
) -> None:
    """The job of a model: train it if it is not, from its last checkpoint, and measure it."""
    run = Run(path)
    folder = run.model(key)
    measured = run.staging(key) if again else folder
    experiment = experiment_of(run)
    if measured.sound("metrics.json", "arrays.npz") and folder.has("weights.safetensors"):
        return
    data = load(source, experiment)
    same_data(run, data)
    model = experiment.build(key, data.image_size)
    if folder.has("weights.safetensors"):
        load_weights(model, folder.tensors("weights.safetensors"))
    else:
        train(send, experiment, key, model, data, folder)
    if not again and folder.has("metrics.json"):  # only the weights were lost: the same again
        return
    model.to(measuring_device(experiment.device))
    send({"phase": "evaluating"})
    context = Context.of(
        experiment, model, data, blocks=measured, report=lambda text: send({"phase": text})
    )
    evaluation = evaluate_model(context)
    history = folder.history()
    name, d = experiment.by_key[key]
    _keep(
        measured,
        evaluation,
        {
            "model": name,
            "title": MODELS[name].title,
            "latent_dim": d,
            "parameters": model.parameter_count,
            "epochs": len(history),
            "seconds": sum(row["seconds"] for row in history),
            "status": "finished",
            "health": health(context, evaluation.metrics, history),
        },
    )


def train(
    send: Send,
    experiment: Experiment,
    key: str,
    model: Autoencoder,
    data: Data,
    folder: ModelFolder,
) -> None:
    """Train to the end, from the last checkpoint if there is one, and load the final weights."""
    config = experiment.training(experiment.by_key[key][0])
    state, rows, warnings = newest_state(folder, lambda state: fits(model, state))
    for text in warnings:
        send({"warning": text})
    for number in folder.checkpoints():
        if state is None or number > state.epoch:  # damaged, or of another training
            folder.remove_checkpoint(number)
    if state:
        send({"resumed": state.epoch})

    def save_last_epoch() -> None:
        if state and state.epoch not in folder.checkpoints():
            write_state(folder, state, rows[: state.epoch])

    epochs = fit(
        model, data, config, seed=experiment.seed, protocol=experiment.pixels, start=state,
        device=find_device(experiment.device),
    )  # fmt: skip
    with before_sigterm(save_last_epoch):
        for epoch in () if ended(rows, config) else epochs:
            rows.append(epoch.row())
            if config.early_stopping and best_epoch(rows) == len(rows):
                keep_best(folder, epoch.state)
            folder.write_history(rows)
            state, over = epoch.state, ended(rows, config)
            if over or epoch.index % experiment.checkpoint_epochs == 0:
                write_state(folder, state, rows)
            send({"epoch": epoch.index, "epochs": config.epochs, "row": rows[-1]})
            if over:
                break
    assert state is not None
    load_weights(model, keep_chosen(folder, state.tensors, config))


def _measure_baseline(send: Send, path: Path, key: str, source: Source, again: bool) -> None:
    run = Run(path)
    folder = run.staging(key) if again else run.model(key)
    if folder.sound("metrics.json", "arrays.npz"):
        return
    send({"phase": "measuring"})
    experiment = experiment_of(run)
    name, _, d = key.partition("-")
    size = int(d) if d else None
    evaluation = evaluate_baseline(
        name, size, load(source, experiment), experiment.seed, experiment.pixels
    )
    title = {"pca": "PCA", "pixels": "Raw pixels"}[name]
    _keep(folder, evaluation, {"title": title, "latent_dim": size})


def _keep(folder: ModelFolder, evaluation: Evaluation, facts: dict[str, Any]) -> None:
    """Write arrays first: metrics.json is what says that a model has been evaluated."""
    per_image = {f"per_image/{name}": values for name, values in evaluation.per_image.items()}
    folder.write_arrays(evaluation.arrays | per_image)
    metrics = {
        name: estimate and dataclasses.asdict(estimate)
        for name, estimate in evaluation.metrics.items()
    }
    folder.write_json("metrics.json", facts | evaluation.facts | {"metrics": metrics})
    folder.drop_blocks()


def anneal(send: Send, path: Path, key: str) -> None:
    """The job of checking the likelihood of a model that makes images."""
    run = Run(path)
    context = Context.of(
        experiment_of(run), load_model(run, key), load_run_data(run),
        report=lambda text: send({"phase": text}),
    )  # fmt: skip
    run.model(key).write_json("ais.json", ais_check(context))
