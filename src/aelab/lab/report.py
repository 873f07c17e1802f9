"""Collect the metrics of a run; build its report and explorer."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aelab.errors import AelabError, RunError
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.lab.data import find_data
from aelab.lab.jobs import load_model
from aelab.lab.repair import repair
from aelab.metrics import METRICS, Context, paired_differences
from aelab.runs.folder import FORMAT
from aelab.runs.pool import Event, Watch, ignore, one_thread
from aelab.runs.run import Run

# What metrics.json says about each metric.
_DESCRIPTION = ("title", "unit", "better", "family", "description", "panel", "quantity", "sampler",
                "at", "classifier")  # fmt: skip


def explore(run: Run, data: str | None = None) -> Path:
    """Build the explorer of an evaluated run, which needs its data.

    Args:
        run: The run.
        data: Where the data are now (a folder, ``mnist`` or ``bundled``), if they have moved.

    Returns:
        The path of the page.

    Raises:
        DataError: If the data are not those of the run.
        RunError: If the run has not been evaluated.
    """
    from aelab.explorer import build_explorer

    experiment = experiment_of(run)
    source, found = find_data(run, experiment, data, for_workers=False)
    contexts = {
        key: Context.of(experiment, load_model(run, key), found) for key in experiment.by_key
    }
    with one_thread():
        page = build_explorer(run, contexts)
    if data is not None:
        run.note(source=dataclasses.asdict(source))
    return page


def explorer_page(run: Run, data: str | None = None) -> Path:
    """The run's explorer; it is built if it is missing or damaged, and the report that links to it.

    ``data`` is where the data are now, if they have moved.
    """
    if data is not None or run.explorer is None or "explorer.html" in run.damaged():
        from aelab.report import build_report  # matplotlib is slow to load

        with run.lock():
            explore(run, data)
            build_report(run)
    assert run.explorer is not None
    return run.explorer


def complete(
    run: Run,
    experiment: Experiment,
    watch: Watch = ignore,
    workers: int = 1,
    *,
    explorer: bool = True,
) -> None:
    """Collect the metrics, build the report, and mark the run as finished."""
    run.write_json("metrics.json", collect(run, experiment))
    report_run(run, watch, workers, explorer=explorer)
    run.note(status="finished")


def report_run(run: Run, watch: Watch = ignore, workers: int = 1, *, explorer: bool = True) -> Path:
    """Build figures and report from the files of a run, and the explorer if it has its data.

    Args:
        run: An evaluated run.
        watch: Called with every event.
        workers: Processes that draw figures; 1 is this one.
        explorer: Whether to build an explorer where there is none; one that exists is built again.

    Returns:
        The path of the report.

    Raises:
        RunError: If the run has not been evaluated.
    """
    from aelab.report import build_report  # matplotlib is slow to load, and workers do not need it

    def build() -> None:
        try:
            if explorer or run.explorer:
                explore(run)
        except AelabError as error:  # such as data that have moved, which the report does not need
            watch(Event("explorer", "message", {"warning": f"No new explorer: {error}"}))

    watch(Event("report", "started"))
    path = build_report(run, workers, build)
    watch(Event("report", "done"))
    return path


def rebuild(path: Path, watch: Watch = ignore, workers: int = 1, *, explorer: bool = True) -> Run:
    """Build the report of an evaluated run again; damaged files are reported and made again.

    ``explorer``: see :func:`report_run`.

    Raises RunError if that takes an evaluation.
    """
    run = Run(path)
    experiment = experiment_of(run)
    with run.lock():
        keys = [*experiment.by_key, *experiment.baseline_keys]
        missing = [k for k in keys if not run.model(k).sound("metrics.json", "arrays.npz")]
        if missing:
            raise RunError(f"{path} has no metrics of {', '.join(missing)}: run aelab resume.")
        repair(run, experiment, warner(watch))
        if run.has("metrics.json") and run.manifest().get("status") == "finished":
            report_run(run, watch, workers, explorer=explorer)
        else:
            complete(run, experiment, watch, workers, explorer=explorer)
    return run


def warner(watch: Watch) -> Callable[[str], None]:
    """A function that passes a warning about the run folder on to ``watch``."""
    return lambda text: watch(Event("run folder", "message", {"warning": text}))


def collect(run: Run, experiment: Experiment) -> dict[str, Any]:
    """All metrics of a run: the content of its metrics.json."""
    models = {key: run.model(key).read_json("metrics.json") for key in experiment.by_key}
    baselines = {key: run.model(key).read_json("metrics.json") for key in experiment.baseline_keys}
    values = {key: run.model(key).per_image() for key in (*models, *baselines)}
    return {
        "format": FORMAT,
        "data": run.manifest()["data"],
        "protocol": experiment.pixels,
        "measures": {
            name: {field: getattr(metric, field) for field in _DESCRIPTION}
            for name, metric in METRICS.items()
            if metric.asked(experiment.evaluation)
        },
        "models": models,
        "baselines": baselines,
        "differences": {
            str(d): _unpaired(models[f"{first}-{d}"], models[f"{second}-{d}"])
            | _paired(values[f"{first}-{d}"], values[f"{second}-{d}"], experiment.seed)
            for d in experiment.latent_dim
            if len(experiment.models) == 2
            for first, second in [experiment.models]
        },
        "baseline_differences": {
            key: {
                base: _paired(values[base], values[key], experiment.seed)
                for base in baselines
                if base.partition("-")[2] in ("", str(d))
            }
            for key, (_, d) in experiment.by_key.items()
        },
        "pair_differs_in": experiment.pair_differs_in(),
    }


def _unpaired(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Second less first, for every metric that both have."""
    a, b = first["metrics"], second["metrics"]
    return {
        name: {"value": b[name]["value"] - a[name]["value"], "low": None, "high": None}
        for name in METRICS
        if a.get(name) is not None and b.get(name) is not None
    }


def _paired(first: Mapping[str, Any], second: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Second less first with its interval, for every metric that both have of each test image."""
    names = [name for name in METRICS if name in first and name in second]
    if not names:
        return {}
    a_NM, b_NM = (np.stack([each[name] for name in names], axis=1) for each in (first, second))
    estimates = paired_differences(a_NM, b_NM, seed)
    return {name: dataclasses.asdict(e) for name, e in zip(names, estimates, strict=True)}
