"""The commands: parse, call, print.

Torch is imported inside a command only, also by a name of the public API, ``aelab.run_lab``.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

import aelab
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

if TYPE_CHECKING:
    from aelab.console.progress import Display

RunFolder = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(help="The folder of the run.")]]
Printed = Annotated[Output, Bare]
PLAIN = Output()


def run(arguments: list[str]) -> None:
    """Train, evaluate and compare models; writes a report."""
    experiment, options = experiment_and(RunOptions, "run", arguments, run.__doc__)
    with _display(experiment.by_key, options) as display:
        done = aelab.run_lab(experiment, options.out, options.workers, display.watch)
    print_results(done, options)


def study(arguments: list[str]) -> None:
    """Train many paired seeds and decide claims; writes a report."""
    from aelab.studies.sweep import parse as axes

    experiment, options = experiment_and(
        StudyOptions, "study", arguments, study.__doc__, latent_dim=(16,)
    )
    claims = aelab.load_claims(options.claims) if options.claims else None
    with _display(None, options) as display:
        done = aelab.run_study(
            experiment, options.out, seeds=options.seeds, vary=axes(options.vary), claims=claims,
            workers=options.workers, watch=display.watch,
        )  # fmt: skip
    _finish_study(done, options)


@command
def compare(
    runs: tyro.conf.Positional[
        Annotated[tuple[Path, ...], tyro.conf.arg(help="The folders of the runs.")]
    ],
    output: Printed,
) -> None:
    """Show runs side by side, and the settings in which they differ."""
    from aelab.cli.tables import comparison_table

    found = aelab.compare(*runs)
    print_or_json(asdict(found), output, lambda _: comparison_table(found))


def search(arguments: list[str]) -> None:
    """Search the best settings of a model, and prove them with new seeds."""
    from aelab.cli.search_options import SearchOptions

    experiment, options = experiment_and(
        SearchOptions, "search", arguments, search.__doc__, table="search"
    )
    with _display(None, options, trials=True) as display:
        done = aelab.run_search(
            options.search, experiment, options.out, options.workers, display.watch, options.shared
        )
    print_results(done, options)


def worker(arguments: list[str]) -> None:
    """Run trials of a search in a shared database on this machine."""
    from aelab.cli.search_options import WorkerOptions
    from aelab.cli.tables import print_trials
    from aelab.search.cluster import join_search

    options = parse(WorkerOptions, "worker", arguments, worker.__doc__)
    with _display(None, options, trials=True) as display:
        done = join_search(options.storage, options.study, watch=display.watch, **options.place)
    print_or_json(done, options, print_trials)


@command
def resume(path: RunFolder, options: Annotated[ResumeOptions, Bare]) -> None:
    """Continue an interrupted run, study or search."""
    from aelab.runs.search import SearchFolder

    if SearchFolder.is_at(path):
        with _display(None, options, trials=True) as display:
            done = aelab.resume_search(
                path, options.workers, display.watch, options.data, options.storage
            )
        print_results(done, options)
    else:
        _repeat(aelab.resume, aelab.resume_study, path, options)


@command
def evaluate(path: RunFolder, options: Annotated[EvaluateOptions, Bare]) -> None:
    """Evaluate the trained models of a run or study again; a new report."""
    if not options.ais:
        _repeat(aelab.evaluate, aelab.evaluate_study, path, options)
        return
    from aelab.cli.tables import annealing_table
    from aelab.lab.run import check_likelihood

    with _display((), options) as display:
        found = check_likelihood(aelab.Run(path), options.workers, display.watch, options.data)
    print_or_json(found, options, annealing_table)


@command
def report(path: RunFolder, output: Printed) -> None:
    """Build the figures and the report of a run, study or search again."""
    from aelab.lab.report import rebuild
    from aelab.report.search import build_search_report
    from aelab.runs.search import SearchFolder, open_folder
    from aelab.studies.study import rebuild_study

    found = open_folder(path)
    if isinstance(found, SearchFolder):
        build_search_report(found)
    else:
        with _display((), output) as display:
            (rebuild if isinstance(found, aelab.Run) else rebuild_study)(path, display.watch)
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
    done = aelab.export_models(aelab.Run(path), options.format, options.out, *options.models)
    say(str(done))


@command
def explore(path: RunFolder, options: Annotated[ExploreOptions, Bare]) -> None:
    """Open the latent explorer of a run in the browser, or serve it."""
    import webbrowser

    from aelab.explorer import serve
    from aelab.lab.report import explorer_page

    page = explorer_page(aelab.Run(path), options.data)
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


def _repeat(
    of_run: Callable[..., "aelab.Run"],
    of_study: Callable[..., "aelab.Study"],
    path: Path,
    options: EvaluateOptions | ResumeOptions,
) -> None:
    is_study, workers = aelab.Study.is_at(path), options.workers or WORKERS
    with _display(None if is_study else aelab.Run(path).model_keys(), options) as display:
        done = (of_study if is_study else of_run)(path, workers, display.watch, options.data)
    if isinstance(done, aelab.Study):
        _finish_study(done, options)
    else:
        print_results(done, options)


def _finish_study(done: "aelab.Study", output: Output) -> None:
    print_results(done, output)
    if failures := done.results()["failures"]:
        raise TrainingError(
            f"{len(failures)} of the models of {done.path} failed: aelab resume tries them again."
        )


def _display(keys: Iterable[str] | None, output: Output, *, trials: bool = False) -> "Display":
    from aelab.console.progress import Display

    return Display(keys, trials=trials, quiet=output.quiet, stderr=output.json_)
