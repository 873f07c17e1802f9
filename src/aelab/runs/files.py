"""Single files: written whole or not at all, and read with a limit."""

import errno
import os
import secrets
import stat
from pathlib import Path

from aelab.errors import RunError


def content(path: Path, most: int | None) -> bytes:
    """The bytes of a plain file, at most ``most``; a pipe or a device could block or never end."""
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "it is not a plain file")
    if most is not None and facts.st_size > most:
        raise OSError(errno.EFBIG, f"it has {facts.st_size:,} bytes, and {most:,} are the most")
    return path.read_bytes()


def temporary_path(path: Path) -> Path:
    """A new name in the folder of ``path``; what ``tempfile`` creates ignores the umask."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises RunError if it cannot be written."""
    temporary = temporary_path(path)
    try:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if hasattr(os, "O_DIRECTORY"):  # the rename itself must reach the disk too
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    except OSError as error:
        raise RunError(f"Cannot write {path}: {error.strerror}.") from None
