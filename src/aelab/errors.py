"""The errors a person can act on; each carries the exit code of the command line."""


class AelabError(ValueError):
    """Bad input or an impossible request, said in one sentence that names the remedy (exit 2)."""

    exit_code = 2


def not_installed(what: str, package: str, extra: str) -> AelabError:
    """The error of ``what`` needs a ``package`` that is not here, and the extra it comes with."""
    return AelabError(f"{what} needs {package}: pip install 'aelab[{extra}]'.")


class DataError(AelabError):
    """The data cannot be read or does not mean what it should (exit 3)."""

    exit_code = 3


class RunError(AelabError):
    """A run folder is missing, damaged, in use or already there (exit 4)."""

    exit_code = 4


class TrainingError(AelabError):
    """A model failed: a loss that is not finite, a process or database that is lost (exit 5)."""

    exit_code = 5
