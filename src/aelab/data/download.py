"""MNIST from its well-known homes: four files, each checked before it is kept."""

import queue
import shutil
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from aelab.data.cache import require_cache
from aelab.data.folders import ROLES, find_idx
from aelab.data.idx import shown
from aelab.errors import DataError, RunError

#: SHA-256 of the raw (decompressed) bytes, by role.
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
#: Folders on the web that hold the four gzipped files.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
KAGGLE_DATASET = "hojjatk/mnist-dataset"
ANSWER_SECONDS = 4.0  # a machine without a network shall reach the bundled digits soon
STALL_SECONDS = 20.0  # the longest silence within a download
RETRIES, RETRY_SECONDS = 2, 1  # of one file, and the pause before each

_Fill = Callable[[Path, Callable[[str], None]], None]
_FILES = [f"{role}.gz" for role in ROLES]


def fetch_mnist(folder: Path, say: Callable[[str], None]) -> str:
    """Download MNIST into ``folder`` and return the name of the place that it came from.

    The mirrors are tried first, then Kaggle where kagglehub is installed. A file appears in
    ``folder`` only when all four have the published SHA-256. Raises DataError with what went
    wrong at each place.
    """
    try:
        require_cache(folder)
    except RunError as error:
        raise DataError(str(error)) from None
    mirrors, problems = _answering(MIRRORS)
    places: list[tuple[str, _Fill]] = [
        (_host(mirror), partial(_from_mirror, mirror)) for mirror in mirrors
    ]
    if find_spec("kagglehub"):
        places.append(("Kaggle", _from_kaggle))
    for name, fill in places:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Next to the final files, so that moving them there is one atomic rename each.
            with TemporaryDirectory(prefix=".part-", dir=folder) as scratch:
                fill(Path(scratch), say)
                _keep(Path(scratch), folder)
        except (OSError, HTTPException, DataError) as error:
            problems.append(f"{name}: {_reason(error)}")
        else:
            return name
    raise DataError("; ".join(problems) + ".")


def _answering(mirrors: Sequence[str]) -> tuple[list[str], list[str]]:
    """The mirrors to try, one that answers first; and what is wrong with the others.

    They are asked in threads, because no time-out of a socket bounds the name look-up before it.
    Returns at the first good answer, and in any case after ANSWER_SECONDS.
    """
    answers: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    def ask(mirror: str) -> None:
        try:
            request = Request(mirror + _FILES[0], method="HEAD")
            with urlopen(request, timeout=ANSWER_SECONDS):
                answers.put((mirror, ""))
        except (OSError, HTTPException) as error:
            answers.put((mirror, _reason(error)))

    for mirror in mirrors:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    failed: list[str] = []
    silent = list(mirrors)
    deadline = time.monotonic() + ANSWER_SECONDS
    while silent:
        try:
            mirror, problem = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            failed += [f"{_host(url)}: no answer within {ANSWER_SECONDS:g} s" for url in silent]
            break
        silent.remove(mirror)
        if not problem:
            return [mirror, *silent], failed  # those still silent stay in reserve
        failed.append(f"{_host(mirror)}: {problem}")
    return [], sorted(failed)


def _from_mirror(mirror: str, scratch: Path, say: Callable[[str], None]) -> None:
    from sklearn.datasets import fetch_file  # slow to import, and rarely needed

    for number, name in enumerate(_FILES, 1):
        say(f"downloading {name} from {_host(mirror)} ({number} of {len(_FILES)})")
        with _stall_limit(STALL_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fetch_file warns at each retry
            fetched = fetch_file(
                mirror + name, scratch, f"{name}.part", None, RETRIES, RETRY_SECONDS
            )
        shutil.copyfile(fetched, scratch / name)  # what fetch_file writes ignores the umask
        fetched.unlink()


def _from_kaggle(scratch: Path, say: Callable[[str], None]) -> None:
    import kagglehub

    say(f"downloading {KAGGLE_DATASET} from Kaggle")
    try:
        folder = Path(kagglehub.dataset_download(KAGGLE_DATASET))
    except Exception as error:  # kagglehub lets through whatever its HTTP client raises
        raise DataError(str(error) or type(error).__name__) from error
    for path in find_idx(folder, MNIST_SHA256).files.values():
        shutil.copyfile(path, scratch / path.name)


def _keep(scratch: Path, folder: Path) -> None:
    """Move the four files to ``folder``; raise DataError if one has not the right checksum."""
    found = find_idx(scratch, MNIST_SHA256)
    for role, path in found.files.items():
        if found.sha256[role] != MNIST_SHA256[role]:
            digest = found.sha256[role]
            raise DataError(f"{path.name} has the wrong SHA-256 {digest} and was not kept.")
    for path in found.files.values():
        path.replace(folder / path.name)


@contextmanager
def _stall_limit(seconds: float) -> Iterator[None]:
    """The time-out of every new socket; fetch_file has no argument for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _host(mirror: str) -> str:
    return urlsplit(mirror).netloc


def _reason(error: Exception) -> str:
    """What went wrong, in the system's words and without the wrapping of urllib."""
    if isinstance(error, HTTPError):
        with error:  # it holds an open connection
            return f"HTTP {error.code} {error.reason}"
    if isinstance(error, URLError) and isinstance(error.reason, OSError):
        error = error.reason
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror + (f" ({error.filename})" if error.filename else "")
    return shown(text or type(error).__name__).rstrip(".")
