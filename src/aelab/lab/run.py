"""The main job: train, resume, evaluate and report the models of an experiment."""

import contextlib
import dataclasses
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aelab.console.progress import Display, with_workers
from aelab.data.dataset import Data
from aelab.data.sources import Source, resolve_data
from aelab.errors import RunError, TrainingError
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.export import Format, write_models
from aelab.lab.jobs import anneal, describe, find_data, jobs, load, load_model, require_possible
from aelab.lab.repair import is_whole, repair
from aelab.lab.report import Watch, complete, warner
from aelab.models import MODELS
from aelab.runs.creation import default_path, require_space
from aelab.runs.environment import environment
from aelab.runs.pool import Event, Job, run_jobs
from aelab.runs.run import Run

BYTES_OF_MEASURES = 10_000_000  # arrays, figures and pages, by the model


@with_workers(lambda experiment, **_: Display(experiment.by_key))
def run_lab(
    experiment: Experiment,
    out: Path | None = None,
    workers: int = 2,
    watch: Watch = lambda event: None,  # noqa: ARG005
) -> Run:
    """Train and measure every model of ``experiment`` and write the report; a finished Run.

    The data are read once before the folder is made, so that bad data cost nothing.
    """
    experiment = experiment.settled()
    source = resolve_data(
        experiment.data, on_progress=lambda text: watch(Event("data", "message", text))
    )
    data = load(source, experiment)
    watch(Event("data", "message", f"{data.why} Split: {data.split}."))
    require_possible(experiment, describe(data))
    path = out or default_path(experiment.preset)
    require_space(path, bytes_of_run(experiment, data))
    run = Run.create(
        path,
        experiment.model_dump(mode="json"),
        default="" if out else experiment.preset,
        data=describe(data),
        source=dataclasses.asdict(source),  # auto is decided once: a resume opens the same files
    )
    del data
    with run.lock():
        return _finish(run, experiment, source, workers, watch)


@with_workers(lambda path, **_: Display(Run(path).model_keys()))
def resume(
    path: Path,
    workers: int = 2,
    watch: Watch = lambda event: None,  # noqa: ARG005
    data: str | None = None,
) -> Run:
    """Go on with an interrupted run from its last checkpoints; a finished one is left as it is.

    What is damaged is reported and made again (see :func:`aelab.lab.repair.repair`). ``data`` is
    where the data are now, if they have moved; nothing is changed unless they are the same.
    """
    run = Run(path)
    experiment = experiment_of(run)
    with run.lock():
        if data is None and is_whole(run, experiment):
            return run
        source = _ready(run, experiment, data)
        if untrained(run, experiment.by_key):
            experiment.settled()
        _repair(run, experiment, source, watch)
        if run.manifest().get("status") == "finished":
            return run
        return _finish(run, experiment, source, workers, watch)


@with_workers(lambda path, **_: Display(Run(path).model_keys()))
def evaluate(
    path: Path,
    workers: int = 2,
    watch: Watch = lambda event: None,  # noqa: ARG005
    data: str | None = None,
) -> Run:
    """Measure the models of a finished run again from their weights, and report again.

    The metrics from before stay until all of the new ones are there. An interrupted evaluation
    continues when it is started again; an interrupted training is ended by ``resume``. ``data`` is
    where the data are now, if they have moved. Raises RunError if a model has not been trained.
    """
    run = Run(path)
    experiment = experiment_of(run)
    with run.lock():
        _require_trained(run, run.model_keys())
        source = _ready(run, experiment, data)
        _repair(run, experiment, source, watch)
        began = time.perf_counter()
        run.begin_evaluation()
        failures = _carry_out(jobs(run, experiment, source, again=True), workers, watch)
        if failures:
            raise not_evaluated(path, failures)
        run.end_evaluation()
        _add_seconds(run, began)
        complete(run, experiment, watch)
    return run


def untrained(run: Run, keys: Iterable[str]) -> list[str]:
    """Those of the models ``keys`` that have no weights, or damaged ones."""
    return [key for key in keys if not run.model(key).sound("weights.safetensors")]


def _require_trained(run: Run, keys: Iterable[str]) -> None:
    if missing := untrained(run, keys):
        raise RunError(
            f"{run.path} has no weights of {', '.join(missing)}, or damaged ones: run aelab resume "
            "first, which trains or restores them."
        )


