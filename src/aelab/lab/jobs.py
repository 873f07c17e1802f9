"""What worker processes do for a run: train a model, evaluate it, check its likelihood."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from aelab.config.device import evaluation_device
from aelab.data.sources import Source
from aelab.errors import RunError
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.lab.data import load, load_run_data, require_same_data
from aelab.lab.training import train
from aelab.metrics import (
    Context,
    Evaluation,
    ais_check,
    evaluate_baseline,
    health,
    obtain_classifier,
)
from aelab.metrics import evaluate as evaluate_model
from aelab.models import MODELS, Autoencoder
from aelab.runs.models import ModelFolder
from aelab.runs.pool import Job, Send
from aelab.runs.run import Run
from aelab.training.state import load_weights


def load_model(run: Run, key: str) -> Autoencoder:
    """Load a trained model, ready to encode and decode.

    Args:
        run: The run.
        key: The model, such as ``vae-16``.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        RunError: If the run has no such model, or weights of another network.
    """
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


def classifier_job(run: Run, source: Source, label: str = "") -> Job:
    """The job that trains the digit classifier of a run's data, unless it is in the cache.

    It takes a minute once, while the first model trains; models that need it wait for it.
    """
    return Job(f"{label}classifier", _obtain_classifier, (run.path, source))


def jobs(
    run: Run, experiment: Experiment, source: Source, label: str = "", again: bool = False
) -> list[Job]:
    """The jobs that train and evaluate the models of a run, and evaluate its baselines.

    Args:
        run: The run.
        experiment: Its experiment.
        source: Where its data are.
        label: Prefix of the jobs' names, where several runs share a pool.
        again: Evaluate the trained models again, beside their metrics (see ``Run.staging``).
    """
    left_out = untrained(run, experiment.by_key) if again else ()
    models = [(key, train_and_evaluate) for key in experiment.by_key if key not in left_out]
    baselines = [(key, _evaluate_baseline) for key in experiment.baseline_keys]
    return [
        Job(label + key, function, (run.path, key, source, again))
        for key, function in (*models, *baselines)
    ]


def untrained(run: Run, keys: Iterable[str]) -> list[str]:
    """Those of the models ``keys`` that have no weights, or damaged ones."""
    return [key for key in keys if not run.model(key).sound("weights.safetensors")]


def _obtain_classifier(send: Send, path: Path, source: Source) -> None:
    experiment = experiment_of(Run(path))
    obtain_classifier(load(source, experiment), lambda text: send({"phase": text}))


def train_and_evaluate(
    send: Send, path: Path, key: str, source: Source, again: bool = False
) -> None:
    """The job of a model: train it, from its last checkpoint, unless that is done; evaluate it."""
    run = Run(path)
    folder = run.model(key)
    target = run.staging(key) if again else folder
    experiment = experiment_of(run)
    if target.sound("metrics.json", "arrays.npz") and folder.has("weights.safetensors"):
        return
    data = load(source, experiment)
    require_same_data(data, run.manifest()["data"]["sha256"], path)
    model = experiment.build(key, data.image_size)
    if folder.has("weights.safetensors"):
        load_weights(model, folder.tensors("weights.safetensors"))
    else:
        train(send, experiment, key, model, data, folder)
    if not again and folder.has("metrics.json"):  # only the weights were lost, and are the same
        return
    model.to(evaluation_device(experiment.device))
    send({"phase": "evaluating"})
    context = Context.of(
        experiment, model, data, folder=target, report=lambda text: send({"phase": text})
    )
    evaluation = evaluate_model(context)
    history = folder.history()
    name, d = experiment.by_key[key]
    facts = {
        "model": name,
        "title": MODELS[name].title,
        "latent_dim": d,
        "parameters": model.parameter_count,
        "epochs": len(history),
        "seconds": sum(row["seconds"] for row in history),
        "status": "finished",
        "health": health(context, evaluation.metrics, history),
    }
    _write_evaluation(target, evaluation, facts)


def _evaluate_baseline(send: Send, path: Path, key: str, source: Source, again: bool) -> None:
    run = Run(path)
    folder = run.staging(key) if again else run.model(key)
    if folder.sound("metrics.json", "arrays.npz"):
        return
    send({"phase": "evaluating"})
    experiment = experiment_of(run)
    name, _, d = key.partition("-")
    size = int(d) if d else None
    evaluation = evaluate_baseline(
        name, size, load(source, experiment), experiment.seed, experiment.pixels
    )
    title = {"pca": "PCA", "pixels": "Raw pixels"}[name]
    _write_evaluation(folder, evaluation, {"title": title, "latent_dim": size})


def _write_evaluation(folder: ModelFolder, evaluation: Evaluation, facts: dict[str, Any]) -> None:
    """Write the arrays first: a model that has metrics.json has been evaluated."""
    folder.write_arrays(evaluation.arrays, evaluation.per_image)
    metrics = {
        name: estimate and dataclasses.asdict(estimate)
        for name, estimate in evaluation.metrics.items()
    }
    folder.write_json("metrics.json", facts | evaluation.facts | {"metrics": metrics})
    folder.drop_blocks()


def anneal(send: Send, path: Path, key: str) -> None:
    """The job that checks the likelihood bound of a model by annealed importance sampling."""
    run = Run(path)
    context = Context.of(
        experiment_of(run), load_model(run, key), load_run_data(run),
        report=lambda text: send({"phase": text}),
    )  # fmt: skip
    run.model(key).write_json("ais.json", ais_check(context))
