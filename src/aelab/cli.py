"""The verbs of the command line: parse, call, print. Torch is imported inside a verb only."""

import contextlib
import io
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import ValidationError

from aelab import __version__
from aelab.errors import AelabError


@dataclass(frozen=True)
class Ground:
    """Where the settings start from, before the flags."""

    preset: str | None = None
    config: Path | None = None


@dataclass(frozen=True)
class Place:
    """How and where the run is done; none of it changes a result."""

    config: Path | None = None
    """A TOML file laid over the preset, under the flags."""
    out: Path | None = None
    """The run folder to make (default: runs/<date>-<preset>)."""
    workers: int = 2
    """Models trained at a time, each in a process with one thread."""


def run(words: list[str]) -> None:
    """Train, measure and compare an AE and a VAE; writes a run folder with report.html."""
    from aelab.display import Display, results_table
    from aelab.experiment import Experiment, load_toml, preset
    from aelab.lab import run_lab

    help_wanted = bool({"-h", "--help"} & set(words))
    ground, rest = tyro.cli(
        Ground, prog="aelab run", args=[w for w in words if w not in ("-h", "--help")],
        return_unknown_args=True,
    )  # fmt: skip
    base = (
        load_toml(ground.config, ground.preset)
        if ground.config
        else preset(ground.preset or "recipe")
    )

    def parsed(
        settings: Annotated[Experiment, tyro.conf.arg(name="")] = base,
        place: Annotated[Place, tyro.conf.arg(name="")] = Place(),
    ) -> tuple[Experiment, Place]:
        return settings, place

    parsed.__doc__ = run.__doc__
    experiment, place = _parse(parsed, "run", [*rest, *(["--help"] if help_wanted else [])])
    with Display(experiment.by_key) as display:
        done = run_lab(experiment, place.out, place.workers, display.watch)
    results_table(done)
    _print_end(done.path)


def resume(words: list[str]) -> None:
    """Go on with an interrupted run from its last checkpoints."""
    from aelab.display import Display, results_table
    from aelab.lab import resume as resume_run
    from aelab.runs import Run

    path, workers = _parse(_resume, "resume", words)
    with Display(Run(path).model_keys()) as display:
        done = resume_run(path, workers, display.watch)
    results_table(done)
    _print_end(done.path)


def report(words: list[str]) -> None:
    """Build the figures and the report of a finished run again."""
    from aelab.lab import report as build
    from aelab.runs import Run

    done = Run(_parse(_report, "report", words))
    build(done)
    _print_end(done.path)


def show(words: list[str]) -> None:
    """Print the table of results of a finished run."""
    from aelab.display import results_table
    from aelab.runs import Run

    results_table(Run(_parse(_report, "show", words)))


def presets(words: list[str]) -> None:
    """List the presets, or print one whole as TOML."""
    from aelab.display import print_presets

    print_presets(_parse(_presets, "presets", words))


def _resume(run: tyro.conf.Positional[Path], workers: int = 2) -> tuple[Path, int]:
    """Go on with an interrupted run from its last checkpoints.

    Args:
        run: The run folder.
        workers: Models trained at a time, each in a process with one thread.
    """
    return run, workers


def _report(run: tyro.conf.Positional[Path]) -> Path:
    """Read a finished run.

    Args:
        run: The run folder.
    """
    return run


def _presets(name: tyro.conf.Positional[str | None] = None) -> str | None:
    """List the presets, or print one whole as TOML.

    Args:
        name: The preset to print.
    """
    return name


VERBS = {"run": run, "resume": resume, "report": report, "show": show, "presets": presets}


def main(arguments: Sequence[str] | None = None) -> None:
    """The ``aelab`` command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--version"]:
        _say(f"aelab {__version__}")
    elif not words or words[0] in ("-h", "--help"):
        _usage()
    elif words[0] not in VERBS:
        _say(f"aelab: there is no verb {words[0]}; see aelab --help.", error=True)
        sys.exit(2)
    else:
        # A polite end, by which the workers are ended too; every epoch has left its checkpoint.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            VERBS[words[0]](words[1:])
        except AelabError as error:
            _say(f"aelab: {error}", error=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            _say("aelab: interrupted; aelab resume RUN goes on from the last epoch.", error=True)
            sys.exit(130)


def _parse(function: Any, verb: str, words: list[str]) -> Any:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(function, prog=f"aelab {verb}", args=words)
    except (SystemExit, ValidationError) as end:
        # A value that pydantic refuses is told in our words; tyro's box stays for the rest.
        chain: list[BaseException] = [end]
        while context := chain[-1].__context__:
            chain.append(context)
        for refusal in chain:
            if isinstance(refusal, ValidationError):
                from aelab.experiment import sentence

                where = str(getattr(end.__context__, "arg", "")).removeprefix("settings").strip(".")
                said = sentence(refusal, where)
                raise AelabError(f"In the flags: {said} See aelab {verb} --help.") from None
        sys.stderr.write(complaint.getvalue())
        raise


def _usage() -> None:
    _say("usage: aelab VERB [OPTIONS]\n\nThe laboratory for autoencoders and variational "
         "autoencoders on MNIST.\n")  # fmt: skip
    for name, verb in VERBS.items():
        _say(f"  {name:<9} {verb.__doc__}")
    _say("\naelab VERB --help tells a verb's options; aelab --version the version.")


def _print_end(path: Path) -> None:
    _say(f"Report: {path / 'report.html'}\n{path}")


def _say(text: str, error: bool = False) -> None:
    print(text, file=sys.stderr if error else sys.stdout)