def not_evaluated(path: Path, failures: Mapping[str, str]) -> TrainingError:
    """The error of an evaluation in which jobs failed."""
    return TrainingError(
        f"{', '.join(failures)} could not be evaluated, and {path} keeps the metrics from before. "
        + " ".join(failures.values())
    )


def _ready(run: Run, experiment: Experiment, data: str | None) -> Source:
    """Where the data are, once they and all else that an evaluation needs have been checked."""
    source, _ = find_data(run, data)
    require_possible(experiment, run.manifest()["data"])
    return source


def _repair(run: Run, experiment: Experiment, source: Source, watch: Watch) -> None:
    """The first changes: what is damaged goes, and the manifest tells where the data are."""
    repair(run, experiment, warner(watch))
    run.note(source=dataclasses.asdict(source))
    if run.manifest().get("status") != "finished":
        for text in elsewhere(run):
            warner(watch)(text)


@with_workers(lambda **_: Display(()))
def check_likelihood(
    run: Run,
    workers: int = 2,
    watch: Watch = lambda event: None,  # noqa: ARG005
    data: str | None = None,
) -> dict[str, dict[str, Any]]:
    """How tight the likelihood bounds of the variational models are: :func:`ais_check` of each.

    Kept in the run, and given by key. ``data`` is where the data are now, if they have moved.
    Raises RunError if the run has no variational model that has been trained.
    """
    needed = {"likelihood", "prior"}
    keys = [
        key
        for key, (name, _) in experiment_of(run).by_key.items()
        if needed <= MODELS[name].capabilities
    ]
    if not keys:
        raise RunError(f"{run.path} has no model with a likelihood to check, such as a VAE.")
    with run.lock():
        _require_trained(run, keys)
        source, _ = find_data(run, data)
        run.note(source=dataclasses.asdict(source))
        failures = _carry_out([Job(key, anneal, (run.path, key)) for key in keys], workers, watch)
    if failures:
        raise TrainingError(" ".join(failures.values()))
    return {key: run.model(key).read_json("ais.json") for key in keys}


def export_models(run: Run, form: Format, out: Path | None = None, *keys: str) -> Path:
    """Write the trained models (``keys``, or all) for other programs; gives their folder."""
    models = {key: load_model(run, key) for key in keys or run.model_keys()}
    return write_models(run, models, form, out or run.export_path(form))


def bytes_of_run(experiment: Experiment, data: Data) -> int:
    """What a run will about take on disk; a network that does not fit the images fails here.

    Of each model ten times its parameters (weights, and three states with Adam's moments while the
    oldest is replaced), and what is measured and drawn.
    """
    models = [experiment.build(key, data.image_size) for key in experiment.by_key]
    parameters = sum(model.parameter_count for model in models)
    return 4 * 10 * parameters + len(models) * BYTES_OF_MEASURES


def _finish(run: Run, experiment: Experiment, source: Source, workers: int, watch: Watch) -> Run:
    began = time.perf_counter()
    failures = _carry_out(jobs(run, experiment, source), workers, watch)
    _add_seconds(run, began)
    if failures:
        run.note(status="failed", failures=failures)
        raise TrainingError(
            f"{', '.join(failures)} failed; what the others did is kept in {run.path}. "
            + " ".join(failures.values())
        )
    complete(run, experiment, watch)
    return run


def _add_seconds(run: Run, began: float) -> None:
    """Add up what was spent on the run, before an interrupt too: the report tells the whole."""
    run.note(seconds=run.manifest().get("seconds", 0.0) + time.perf_counter() - began)


def _carry_out(work: list[Job], workers: int, watch: Watch) -> dict[str, str]:
    """Run the jobs; gives why those failed that did."""
    failures: dict[str, str] = {}
    with contextlib.closing(run_jobs(work, workers)) as events:  # an interrupt ends workers
        for event in events:
            if event.kind == "failed":
                failures[event.job] = event.content
            watch(event)
    return failures


def elsewhere(run: Run) -> list[str]:
    """A sentence if the run was begun under other versions or on another machine."""
    there, here = run.manifest()["environment"], environment()
    differing = [
        f"{name} {value} there, {here[name]} here"
        for name, value in there.items()
        if name != "cpus" and here.get(name, value) != value
    ]
    if not differing:
        return []
    return [
        f"It was begun elsewhere ({'; '.join(differing)}): what is trained from here on may differ "
        "in its last bits."
    ]
