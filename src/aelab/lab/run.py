"""Train, resume, evaluate and export the models of an experiment."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aelab.console.progress import Display, with_workers
from aelab.data.sources import Source
from aelab.errors import RunError, TrainingError
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.export import Format, write_models
from aelab.lab.data import describe, find_data, open_data, require_possible
from aelab.lab.jobs import anneal, classifier_job, jobs, load_model, untrained
from aelab.lab.repair import is_whole, repair
from aelab.lab.report import complete, warner
from aelab.models import MODELS
from aelab.runs.creation import default_path, require_space
from aelab.runs.environment import environment
from aelab.runs.pool import Job, Watch, ignore, run_all
from aelab.runs.run import Run


@with_workers(Display)
def run_lab(
    experiment: Experiment,
    out: Path | None = None,
    workers: int = 2,
    watch: Watch = ignore,
) -> Run:
    """Train and evaluate every model of ``experiment`` and write the report.

    Bad data or settings are refused before the folder is made.

    Args:
        experiment: The settings.
        out: The folder of the run, which must not exist (None: in ``runs/``, by date and preset).
        workers: Models to train at a time, each in a process.
        watch: Called with every event.

    Returns:
        The finished run.

    Raises:
        AelabError: If the settings or the data do not allow it.
        TrainingError: If a model fails; the others are finished, and kept.
    """
    experiment = experiment.resolved()
    source, data = open_data(experiment, watch)
    facts = describe(data)
    del data  # the workers read it again
    path = out or default_path(experiment.preset)
    require_space(path, require_possible(experiment, facts))
    run = Run.create(
        path,
        experiment.model_dump(mode="json"),
        default="" if out else experiment.preset,
        data=facts,
        source=dataclasses.asdict(source),
    )
    with run.lock():
        return _finish(run, experiment, source, workers, watch)


@with_workers(Display)
def resume(
    path: Path,
    workers: int = 2,
    watch: Watch = ignore,
    data: str | None = None,
) -> Run:
    """Resume an interrupted run from its last checkpoints; a finished one is left as it is.

    Damaged files are reported and made again (see :func:`aelab.lab.repair.repair`).

    Args:
        path: The run folder.
        workers: Models to train at a time, each in a process.
        watch: Called with every event.
        data: Where the data are now (a folder, ``mnist`` or ``bundled``), if they have moved.

    Returns:
        The finished run.

    Raises:
        DataError: If the data are not those of the run; nothing is changed then.
        RunError: If nothing can replace a damaged file.
        TrainingError: If a model fails; the others are finished, and kept.
    """
    run = Run(path)
    experiment = experiment_of(run)
    with run.lock():
        if data is None and is_whole(run, experiment):
            return run
        source = _prepare(run, experiment, data, watch)
        if run.manifest().get("status") == "finished":
            return run
        return _finish(run, experiment, source, workers, watch)


@with_workers(Display)
def evaluate(
    path: Path,
    workers: int = 2,
    watch: Watch = ignore,
    data: str | None = None,
) -> Run:
    """Evaluate the models of a trained run again from their weights, and report again.

    The old metrics stay until all of the new ones are complete. An interrupted evaluation continues
    when it is started again; an interrupted training needs :func:`resume`.

    Args:
        path: The run folder.
        workers: Models to evaluate at a time, each in a process.
        watch: Called with every event.
        data: Where the data are now (a folder, ``mnist`` or ``bundled``), if they have moved.

    Returns:
        The run.

    Raises:
        DataError: If the data are not those of the run.
        RunError: If a model has not been trained.
        TrainingError: If a model cannot be evaluated.
    """
    run = Run(path)
    experiment = experiment_of(run)
    with run.lock():
        _require_trained(run, run.model_keys())
        source = _prepare(run, experiment, data, watch)
        run.begin_evaluation()
        todo = [classifier_job(run, source), *jobs(run, experiment, source, again=True)]
        with run.count_seconds():
            if failures := run_all(todo, workers, watch):
                raise not_evaluated(path, failures)
            run.end_evaluation()
        complete(run, experiment, watch, workers)
    return run


def _require_trained(run: Run, keys: Iterable[str]) -> None:
    if missing := untrained(run, keys):
        raise RunError(
            f"{run.path} has no weights of {', '.join(missing)}, or damaged ones: run aelab resume "
            "first, which trains or restores them."
        )


def not_evaluated(path: Path, failures: Mapping[str, str]) -> TrainingError:
    """The error of an evaluation in which jobs failed."""
    return TrainingError(
        f"{', '.join(failures)} could not be evaluated, and {path} keeps its old metrics. "
        + " ".join(failures.values())
    )


def _prepare(run: Run, experiment: Experiment, data: str | None, watch: Watch) -> Source:
    """Check all that training and evaluation need, then delete what is damaged; gives the source.

    A run that was begun under other versions or on another machine is reported.
    """
    source, _ = find_data(run, experiment, data)
    require_possible(experiment, run.manifest()["data"])
    if untrained(run, experiment.by_key):
        experiment.resolved()  # raises if its device is not here
    warn = warner(watch)
    repair(run, experiment, warn)
    run.note(source=dataclasses.asdict(source))
    there, here = run.manifest()["environment"], environment()
    differing = [
        f"{name} {value} there, {here[name]} here"
        for name, value in there.items()
        if name != "cpus" and here.get(name, value) != value
    ]
    if differing and run.manifest().get("status") != "finished":
        warn(
            f"It was begun elsewhere ({'; '.join(differing)}): what is trained from here on may "
            "differ in its last bits."
        )
    return source


@with_workers(Display)
def check_likelihood(
    run: Run,
    workers: int = 2,
    watch: Watch = ignore,
    data: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Check how tight the likelihood bounds of the variational models are, by :func:`ais_check`.

    The results are written to the run and returned by key. ``data`` is where the data are now, if
    they have moved. Raises RunError if the run has no variational model that has been trained.
    """
    experiment, needed = experiment_of(run), {"likelihood", "prior"}
    keys = [
        key for key, (name, _) in experiment.by_key.items() if needed <= MODELS[name].capabilities
    ]
    if not keys:
        raise RunError(f"{run.path} has no model with a likelihood to check, such as a VAE.")
    with run.lock():
        _require_trained(run, keys)
        source, _ = find_data(run, experiment, data)
        run.note(source=dataclasses.asdict(source))
        failures = run_all([Job(key, anneal, (run.path, key)) for key in keys], workers, watch)
    if failures:
        raise TrainingError(" ".join(failures.values()))
    return {key: run.model(key).read_json("ais.json") for key in keys}


def export_models(run: Run, form: Format, out: Path | None = None, *keys: str) -> Path:
    """Export trained models for other programs.

    Args:
        run: The run.
        form: ``onnx``, ``safetensors`` or ``hub``.
        out: The folder to write (None: ``exports/<form>`` in the run folder).
        keys: The models, such as ``vae-16`` (left out: all).

    Returns:
        The folder.

    Raises:
        AelabError: If a model is missing or cannot be exported, or a package is not installed.
    """
    models = {key: load_model(run, key) for key in keys or run.model_keys()}
    return write_models(run, models, form, out or run.export_path(form))


def _finish(run: Run, experiment: Experiment, source: Source, workers: int, watch: Watch) -> Run:
    todo = [classifier_job(run, source), *jobs(run, experiment, source)]
    with run.count_seconds():
        failures = run_all(todo, workers, watch)
    if failures:
        run.note(status="failed", failures=failures)
        raise TrainingError(
            f"{', '.join(failures)} failed; the results of the others are in {run.path}. "
            + " ".join(failures.values())
        )
    complete(run, experiment, watch, workers)
    return run
