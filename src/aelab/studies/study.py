"""A study: paired runs over many seeds in one pool of workers, decided by frozen claims.

The runs are ordinary run folders. The plan is written to the study's manifest before the first
training, so that a resume after an interrupt does the same.
"""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aelab.claims.claim import CLAIMS, Claim, frozen_hash, read_claims
from aelab.console.progress import Display, with_workers
from aelab.data.sources import Source
from aelab.errors import AelabError, RunError
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.lab.data import describe, open_data
from aelab.lab.repair import repair
from aelab.lab.report import rebuild, warner
from aelab.lab.run import not_evaluated
from aelab.runs.creation import default_path, require_space
from aelab.runs.pool import Event, Job, Watch, ignore, run_all
from aelab.runs.study import Study
from aelab.studies.aggregate import compose
from aelab.studies.execution import (
    check_runs,
    complete_run,
    existing_runs,
    jobs_of,
    name_of,
    stacked_jobs,
    unfinished_runs,
)
from aelab.studies.plan import (
    DataFacts,
    check_plan,
    missing,
    plan_of,
    require_same_settings,
)
from aelab.studies.sweep import BASE, points


@with_workers(Display)
def run_study(
    experiment: Experiment,
    out: Path | None = None,
    *,
    seeds: int = 10,
    vary: Mapping[str, Sequence[Any]] | None = None,
    claims: Sequence[Claim] | None = None,
    workers: int = 2,
    watch: Watch = ignore,
    stacked: bool | None = None,
) -> Study:
    """Train and evaluate the models of ``experiment`` for each seed, and decide the claims.

    A model that fails does not stop the others: it is in ``study.results()["failures"]``.

    Args:
        experiment: The settings, with one latent size.
        out: The folder (None: in ``runs/``, by date and preset). If it is a study already, what it
            lacks is added, and nothing is done twice.
        seeds: How many seeds, from the experiment's own on.
        vary: Settings and their values, each tried for every seed, one setting at a time.
        claims: The claims to decide (None: all that are registered).
        workers: Models to train at a time, each in a process.
        watch: Called with every event.
        stacked: Train models of one shape at once, in one process, before they are evaluated
            (None: where the device is CUDA).

    Returns:
        The study, finished as far as its models do not fail.

    Raises:
        AelabError: If the settings or the data do not allow it; nothing is written then.
        RunError: If ``out`` is a study of other settings or claims.
    """
    if seeds < 1:
        raise AelabError(f"A study needs at least one seed, not {seeds}.")
    if len(experiment.latent_dim) != 1:
        raise AelabError(
            "A study compares models of one latent size: give one --latent-dim, and others by "
            "--vary latent-dim=2,16."
        )
    experiment = experiment.resolved()
    settings = [BASE, *points(experiment, vary or {})]
    span = range(experiment.seed, experiment.seed + seeds)
    if out is not None and Study.is_at(out):
        study, facts = Study(out), None
        own = require_same_settings(study, experiment)
    else:
        frozen = list(CLAIMS.values()) if claims is None else claims
        plan = missing([], experiment, settings, span)
        source, data = open_data(experiment, watch)
        name = f"{experiment.preset}-study"
        path = out or default_path(name)
        facts, sizes = check_plan(experiment, plan, source, data)
        require_space(path, sum(sizes.values()))
        study = Study.create(
            path,
            experiment.model_dump(mode="json"),
            [item.model_dump(mode="json") for item in frozen],
            default="" if out else name,
            claims_hash=frozen_hash(frozen),
            data=describe(data),
            source=dataclasses.asdict(source),
        )
    with study.lock():
        _require_frozen(study, claims)
        plan = plan_of(study)
        plan += missing(plan, experiment, settings, span)
        if facts is None:
            moved = None if experiment.data in (own.data, "auto") else experiment.data
            source, facts = check_runs(study, plan, moved)
        study.note(plan=[dataclasses.asdict(planned) for planned in plan])
        return _finish(study, source, facts, workers, watch, stacked)


@with_workers(Display)
def resume_study(
    path: Path,
    workers: int = 2,
    watch: Watch = ignore,
    data: str | None = None,
    stacked: bool | None = None,
) -> Study:
    """Resume an interrupted study, and try again what failed.

    Args:
        path: The folder of the study.
        workers: Models to train at a time, each in a process.
        watch: Called with every event.
        data: Where the data are now (a folder, ``mnist`` or ``bundled``), if they have moved.
        stacked: As for :func:`run_study`.

    Returns:
        The study, finished as far as its models do not fail.

    Raises:
        DataError: If the data are not those of the study.
        RunError: If the claims are not those that were frozen.
    """
    study = Study(path)
    with study.lock():
        _require_frozen(study, None)
        found = check_runs(study, plan_of(study), data)
        return _finish(study, *found, workers, watch, stacked)


