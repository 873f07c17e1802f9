"""A study: paired runs over many seeds, one pool of workers for all, decided by frozen claims.

The runs are ordinary run folders. What is to be trained stands in the study's manifest before the
first training, so that whoever goes on after an interruption does the same.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aelab.claims.rules import CLAIMS, Claim, frozen_hash, thaw
from aelab.console.progress import Display, with_workers
from aelab.data.sources import Source, resolve_data
from aelab.errors import AelabError, RunError
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.lab import jobs as work
from aelab.lab import run as lab
from aelab.lab.repair import is_whole, repair
from aelab.lab.report import Watch, complete, rebuild, warner
from aelab.runs.creation import default_path, require_space
from aelab.runs.pool import Event, Job, Send, run_jobs
from aelab.runs.run import Run
from aelab.runs.study import Study
from aelab.studies.aggregate import Entry, compose
from aelab.studies.plan import (
    Facts,
    bytes_of,
    experiment_at,
    facts_of,
    missing,
    plan_of,
    require_same_settings,
)
from aelab.studies.sweep import BASE, points


@with_workers(lambda **_: Display(None))
def run_study(
    experiment: Experiment,
    out: Path | None = None,
    *,
    seeds: int = 10,
    vary: Mapping[str, Sequence[Any]] | None = None,
    claims: Sequence[Claim] | None = None,
    workers: int = 2,
    watch: Watch = lambda event: None,  # noqa: ARG005
) -> Study:
    """Train and measure the models of ``experiment`` for each seed, and decide the claims.

    ``vary`` maps settings to values, each tried for every seed away from the experiment. Where
    ``out`` is a study already, what it lacks is added and nothing is done twice. A model that fails
    does not stop the others: it is in ``study.results()["failures"]``.
    """
    if seeds < 1:
        raise AelabError(f"A study needs at least one seed, not {seeds}.")
    if len(experiment.latent_dim) != 1:
        raise AelabError(
            "A study compares models of one latent size: give one --latent-dim, and others by "
            "--vary latent-dim=2,16."
        )
    experiment = experiment.settled()
    places = points(experiment, vary or {})
    span = range(experiment.seed, experiment.seed + seeds)
    if out is not None and Study.is_at(out):
        study, ready = Study(out), None
        kept = require_same_settings(study, experiment)
    else:
        frozen = list(CLAIMS.values()) if claims is None else claims
        plan = missing([], experiment, [BASE, *places], span)
        study, ready = _create(experiment, out, frozen, plan, watch)
    with study.lock():
        _unchanged(study, claims)
        plan = plan_of(study)
        plan += missing(plan, experiment, [BASE, *places], span)
        if ready is None:
            moved = None if experiment.data in (kept.data, "auto") else experiment.data
            ready = _ready(study, plan, moved)
        study.note(plan=[dataclasses.asdict(entry) for entry in plan])
        return _carry_out(study, *ready, workers, watch)


@with_workers(lambda **_: Display(None))
def resume_study(
    path: Path,
    workers: int = 2,
    watch: Watch = lambda event: None,  # noqa: ARG005
    data: str | None = None,
) -> Study:
    """Go on with an interrupted study, and try again what failed.

    ``data`` is where the data are now, if they have moved.
    """
    study = Study(path)
    with study.lock():
        _unchanged(study, None)
        return _carry_out(study, *_ready(study, plan_of(study), data), workers, watch)


@with_workers(lambda **_: Display(None))
def evaluate_study(
    path: Path,
    workers: int = 2,
    watch: Watch = lambda event: None,  # noqa: ARG005
    data: str | None = None,
) -> Study:
    """Measure every model of a study again from its weights, and decide again.

    The metrics from before stay until all of the new ones are there. ``data`` is where the data
    are now, if they have moved. Raises TrainingError if a model cannot be measured.
    """
    study = Study(path)
    with study.lock(), contextlib.ExitStack() as locks:
        _unchanged(study, None)
        ready = _ready(study, plan_of(study), data, evaluate=True)
        runs = [(run, experiment_of(run)) for run in _opened(study)]
        for run, experiment in runs:
            locks.enter_context(run.lock())
            repair(run, experiment, warner(watch))
            run.begin_evaluation()
        failures: dict[str, dict[str, str]] = {}
        _pool(_open_jobs(study, runs, ready[0], again=True), workers, watch, failures)
        if failures:
            raise lab.not_evaluated(
                path,
                {f"{run}/{key}": why for run in failures for key, why in failures[run].items()},
            )
        for run, _ in runs:
            run.end_evaluation()
        locks.close()
        return _carry_out(study, *ready, workers, watch)


def rebuild_study(path: Path, watch: Watch = lambda event: None) -> Study:  # noqa: ARG005
    """Build the report of a study again; what is damaged in its runs is named and made again.

    Raises RunError if that takes training or evaluation.
    """
    study = Study(path)
    with study.lock():
        for run in _opened(study):
            if any(folder.damaged() for folder in (run, *run.model_folders())):
                rebuild(run.path, watch)
        report_study(study, watch)
    return study


def report_study(study: Study, watch: Watch = lambda event: None) -> Path:  # noqa: ARG005
    """Decide the claims and build the report again, from what the runs hold."""
    from aelab.report import build_study_report  # matplotlib is slow to load

    watch(Event("report", "started"))
    study.write_results(*compose(study, plan_of(study)))
    path: Path = build_study_report(study)
    watch(Event("report", "done"))
    return path


def _create(
    experiment: Experiment,
    out: Path | None,
    claims: Sequence[Claim],
    plan: Sequence[Entry],
    watch: Watch,
) -> tuple[Study, tuple[Source, Facts]]:
    """The folder of a study that will have the runs of ``plan``, and what ``_ready`` gives."""
    source = resolve_data(
        experiment.data, on_progress=lambda text: watch(Event("data", "message", text))
    )
    data = work.load(source, experiment)
    watch(Event("data", "message", f"{data.why} Split: {data.split}."))
    name = f"{experiment.preset}-study"
    path = out or default_path(name)
    facts = facts_of(experiment, plan, source, data)
    require_space(path, bytes_of(experiment, plan, data))
    study = Study.create(
        path,
        experiment.model_dump(mode="json"),
        [item.model_dump(mode="json") for item in claims],
        default="" if out else name,
        claims_hash=frozen_hash(claims),
        data=work.describe(data),
        source=dataclasses.asdict(source),
    )
    return study, (source, facts)


def _ready(
    study: Study, plan: Sequence[Entry], data: str | None, evaluate: bool = False
) -> tuple[Source, Facts]:
    """Where the data are, and what they are, once all that the runs need has been checked.

    A study that lacks nothing and is not to be evaluated needs no data.
    """
    unmade = [entry for entry in plan if not study.run_path(entry.name).exists()]
    runs = _opened(study)
    whole = [is_whole(run, experiment_of(run)) for run in runs]
    if data is None and not evaluate and not unmade and all(whole):
        return Source(**study.manifest()["source"]), {}
    base = experiment_of(study)
    source, found = work.find_data(study, data)
    facts = facts_of(base, plan, source, found)
    require_space(study.path, bytes_of(base, unmade, found))
    if unmade or any(lab.untrained(run, run.model_keys()) for run in runs):
        base.settled()
    return source, facts


def _unchanged(study: Study, claims: Sequence[Claim] | None) -> None:
    """Refuse to decide by other claims than the frozen ones."""
    frozen, digest = thaw(study.claims(), str(study.path)), study.manifest()["claims_hash"]
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


def _opened(study: Study) -> list[Run]:
    """The runs that have been made; raises RunError if the manifest or settings of one are damaged.

    All are looked at before any is changed. A seed is not left out for damage: the claims would be
    decided by fewer seeds than were planned.
    """
    paths = [study.run_path(entry.name) for entry in plan_of(study)]
    runs = [Run(path) for path in paths if path.exists()]
    for run in runs:
        experiment_of(run)
        for folder in run.model_folders():
            folder.manifest()
    return runs


def _carry_out(study: Study, source: Source, facts: Facts, workers: int, watch: Watch) -> Study:
    began = time.perf_counter()
    study.note(status="running", source=dataclasses.asdict(source))
    failures: dict[str, dict[str, str]] = {}
    with contextlib.ExitStack() as locks:
        unfinished = list(_unfinished(study, source, facts, watch))
        for run, _ in unfinished:
            locks.enter_context(run.lock())
        _pool(_open_jobs(study, unfinished, source), workers, watch, failures)
        whole = [run for run, _ in unfinished if _name(study, run) not in failures]
        _pool([Job(f"{_name(study, run)}/report", _complete, (run.path,)) for run in whole],
              workers, watch, failures)  # fmt: skip
        for run, _ in unfinished:
            if failed := failures.get(_name(study, run)):
                run.note(status="failed", failures=failed)
    report_study(study, watch)
    study.note(
        status="failed" if failures else "finished",
        seconds=study.manifest().get("seconds", 0.0) + time.perf_counter() - began,
    )
    return study


def _name(study: Study, run: Run) -> str:
    return run.path.relative_to(study.run_path("")).as_posix()


def _unfinished(
    study: Study, source: Source, facts: Facts, watch: Watch
) -> Iterable[tuple[Run, Experiment]]:
    """The runs of the plan that are not finished, made where they are not there yet."""
    base, where = experiment_of(study), dataclasses.asdict(source)
    for entry in plan_of(study):
        path = study.run_path(entry.name)
        if not path.exists():
            experiment = experiment_at(base, entry)
            Run.create(
                path,
                experiment.model_dump(mode="json"),
                data=facts[experiment.train_size],
                source=where,
            )
        run = Run(path)
        experiment = experiment_of(run)
        with run.lock():
            repair(run, experiment, warner(watch))
            if run.manifest()["source"] != where:
                run.note(source=where)
        if run.manifest().get("status") != "finished":
            yield run, experiment


def _open_jobs(
    study: Study, runs: Iterable[tuple[Run, Experiment]], source: Source, again: bool = False
) -> list[Job]:
    """The jobs that have not been done; one classifier for all runs on the same images.

    ``again``: those that measure again what has been trained.
    """
    jobs = []
    classified = set()
    for run, experiment in runs:
        label = f"{_name(study, run)}/"
        done = {f.path.name for f in run.model_folders() if f.has("metrics.json")}
        if again:
            done = set(lab.untrained(run, experiment.by_key))
        for job in work.jobs(run, experiment, source, label, again):
            key = job.name.removeprefix(label)
            if key == work.CLASSIFIER:
                if experiment.train_size in classified or done >= set(experiment.by_key):
                    continue
                classified.add(experiment.train_size)
            if key not in done:
                jobs.append(job)
    return jobs


def _pool(
    jobs: Sequence[Job], workers: int, watch: Watch, failures: dict[str, dict[str, str]]
) -> None:
    """Run the jobs; what fails is added to ``failures`` by the name of its run."""
    ended = 0
    with contextlib.closing(run_jobs(jobs, workers)) as events:  # an interrupt ends the workers
        for event in events:
            if event.kind == "failed":
                name, _, what = event.job.rpartition("/")
                failures.setdefault(name, {})[what] = event.content
            watch(event)
            if event.kind in ("done", "failed"):
                ended += 1
                text = f"{event.job}: {event.kind}, {ended} of {len(jobs)} jobs."
                watch(Event("study", "message", text))


def _complete(send: Send, path: Path) -> None:
    run = Run(path)
    send({"phase": "reporting"})

    def tell(event: Event) -> None:
        if event.kind == "message":
            send(event.content)

    complete(run, experiment_of(run), tell)
