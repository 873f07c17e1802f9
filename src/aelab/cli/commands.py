"""The commands: parse, call, print. Torch is imported inside a command only."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from aelab.cli.options import (
    WORKERS,
    Bare,
    Evaluating,
    Exploring,
    Exporting,
    Output,
    Place,
    Resuming,
    Studying,
    alone,
    experiment_and,
    parse,
    run_and,
)
from aelab.errors import TrainingError

if TYPE_CHECKING:
    from aelab.console.progress import Display
    from aelab.runs.run import Run
    from aelab.runs.search import SearchFolder
    from aelab.runs.study import Study


PLAIN = Output()


def run(words: list[str]) -> None:
    """Train, measure and compare an AE and a VAE; writes a run folder with report.html."""
    from aelab.lab.run import run_lab

    experiment, place = experiment_and(Place, "run", words, run.__doc__)
    with _display(experiment.by_key, place) as display:
        done = run_lab(experiment, place.out, place.workers, display.watch)
    _print_results(done, place)


def study(words: list[str]) -> None:
    """Train many paired seeds and decide claims; writes a study folder with report.html."""
    from aelab.claims.rules import load_claims
    from aelab.studies.study import run_study
    from aelab.studies.sweep import parse as axes

    experiment, its = experiment_and(Studying, "study", words, study.__doc__, latent_dim=(16,))
    claims = load_claims(its.claims) if its.claims else None
    with _display(None, its) as display:
        done = run_study(
            experiment, its.out, seeds=its.seeds, vary=axes(its.vary), claims=claims,
            workers=its.workers, watch=display.watch,
        )  # fmt: skip
    _finish_study(done, its)


def compare(words: list[str]) -> None:
    """Put runs side by side, and tell which settings differ."""
    from aelab.cli.tables import comparison_table
    from aelab.studies.compare import compare as compare_runs

    def asked(
        runs: tyro.conf.Positional[
            Annotated[tuple[Path, ...], tyro.conf.arg(help="The run folders.")]
        ],
        output: Annotated[Output, Bare] = PLAIN,
    ) -> tuple[tuple[Path, ...], Output]:
        return runs, output

    asked.__doc__ = compare.__doc__
    runs, output = parse(asked, "compare", words)
    found = compare_runs(*runs)
    if output.json_:
        say(json.dumps(found.as_json(), indent=1))
    else:
        comparison_table(found)


def search(words: list[str]) -> None:
    """Search the best settings of a model, and prove them with fresh seeds."""
    from aelab.cli.search_options import SearchPlace
    from aelab.cli.search_tables import print_search
    from aelab.search import run_search
    from aelab.search.progress import SearchDisplay

    experiment, asked = experiment_and(SearchPlace, "search", words, search.__doc__, table="search")
    with SearchDisplay(quiet=asked.quiet, stderr=asked.json_) as display:
        done = run_search(
            asked.search, experiment, asked.out, asked.workers, display.watch, asked.shared
        )
    print_search(done, asked)


def worker(words: list[str]) -> None:
    """Take trials of a search in a shared database, on this machine too."""
    from aelab.cli.search_options import WorkerPlace
    from aelab.cli.search_tables import print_trials
    from aelab.search.cluster import join_search
    from aelab.search.progress import SearchDisplay

    asked = parse(alone(WorkerPlace, worker.__doc__), "worker", words)
    with SearchDisplay(quiet=asked.quiet, stderr=asked.json_) as display:
        done = join_search(asked.storage, asked.study, watch=display.watch, **asked.place)
    if asked.json_:
        say(json.dumps(done, indent=1))
    elif not asked.quiet:
        print_trials(done)


def resume(words: list[str]) -> None:
    """Go on with an interrupted run or study from its last checkpoints, or with a search."""
    from aelab.lab.run import resume as resume_run
    from aelab.runs.search import SearchFolder
    from aelab.studies.study import resume_study

    path, doing = parse(run_and(Resuming, resume.__doc__), "resume", words)
    if SearchFolder.is_at(path):
        _resume_search(path, doing)
    else:
        _again(resume_run, resume_study, path, doing)


def evaluate(words: list[str]) -> None:
    """Measure the trained models of a run or study again, and build its report again."""
    from aelab.lab.run import evaluate as evaluate_run
    from aelab.studies.study import evaluate_study

    path, doing = parse(run_and(Evaluating, evaluate.__doc__), "evaluate", words)
    if doing.ais:
        _check_likelihood(path, doing)
        return
    _again(evaluate_run, evaluate_study, path, doing)


def report(words: list[str]) -> None:
    """Build the figures and the report of a finished run, study or search again."""
    from aelab.lab.report import rebuild
    from aelab.runs.search import SearchFolder
    from aelab.runs.study import Study
    from aelab.studies.study import rebuild_study

    path, output = parse(run_and(Output, report.__doc__), "report", words)
    if SearchFolder.is_at(path):
        _report_search(SearchFolder(path), output)
        return
    again = rebuild_study if Study.is_at(path) else rebuild
    with _display((), output) as display:
        done = again(path, display.watch)
    _print_end(done, output)


def show(words: list[str]) -> None:
    """Print the results of a finished run, study or search."""
    from aelab.cli.search_tables import print_search
    from aelab.runs.search import SearchFolder
    from aelab.runs.study import opened

    path, output = parse(run_and(Output, show.__doc__), "show", words)
    if SearchFolder.is_at(path):
        print_search(SearchFolder(path), output)
    else:
        _print_results(opened(path), output)


def presets(words: list[str]) -> None:
    """List the presets, or print one whole as TOML."""
    from aelab.cli.printing import print_presets

    def named(name: tyro.conf.Positional[str | None] = None) -> str | None:
        return name

    named.__doc__ = presets.__doc__
    print_presets(parse(named, "presets", words))


def export(words: list[str]) -> None:
    """Write the trained models as ONNX, safetensors or folders for the Hub."""
    from aelab.lab.run import export_models
    from aelab.runs.run import Run

    path, wanted = parse(run_and(Exporting, export.__doc__), "export", words)
    say(str(export_models(Run(path), wanted.format, wanted.out, *wanted.models)))


def explore(words: list[str]) -> None:
    """Open the latent explorer of a run in the browser; --serve for a remote machine."""
    import webbrowser

    from aelab.explorer import serve
    from aelab.lab.report import explorer_page
    from aelab.runs.run import Run

    path, wanted = parse(run_and(Exploring, explore.__doc__), "explore", words)
    page = explorer_page(Run(path), wanted.data)
    if wanted.serve:
        serve(page, wanted.port, say)
    else:
        webbrowser.open(page.resolve().as_uri())
        say(str(page))


def data(words: list[str]) -> None:
    """Tell what digits are here, where from, their checksums; data fetch gets MNIST."""
    from aelab.cli.doctor import look_at_data
    from aelab.cli.printing import print_data

    def asked(
        source: Annotated[
            tyro.conf.Positional[str | None],
            tyro.conf.arg(help="fetch, auto, bundled, mnist or a folder (left out: what is here)."),
        ] = None,
        output: Annotated[Output, Bare] = PLAIN,
    ) -> tuple[str | None, Output]:
        return source, output

    asked.__doc__ = data.__doc__
    source, output = parse(asked, "data", words)
    found = look_at_data(source, lambda text: say(text, error=True))
    if output.json_:
        say(json.dumps(found, indent=1))
    else:
        print_data(found)


def doctor(words: list[str]) -> None:
    """Tell versions, devices, threads, what is installed, and what is wrong."""
    from aelab.cli.doctor import examine
    from aelab.cli.printing import print_examination

    def asked(output: Annotated[Output, Bare] = PLAIN) -> Output:
        return output

    asked.__doc__ = doctor.__doc__
    output = parse(asked, "doctor", words)
    found = examine()
    if output.json_:
        say(json.dumps(found, indent=1))
    else:
        print_examination(found)
    sys.exit(1 if found["problems"] else 0)


COMMANDS = {
    verb.__name__: verb
    for verb in (run, study, compare, search, worker, resume, evaluate, report, show, explore,
                 export, presets, data, doctor)
}  # fmt: skip


def _again(
    of_run: Callable[..., "Run"],
    of_study: Callable[..., "Study"],
    path: Path,
    doing: Evaluating | Resuming,
) -> None:
    from aelab.runs.study import Study, opened

    workers = doing.workers or WORKERS
    found = opened(path)
    if isinstance(found, Study):
        with _display(None, doing) as display:
            ended = of_study(path, workers, display.watch, doing.data)
        _finish_study(ended, doing)
        return
    with _display(found.model_keys(), doing) as display:
        done = of_run(path, workers, display.watch, doing.data)
    _print_results(done, doing)


def _check_likelihood(path: Path, doing: Evaluating) -> None:
    from aelab.cli.tables import annealing_table
    from aelab.lab.run import check_likelihood
    from aelab.runs.run import Run

    with _display((), doing) as display:
        found = check_likelihood(Run(path), doing.workers, display.watch, doing.data)
    if doing.json_:
        say(json.dumps(found, indent=1))
    elif not doing.quiet:
        annealing_table(found)


def _finish_study(done: "Study", output: Output) -> None:
    _print_results(done, output)
    if failures := done.results()["failures"]:
        raise TrainingError(
            f"{len(failures)} of the models of {done.path} failed; aelab resume tries them again."
        )


def _report_search(done: "SearchFolder", output: Output) -> None:
    from aelab.cli.search_tables import print_search
    from aelab.report.search import build_search_report

    build_search_report(done)
    print_search(done, output)


def _resume_search(path: Path, doing: Resuming) -> None:
    from aelab.cli.search_tables import print_search
    from aelab.search import resume_search
    from aelab.search.progress import SearchDisplay

    with SearchDisplay(quiet=doing.quiet, stderr=doing.json_) as display:
        done = resume_search(path, doing.workers, display.watch, doing.data, doing.storage)
    print_search(done, doing)


def _display(keys: Iterable[str] | None, output: Output) -> "Display":
    from aelab.console.progress import Display

    return Display(keys, quiet=output.quiet, stderr=output.json_)


def _print_results(done: "Run | Study", output: Output) -> None:
    from aelab.cli.printing import results_table
    from aelab.runs.run import Run

    if not (output.quiet or output.json_):
        if isinstance(done, Run):
            results_table(done)
        else:
            from aelab.cli.tables import claims_table

            claims_table(done)
    _print_end(done, output)


def _print_end(done: "Run | Study", output: Output) -> None:
    from aelab.runs.run import Run

    if output.json_:
        kind, content = ("run", done.metrics()) if isinstance(done, Run) else (
            "study", done.results()
        )  # fmt: skip
        say(json.dumps({kind: str(done.path)} | content, indent=1))
        return
    if not output.quiet:
        say(f"Report: {done.path / 'report.html'}")
    say(str(done.path))


def say(text: str, error: bool = False) -> None:
    """Print a line, to stderr if it is an error."""
    print(text, file=sys.stderr if error else sys.stdout, flush=True)
