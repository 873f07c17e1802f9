"""The arguments of the command line as settings: a preset, a TOML file over it, flags over both.

Nothing here imports torch until an Experiment is asked for.
"""

import contextlib
import functools
import io
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro
from pydantic import Field, ValidationError

from aelab.config.base import Config, read_toml, sentence
from aelab.errors import AelabError

if TYPE_CHECKING:
    from aelab.experiment.settings import Experiment

T = TypeVar("T")
Bare = tyro.conf.arg(name="")  # a record's flags are not prefixed with the parameter's name
WORKERS = 2  # unless told otherwise


class Output(Config):
    """What a command prints; none of it changes a result."""

    json_: Annotated[bool, tyro.conf.arg(name="json")] = Field(
        False, description="Print the results as JSON, and all else to stderr."
    )
    quiet: bool = Field(False, description="Print nothing but the run folder, or the JSON.")


class DataOption(Config):
    """Where the data are now."""

    data: str | None = Field(
        None,
        description="Where the data are, if they have moved: a folder, mnist or bundled. Their "
        "checksums must be those of before.",
    )


class WorkersOption(Output):
    """How many models are trained or evaluated at a time."""

    workers: int = Field(
        WORKERS, ge=1, description="Models trained at a time, each in a process with one thread."
    )


class ResumeOptions(Output, DataOption):
    """How a run, study or search is resumed."""

    workers: int | None = Field(
        None,
        ge=1,
        description="Models trained at a time, each in a process with one thread (left out: "
        f"{WORKERS}; for a search as many as it began with, because its trials depend on them).",
    )
    storage: str | None = Field(
        None,
        repr=False,  # it may hold a password
        description="The address of a search's shared database, with its password (left out: as "
        "it began, with the password from PGPASSWORD or ~/.pgpass).",
    )


class EvaluateOptions(WorkersOption, DataOption):
    """What is evaluated."""

    ais: bool = Field(
        False,
        description="Only check how tight the likelihood bounds are: by annealed importance "
        "sampling of images that each variational model makes. Takes minutes.",
    )


class RunOptions(WorkersOption):
    """Where a run is done."""

    config: Path | None = Field(
        None, description="A TOML file laid over the preset, under the flags."
    )
    out: Path | None = Field(
        None, description="The run folder to make (default: runs/<date>-<preset>)."
    )


class StudyOptions(RunOptions):
    """How many seeds a study has, and what it varies beside them."""

    out: Path | None = Field(
        None,
        description="The study folder; one that exists is continued (default: "
        "runs/<date>-<preset>-study).",
    )
    seeds: int = Field(10, ge=1, description="Trainings of every model, from --seed on.")
    vary: tuple[str, ...] = Field(
        (), description="An axis beside the seeds, such as latent-dim=2,4,8 or vae.beta=0.5,1,4."
    )
    claims: Path | None = Field(
        None, description="A TOML file of claims to decide beside the registered ones."
    )


class ExportOptions(Config):
    """What is written for other programs, and where."""

    format: Literal["onnx", "safetensors", "hub"] = Field(
        "hub", description="Encoder and decoder (onnx), a file a model, or a folder for the Hub."
    )
    models: tuple[str, ...] = Field((), description="Such as vae-16 (left out: every model).")
    out: Path | None = Field(
        None, description="The folder to make (default: exports/<format> in the run folder)."
    )


class ExploreOptions(DataOption):
    """How the explorer is opened."""

    serve: bool = Field(
        False, description="Serve the page on 127.0.0.1 and print its address; opens no browser."
    )
    port: int = Field(0, ge=0, le=65535, description="The port to serve on (0: any free one).")


@dataclass(frozen=True)
class _Start:
    """Where the settings start from, before the flags."""

    preset: str | None = None
    config: Path | None = None


def experiment_and(
    beside: type[T],
    verb: str,
    arguments: list[str],
    about: str | None,
    table: str | None = None,
    **defaults: Any,
) -> tuple["Experiment", T]:
    """The Experiment that the arguments describe, and the other options of a command.

    Args:
        beside: The type of the other options.
        verb: The name of the command.
        arguments: What follows it on the command line.
        about: The first line of the help.
        table: The name of a field of ``beside`` that a TOML file may hold too.
        defaults: Settings between the preset and the file.
    """
    from aelab.experiment.presets import load_toml, preset
    from aelab.experiment.settings import experiment_type

    asked = [word for word in arguments if word in ("-h", "--help")]
    start, rest = tyro.cli(
        _Start, prog=f"aelab {verb}", args=[word for word in arguments if word not in asked],
        return_unknown_args=True,
    )  # fmt: skip
    base, default = preset(start.preset or "recipe", **defaults), beside()
    if start.config:
        base = load_toml(start.config, start.preset, (table,) if table else (), **defaults)
        if table and (found := read_toml(start.config).get(table)):
            try:
                default = beside(**{table: found})
            except ValidationError as error:
                raise AelabError(f"In {start.config}: {sentence(error)}") from None

    def both(
        settings: Annotated[experiment_type(), Bare] = base,  # type: ignore[valid-type]
        others: Annotated[beside, Bare] = default,  # type: ignore[valid-type]
    ) -> Any:
        return settings, others

    parsed: tuple[Experiment, T] = parse(both, verb, [*rest, *asked[:1]], about)
    return parsed


def command(function: Callable[..., None]) -> Callable[[list[str]], None]:
    """Make ``function`` a command: its annotations are the options, its docstring the help."""

    @functools.wraps(function)
    def bound(*args: Any, **kwargs: Any) -> Callable[[], None]:
        return functools.partial(function, *args, **kwargs)

    @functools.wraps(function)
    def called(arguments: list[str]) -> None:
        parse(bound, function.__name__, arguments)()

    return called


def parse(target: Any, verb: str, arguments: list[str], about: str | None = None) -> Any:
    """What ``target`` makes of the arguments, with ``about`` as the first line of its help.

    Raises AelabError with one sentence for a bad value. For what tyro finds by itself, such as an
    unknown flag, its own message is printed and SystemExit raised.
    """
    message = io.StringIO()
    try:
        with contextlib.redirect_stderr(message):
            return tyro.cli(
                target, prog=f"aelab {verb}", description=about, args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )  # fmt: skip
    except (SystemExit, ValidationError) as end:
        error: BaseException | None = end
        while error and not isinstance(error, ValidationError):
            error = error.__context__
        if isinstance(error, ValidationError):
            argument = str(getattr(end.__context__, "arg", ""))
            where = ".".join(argument.split(".")[1:])  # without the parameter's name
            raise AelabError(
                f"In the flags: {sentence(error, where)} See aelab {verb} --help."
            ) from None
        # tyro repeats what it does not understand, in lines of its own; a password is not repeated.
        hidden = [re.sub(r"(://[^:/?]*:).*|(password=).*", r"\1\2***", word) for word in arguments]
        if hidden != arguments:
            return parse(target, verb, hidden, about)
        sys.stderr.write(message.getvalue())
        raise
