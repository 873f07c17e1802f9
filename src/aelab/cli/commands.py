"""The commands: parse, call, print.

What needs torch is imported where a command uses it, so that none waits for what another needs.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from aelab.cli.options import (
    WORKERS,
    Bare,
    EvaluateOptions,
    ExploreOptions,
    ExportOptions,
    Output,
    ResumeOptions,
    RunOptions,
    StudyOptions,
    command,
    experiment_and,
    parse,
)
from aelab.cli.printing import (
    print_data,
    print_examination,
    print_or_json,
    print_presets,
    print_results,
    say,
)
from aelab.errors import TrainingError
from aelab.runs.pool import start_server

if TYPE_CHECKING:
    from aelab.console.progress import Display
    from aelab.runs.run import Run
    from aelab.runs.search import SearchFolder
    from aelab.runs.study import Study

RunFolder = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(help="The folder of the run.")]]
Printed = Annotated[Output, Bare]
PLAIN = Output()


def run(arguments: list[str]) -> None:
    """Train, evaluate and compare models; writes a report."""
    start_server()
    from aelab.lab.run import run_lab

    experiment, options = experiment_and(RunOptions, "run", arguments, run.__doc__)
    with _display(options) as display:
        done = run_lab(experiment, options.out, options.workers, display.watch)
    print_results(done, options)


def study(arguments: list[str]) -> None:
    """Train many paired seeds and decide claims; writes a report."""
    from aelab.claims.claim import load_claims
    from aelab.studies.study import run_study
    from aelab.studies.sweep import parse as axes

    experiment, options = experiment_and(
        StudyOptions, "study", arguments, study.__doc__, latent_dim=(16,)
    )
    claims = load_claims(options.claims) if options.claims else None
    with _display(options) as display:
        done = run_study(
            experiment, options.out, seeds=options.seeds, vary=axes(options.vary), claims=claims,
            workers=options.workers, watch=display.watch,
        )  # fmt: skip
    _finish(done, options)


@command
def compare(
    runs: tyro.conf.Positional[
        Annotated[tuple[Path, ...], tyro.conf.arg(help="The folders of the runs.")]
    ],
    output: Printed,
) -> None:
    """Show runs side by side, and the settings in which they differ."""
    from aelab.cli.tables import comparison_table
    from aelab.studies.compare import compare as compare_runs

    found = compare_runs(*runs)
    print_or_json(asdict(found), output, lambda _: comparison_table(found))


def search(arguments: list[str]) -> None:
    """Search the best settings of a model, and prove them with new seeds."""
    from aelab.cli.search_options import SearchOptions
    from aelab.search import run_search

    experiment, options = experiment_and(
        SearchOptions, "search", arguments, search.__doc__, table="search"
    )
    with _display(options, trials=True) as display:
        done = run_search(
            options.search, experiment, options.out, options.workers, display.watch, options.shared
        )
    print_results(done, options)


def worker(arguments: list[str]) -> None:
    """Run trials of a search in a shared database on this machine."""
    from aelab.cli.search_options import WorkerOptions
    from aelab.cli.tables import print_trials
    from aelab.search.worker import join_search

    options = parse(WorkerOptions, "worker", arguments, worker.__doc__)
    with _display(options, trials=True) as display:
        done = join_search(options.storage, options.study, watch=display.watch, **options.place)
    print_or_json(done, options, print_trials)


@command
def resume(path: RunFolder, options: Annotated[ResumeOptions, Bare]) -> None:
    """Continue an interrupted run, study or search."""
    from aelab.runs.search import SearchFolder, open_folder
    from aelab.runs.study import Study

    found, workers = open_folder(path), options.workers or WORKERS
    with _display(options, trials=isinstance(found, SearchFolder)) as display:
        if isinstance(found, SearchFolder):
            from aelab.search import resume_search

            resume_search(path, options.workers, display.watch, options.data, options.storage)
        elif isinstance(found, Study):
            from aelab.studies.study import resume_study

            resume_study(path, workers, display.watch, options.data)
        else:
            from aelab.lab.run import resume as resume_run

            resume_run(path, workers, display.watch, options.data)
    _finish(found, options)


@command
def evaluate(path: RunFolder, options: Annotated[EvaluateOptions, Bare]) -> None:
    """Evaluate the trained models of a run or study again; a new report."""
    from aelab.runs.run import Run
    from aelab.runs.study import Study

    if options.ais:
        from aelab.cli.tables import annealing_table
        from aelab.lab.run import check_likelihood

        run = Run(path)
        with _display(options) as display:
            bounds = check_likelihood(run, options.workers, display.watch, options.data)
        print_or_json(bounds, options, annealing_table)
        return
    found = Study(path) if Study.is_at(path) else Run(path)
    with _display(options) as display:
        if isinstance(found, Study):
            from aelab.studies.study import evaluate_study

            evaluate_study(path, options.workers, display.watch, options.data)
        else:
            from aelab.lab.run import evaluate as evaluate_run

            evaluate_run(path, options.workers, display.watch, options.data)
    _finish(found, options)


@command
def report(path: RunFolder, output: Printed) -> None:
    """Build the figures and the report of a run, study or search again."""
    from aelab.runs.search import SearchFolder, open_folder
    from aelab.runs.study import Study

    start_server("aelab.report")
    found = open_folder(path)
    with _display(output) as display:
        if isinstance(found, SearchFolder):
            from aelab.search.engine import rebuild_search

            rebuild_search(path, display.watch)
        elif isinstance(found, Study):
            from aelab.studies.study import rebuild_study

            rebuild_study(path, display.watch)
        else:
            from aelab.lab.report import rebuild

            rebuild(path, display.watch, WORKERS)
    print_results(found, output, tables=isinstance(found, SearchFolder))


@command
def show(path: RunFolder, output: Printed) -> None:
    """Print the results of a finished run, study or search."""
    from aelab.runs.search import open_folder

    print_results(open_folder(path), output)


@command
def presets(
    name: tyro.conf.Positional[
        Annotated[str | None, tyro.conf.arg(help="The preset to print (left out: a list).")]
    ] = None,
) -> None:
    """List the presets, or print one whole as TOML."""
    print_presets(name)


@command
def export(path: RunFolder, options: Annotated[ExportOptions, Bare]) -> None:
    """Write trained models as ONNX, safetensors or folders for the Hub."""
    from aelab.lab.run import export_models
    from aelab.runs.run import Run

    done = export_models(Run(path), options.format, options.out, *options.models)
    say(str(done))


@command
def explore(path: RunFolder, options: Annotated[ExploreOptions, Bare]) -> None:
    """Open the latent explorer of a run in the browser, or serve it."""
    import webbrowser

    from aelab.explorer import serve
    from aelab.lab.report import explorer_page
    from aelab.runs.run import Run

    page = explorer_page(Run(path), options.data)
    if options.serve:
        serve(page, options.port, say)
    else:
        webbrowser.open(page.resolve().as_uri())
        say(str(page))


@command
def data(
    source: tyro.conf.Positional[
        Annotated[
            str | None,
            tyro.conf.arg(help="fetch, auto, bundled, mnist or a folder (left out: what is here)."),
        ]
    ] = None,
    output: Printed = PLAIN,
) -> None:
    """List the data sources here and their checksums; fetch MNIST."""
    from aelab.cli.doctor import look_at_data

    found = look_at_data(source, lambda text: say(text, error=True))
    print_or_json(found, output, print_data)


@command
def doctor(output: Printed) -> None:
    """Report versions, devices, threads, installed extras, and problems."""
    from aelab.cli.doctor import examine

    found = examine()
    print_or_json(found, output, print_examination)
    sys.exit(1 if found["problems"] else 0)


COMMANDS = {
    each.__name__: each
    for each in (run, study, compare, search, worker, resume, evaluate, report, show, explore,
                 export, presets, data, doctor)
}  # fmt: skip


def _finish(done: "Run | Study | SearchFolder", output: Output) -> None:
    print_results(done, output)
    failures = done.record()["failures"] if done.kind == "study" else ()
    if failures:
        raise TrainingError(
            f"{len(failures)} of the models of {done.path} failed: aelab resume tries them again."
        )


def _display(output: Output, *, trials: bool = False) -> "Display":
    from aelab.console.progress import Display

    return Display(trials=trials, quiet=output.quiet, stderr=output.json_)
