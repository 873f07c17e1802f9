"""The terminal: text is printed as it is, and an output that cannot be written stops no work."""

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console

SIGPIPE_EXIT = 141  # how a shell reports a program whose reader has gone


def console(least_width: int = 0, **options: Any) -> Console:
    """A console that prints brackets and colons as they are, because names may hold them."""
    made = Console(markup=False, emoji=False, highlight=False, **options)
    made.width = max(made.width, least_width)
    return made


class _Output(io.TextIOWrapper):
    """A standard stream that discards everything from its first failure on, and keeps the error."""

    error: OSError | None = None

    @classmethod
    def over(cls, stream: io.TextIOWrapper, errors: str) -> "_Output":
        """One over the same buffer, in the encoding that the environment asks for."""
        return cls(
            stream.buffer, stream.encoding, errors,
            line_buffering=stream.line_buffering, write_through=stream.write_through,
        )  # fmt: skip

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._discard(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._discard(error)

    def _discard(self, error: OSError) -> None:
        self.error = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())  # what is still in the buffer goes there too
        os.close(nowhere)


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """A context in which printing never fails; characters that the encoding lacks become ``?``.

    If output was lost, it exits at the end: with 141 if the reader has gone; otherwise, for
    example on a full disk, with 1 and a message.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it is closed, as by >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    if not isinstance(sys.stdout, io.TextIOWrapper) or not isinstance(sys.stderr, io.TextIOWrapper):
        yield  # a notebook's own
        return
    out, err = _Output.over(sys.stdout, _ERRORS), _Output.over(sys.stderr, "backslashreplace")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    except SystemExit as end:
        if end.code:
            raise
    finally:
        for stream in (out, err):
            stream.flush()
            stream.detach()
    if isinstance(out.error, BrokenPipeError):
        sys.exit(SIGPIPE_EXIT)
    if out.error:
        sys.exit(f"aelab: cannot write the output: {out.error.strerror}.")


def _encode(error: UnicodeError) -> tuple[str | bytes, int]:
    """The byte of a file name that is not UTF-8, or a question mark."""
    assert isinstance(error, UnicodeEncodeError)
    code, after = ord(error.object[error.start]), error.start + 1
    return (bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else "?"), after


_ERRORS = "aelab"
codecs.register_error(_ERRORS, _encode)
