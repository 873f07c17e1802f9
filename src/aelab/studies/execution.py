"""The runs of a study: checked, made, repaired, and worked on in one pool."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from aelab.data.sources import Source
from aelab.experiment.presets import experiment_of
from aelab.experiment.settings import Experiment
from aelab.lab.data import find_data
from aelab.lab.jobs import classifier_job, jobs, untrained
from aelab.lab.repair import is_whole, repair
from aelab.lab.report import complete, warner
from aelab.lab.training import train_stacked
from aelab.models import MODELS
from aelab.runs.creation import require_space
from aelab.runs.pool import Event, Job, Send, Watch
from aelab.runs.run import Run
from aelab.runs.study import Study
from aelab.studies.plan import DataFacts, PlannedRun, check_plan, experiment_at, plan_of
from aelab.training.stacked import shape_of


def check_runs(
    study: Study, plan: Sequence[PlannedRun], data: str | None, evaluate: bool = False
) -> tuple[Source, DataFacts]:
    """Check all that the runs need; gives where the data are, and the facts about them.

    A study that is complete and is not to be evaluated needs no data.
    """
    unmade = [planned for planned in plan if not study.run_path(planned.name).exists()]
    runs = existing_runs(study)
    whole = [is_whole(run, experiment_of(run)) for run in runs]
    if data is None and not evaluate and not unmade and all(whole):
        return Source(**study.manifest()["source"]), {}
    base = experiment_of(study)
    source, found = find_data(study, base, data)
    facts, sizes = check_plan(base, plan, source, found)
    require_space(study.path, sum(sizes[planned.name] for planned in unmade))
    if unmade or any(untrained(run, run.model_keys()) for run in runs):
        base.resolved()
    return source, facts


def existing_runs(study: Study) -> list[Run]:
    """The runs that have been made.

    All are checked before any is changed. Raises RunError if a manifest or the settings of one are
    damaged: without it, fewer seeds than planned would decide the claims.
    """
    paths = [study.run_path(planned.name) for planned in plan_of(study)]
    runs = [Run(path) for path in paths if path.exists()]
    for run in runs:
        experiment_of(run)
        for folder in run.model_folders():
            folder.manifest()
    return runs


def name_of(study: Study, run: Run) -> str:
    """The name of a run in the study, such as ``vae.beta=0.5/seed-0``."""
    return run.path.relative_to(study.run_path("")).as_posix()


def unfinished_runs(
    study: Study, source: Source, facts: DataFacts, watch: Watch
) -> Iterator[tuple[Run, Experiment]]:
    """The planned runs that are not finished; they are made if they do not exist, or repaired."""
    base, where = experiment_of(study), dataclasses.asdict(source)
    for planned in plan_of(study):
        path = study.run_path(planned.name)
        if not path.exists():
            experiment = experiment_at(base, planned)
            settings = experiment.model_dump(mode="json")
            Run.create(path, settings, data=facts[experiment.train_size], source=where)
        run = Run(path)
        experiment = experiment_of(run)
        with run.lock():
            repair(run, experiment, warner(watch))
            if run.manifest()["source"] != where:
                run.note(source=where)
        if run.manifest().get("status") != "finished":
            yield run, experiment


def jobs_of(
    study: Study, runs: Iterable[tuple[Run, Experiment]], source: Source, again: bool = False
) -> list[Job]:
    """The jobs of the runs; one classifier for all runs on the same images.

    ``again``: those that evaluate again what has been trained.
    """
    classifiers: dict[int | None, Job] = {}
    models: list[Job] = []
    for run, experiment in runs:
        label = f"{name_of(study, run)}/"
        classifiers.setdefault(experiment.train_size, classifier_job(run, source, label))
        models += jobs(run, experiment, source, label, again)
    return [*classifiers.values(), *models]


def stacks_of(runs: Iterable[tuple[Run, Experiment]]) -> list[list[tuple[Run, str]]]:
    """The models, by run and key, that can train at once and are not trained yet.

    They have the same network, images, batch size, epochs and kind of loss; seeds, weights of its
    terms and learning rates may differ.
    """
    shapes: dict[tuple[Any, ...], list[tuple[Run, str]]] = defaultdict(list)
    own = {"preset", "seed", "models", "latent_dim", "checkpoint_epochs", "evaluation", "baselines"}
    for run, experiment in runs:
        shared = experiment.model_dump_json(exclude=own | MODELS.keys())
        for key in untrained(run, experiment.by_key):
            name, _ = experiment.by_key[key]
            shape = shape_of(MODELS[name], experiment.objective(name), experiment.training(name))
            shapes[key, shape, shared].append((run, key))
    return [models for models in shapes.values() if len(models) > 1]


def stacked_jobs(study: Study, runs: Iterable[tuple[Run, Experiment]], source: Source) -> list[Job]:
    """The jobs that train the models of each of :func:`stacks_of` at once."""
    return [
        Job(
            f"{name_of(study, stack[0][0])}/{stack[0][1]} and {len(stack) - 1} more",
            train_stacked,
            ([(run.path, key) for run, key in stack], source),
        )
        for stack in stacks_of(runs)
    ]


def complete_run(send: Send, path: Path) -> None:
    """The job that collects the metrics of a run and builds its report.

    A run of a study gets its explorer when somebody asks for it: aelab explore.
    """
    run = Run(path)
    send({"phase": "reporting"})

    def forward(event: Event) -> None:
        if event.kind == "message":
            send(event.content)

    complete(run, experiment_of(run), forward, explorer=False)
