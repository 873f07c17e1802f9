"""The words of the command line as settings: presets and files below, flags on top.

Nothing here imports torch until an Experiment is asked for.
"""

import contextlib
import io
import re
import sys
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
Bare = tyro.conf.arg(name="")  # the flags of a record without its name before them
WORKERS = 2  # unless told otherwise


class Output(Config):
    """What a verb prints; none of it changes a result."""

    json_: Annotated[bool, tyro.conf.arg(name="json")] = Field(
        False, description="Print the results as JSON, and all else on the error output."
    )
    quiet: bool = Field(False, description="Print nothing but the run folder, or the JSON.")


class Moved(Config):
    """Where the data are now."""

    data: str | None = Field(
        None,
        description="Where the data are, if they have moved: a folder, mnist or bundled. Their "
        "checksums must be those of before.",
    )


class Doing(Output):
    """How a run is done."""

    workers: int = Field(
        WORKERS, ge=1, description="Models trained at a time, each in a process with one thread."
    )


class Resuming(Output, Moved):
    """How it goes on."""

    workers: int | None = Field(
        None,
        ge=1,
        description="Models trained at a time, each in a process with one thread (left out: "
        f"{WORKERS}, and of a search as many as it began with, for they decide its trials).",
    )
    storage: str | None = Field(
        None,
        repr=False,  # it may hold a password
        description="The address of a search's shared database, with its password (left out: as "
        "it began, the password from PGPASSWORD or ~/.pgpass).",
    )


class Evaluating(Doing, Moved):
    """What is measured."""

    ais: bool = Field(
        False,
        description="Do not measure again, but check how tight the likelihood bounds are: by "
        "annealed importance sampling of images that each variational model makes. Takes minutes.",
    )


class Place(Doing):
    """Where a run is done."""

    config: Path | None = Field(
        None, description="A TOML file laid over the preset, under the flags."
    )
    out: Path | None = Field(
        None, description="The run folder to make (default: runs/<date>-<preset>)."
    )


class Studying(Place):
    """How many seeds a study has, and what it varies beside them."""

    out: Path | None = Field(
        None,
        description="The study folder; one that exists is gone on with (default: "
        "runs/<date>-<preset>-study).",
    )
    seeds: int = Field(10, ge=1, description="Trainings of every model, from --seed on.")
    vary: tuple[str, ...] = Field(
        (), description="An axis beside the seeds, such as latent-dim=2,4,8 or vae.beta=0.5,1,4."
    )
    claims: Path | None = Field(
        None, description="A TOML file of claims to decide beside the registered ones."
    )


class Exporting(Config):
    """What is written for other programs, and where."""

    format: Literal["onnx", "safetensors", "hub"] = Field(
        "hub", description="Encoder and decoder (onnx), a file a model, or a folder for the Hub."
    )
    models: tuple[str, ...] = Field((), description="Such as vae-16 (left out: every model).")
    out: Path | None = Field(
        None, description="The folder to make (default: exports/<format> in the run folder)."
    )


class Exploring(Moved):
    """How the explorer is opened."""

    serve: bool = Field(
        False, description="Serve the page on 127.0.0.1 and print its address; opens no browser."
    )
    port: int = Field(0, ge=0, le=65535, description="The port to serve on (0: any free one).")


@dataclass(frozen=True)
class _Ground:
    """Where the settings start from, before the flags."""

    preset: str | None = None
    config: Path | None = None


def experiment_and(
    place: type[T],
    verb: str,
    words: list[str],
    about: str | None,
    table: str | None = None,
    **defaults: Any,
) -> tuple["Experiment", T]:
    """The Experiment that the words describe, and beside it the settings of ``place``.

    ``defaults`` lie between the preset and the file; ``table`` names a field of ``place`` that a
    TOML file may hold too.
    """
    from aelab.experiment.presets import load_toml, preset
    from aelab.experiment.settings import experiment_type

    asked = [word for word in words if word in ("-h", "--help")]
    ground, rest = tyro.cli(
        _Ground, prog=f"aelab {verb}", args=[word for word in words if word not in asked],
        return_unknown_args=True,
    )  # fmt: skip
    base = (
        load_toml(ground.config, ground.preset, (table,) if table else (), **defaults)
        if ground.config
        else preset(ground.preset or "recipe", **defaults)
    )

    found = read_toml(ground.config).get(table) if ground.config and table else None
    default = _validated(place, {table: found}, str(ground.config)) if found else place()

    def parsed(
        settings: Annotated[experiment_type(), Bare] = base,  # type: ignore[valid-type]
        beside: Annotated[place, Bare] = default,  # type: ignore[valid-type]
    ) -> Any:
        return settings, beside

    parsed.__doc__ = about
    both: tuple[Experiment, T] = parse(parsed, verb, [*rest, *asked[:1]])
    return both


def _validated(place: type[T], settings: dict[Any, Any], where: str) -> T:

    try:
        return place(**settings)
    except ValidationError as error:
        raise AelabError(f"In {where}: {sentence(error)}") from None


def run_and(place: type[Any], about: str | None) -> Any:
    """A function for :func:`parse`: a run folder, and the settings of ``place`` beside it."""
    default = place()

    def parsed(
        run: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(help="The run folder.")]],
        beside: Annotated[place, Bare] = default,  # type: ignore[valid-type]
    ) -> Any:
        return run, beside

    parsed.__doc__ = about
    return parsed


def alone(settings: type[Any], about: str | None) -> Any:
    """A function for :func:`parse`: ``settings`` and nothing else."""

    def parsed(asked: Annotated[settings, Bare]) -> Any:  # type: ignore[valid-type]
        return asked

    parsed.__doc__ = about
    return parsed


def parse(function: Any, verb: str, words: list[str]) -> Any:
    """What ``function`` makes of the words. Raises AelabError with one sentence for a bad value.

    tyro's own complaint stays for everything that it finds by itself, such as an unknown flag.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                function, prog=f"aelab {verb}", args=words, config=(tyro.conf.FlagCreatePairsOff,)
            )
    except (SystemExit, ValidationError) as end:
        chain: list[BaseException] = [end]
        while context := chain[-1].__context__:
            chain.append(context)
        for refusal in chain:
            if isinstance(refusal, ValidationError):
                table = str(getattr(end.__context__, "arg", ""))
                where = table.removeprefix("settings").removeprefix("beside").strip(".")
                said = sentence(refusal, where)
                raise AelabError(f"In the flags: {said} See aelab {verb} --help.") from None
        # tyro repeats what it does not understand, in lines of its own; a password is not repeated.
        hidden = [re.sub(r"(://[^:/?]*:).*|(password=).*", r"\1\2***", word) for word in words]
        if hidden != words:
            return parse(function, verb, hidden)
        sys.stderr.write(complaint.getvalue())
        raise