@with_workers(Display)
def evaluate_study(
    path: Path,
    workers: int = 2,
    watch: Watch = ignore,
    data: str | None = None,
) -> Study:
    """Evaluate every model of a study again from its weights, and decide again.

    The old metrics stay until all of the new ones are complete.

    Args:
        path: The folder of the study.
        workers: Models to evaluate at a time, each in a process.
        watch: Called with every event.
        data: Where the data are now (a folder, ``mnist`` or ``bundled``), if they have moved.

    Returns:
        The study.

    Raises:
        DataError: If the data are not those of the study.
        RunError: If the claims are not those that were frozen.
        TrainingError: If a model cannot be evaluated.
    """
    study = Study(path)
    with study.lock(), contextlib.ExitStack() as locks:
        _require_frozen(study, None)
        source, facts = check_runs(study, plan_of(study), data, evaluate=True)
        runs = [(run, experiment_of(run)) for run in existing_runs(study)]
        for run, experiment in runs:
            locks.enter_context(run.lock())
            repair(run, experiment, warner(watch))
            run.begin_evaluation()
        todo = jobs_of(study, runs, source, again=True)
        if failures := run_all(todo, workers, watch, count=True):
            raise not_evaluated(path, failures)
        for run, _ in runs:
            run.end_evaluation()
        locks.close()
        return _finish(study, source, facts, workers, watch)


def rebuild_study(path: Path, watch: Watch = ignore) -> Study:
    """Build the report of a study again; damaged files of its runs are reported and made again.

    Raises RunError if that takes training or evaluation.
    """
    study = Study(path)
    with study.lock():
        for run in existing_runs(study):
            if any(folder.damaged() for folder in (run, *run.model_folders())):
                rebuild(run.path, watch, explorer=False)
        report_study(study, watch)
    return study


def report_study(study: Study, watch: Watch = ignore) -> Path:
    """Decide the claims and build the report again, from the metrics of the runs.

    Args:
        study: The study.
        watch: Called with every event.

    Returns:
        The path of the report.

    Raises:
        RunError: If a file that it needs is damaged.
    """
    from aelab.report import build_study_report  # matplotlib is slow to load

    watch(Event("report", "started"))
    study.write_results(*compose(study, plan_of(study)))
    path: Path = build_study_report(study)
    watch(Event("report", "done"))
    return path


def _require_frozen(study: Study, claims: Sequence[Claim] | None) -> None:
    """Raise RunError if ``claims``, or else those registered, differ from the frozen ones."""
    frozen, digest = read_claims(study.claims(), str(study.path)), study.manifest()["claims_hash"]
    now = {item.name: item for item in claims} if claims is not None else CLAIMS
    changed = [item.name for item in frozen if now.get(item.name, item) != item]
    if claims is not None:
        changed += sorted({item.name for item in frozen} ^ now.keys())
    if changed or frozen_hash(frozen) != digest:
        what = f" ({', '.join(changed)})" if changed else ""
        raise RunError(
            f"The claims of {study.path} were frozen as {digest[:12]} before it ran and have "
            f"changed since{what}: put them back, or name another --out for a new study."
        )


def _finish(
    study: Study,
    source: Source,
    facts: DataFacts,
    workers: int,
    watch: Watch,
    stacked: bool | None = None,
) -> Study:
    """Make, train, evaluate and report what is missing, and decide the claims."""
    study.note(status="running", source=dataclasses.asdict(source))
    with study.count_seconds(), contextlib.ExitStack() as locks:
        unfinished = list(unfinished_runs(study, source, facts, watch))
        for run, _ in unfinished:
            locks.enter_context(run.lock())
        if experiment_of(study).device == "cuda" if stacked is None else stacked:
            # What they leave untrained, for whatever reason, the job of each model trains.
            run_all(stacked_jobs(study, unfinished, source), workers, watch, count=True)
        failures = run_all(jobs_of(study, unfinished, source), workers, watch, count=True)
        failed = {job.rpartition("/")[0] for job in failures}
        reports = [
            Job(f"{name_of(study, run)}/report", complete_run, (run.path,))
            for run, _ in unfinished
            if name_of(study, run) not in failed
        ]
        failures |= run_all(reports, workers, watch, count=True)
        for run, _ in unfinished:
            prefix = f"{name_of(study, run)}/"
            if own := {
                job.removeprefix(prefix): why
                for job, why in failures.items()
                if job.startswith(prefix)
            }:
                run.note(status="failed", failures=own)
    report_study(study, watch)
    study.note(status="failed" if failures else "finished")
    return study
