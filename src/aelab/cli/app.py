"""The ``aelab`` command: find the command, run it, and turn errors and signals into exit codes."""

import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version

from aelab.cli.commands import COMMANDS
from aelab.cli.printing import say
from aelab.config.registry import load_plugins
from aelab.console.streams import standard_streams
from aelab.errors import AelabError


def main(arguments: Sequence[str] | None = None) -> None:
    """The ``aelab`` command."""
    with standard_streams():
        _main(list(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: list[str]) -> None:
    if arguments[:1] == ["--version"]:
        say(f"aelab {version('aelab')}")
    elif not arguments or arguments[0] in ("-h", "--help"):
        _usage()
    elif arguments[0] not in COMMANDS:
        say(f"aelab: there is no command {arguments[0]}; see aelab --help.", error=True)
        sys.exit(2)
    else:
        end_at_signals()
        try:
            if arguments[0] != "doctor":  # which reports a plugin that fails
                load_plugins()
            COMMANDS[arguments[0]](arguments[1:])
        except AelabError as error:
            say(f"aelab: {error}", error=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            say(
                "aelab: interrupted; aelab resume RUN continues from the last checkpoint (an "
                "evaluation continues when it is started again).",
                error=True,
            )
            sys.exit(130)


def end_at_signals() -> None:
    """On SIGTERM and SIGHUP, exit as from an exception: the workers write their checkpoints."""

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # the shell and the terminal both send SIGHUP
        sys.exit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:  # nohup has it ignored
            signal.signal(number, end)


def _usage() -> None:
    say("usage: aelab COMMAND [OPTIONS]\n\nThe laboratory for autoencoders and variational "
        "autoencoders on MNIST.\n")  # fmt: skip
    for name, command in COMMANDS.items():
        say(f"  {name:<9} {command.__doc__}")
    say("\naelab COMMAND --help lists its options; aelab --version prints the version.")
