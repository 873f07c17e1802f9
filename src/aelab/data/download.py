"""MNIST from the web: four files, each checked before it is kept."""

import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from aelab.data.cache import require_cache
from aelab.data.folders import find_idx
from aelab.data.idx import printable
from aelab.errors import DataError, RunError

#: SHA-256 of the raw (decompressed) bytes, by role.
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
#: SHA-256 of the gzipped files as the mirrors hold them, by role.
GZIP_SHA256 = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
#: Folders on the web that hold the gzipped files, in the order in which they are tried.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
KAGGLE_DATASET = "hojjatk/mnist-dataset"
ANSWER_SECONDS = 4.0  # a machine without a network reaches the bundled digits soon
STALL_SECONDS = 20.0  # the longest silence within a download

_Fetch = Callable[[Path, Callable[[str], None]], Path]  # returns where the files are


def fetch_mnist(folder: Path, report: Callable[[str], None]) -> str:
    """Download MNIST into ``folder``: from the mirrors in turn, then from Kaggle.

    Kaggle is tried where kagglehub is installed. A file appears in ``folder`` only when all four
    have the published SHA-256.

    Args:
        folder: The cache; it is made if it does not exist.
        report: Called with a line of text before each download.

    Returns:
        The name of the place that the files came from.

    Raises:
        DataError: With what went wrong at each place.
    """
    try:
        require_cache(folder)
    except RunError as error:
        raise DataError(str(error)) from None
    places: dict[str, _Fetch] = {_host(url): partial(_from_mirror, url) for url in MIRRORS}
    if find_spec("kagglehub"):
        places["Kaggle"] = _from_kaggle
    problems: list[str] = []
    for name, fetch in places.items():
        try:
            with TemporaryDirectory() as scratch:
                _keep(fetch(Path(scratch), report), folder)
        except (OSError, DataError) as error:  # requests raises OSErrors
            problems.append(f"{name}: {_reason(error)}")
        else:
            return name
    raise DataError("; ".join(problems) + ".")


def _from_mirror(mirror: str, folder: Path, report: Callable[[str], None]) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    _check_answer(mirror)
    download = pooch.HTTPDownloader(timeout=(ANSWER_SECONDS, STALL_SECONDS))
    registry = {f"{role}.gz": digest for role, digest in GZIP_SHA256.items()}
    files = pooch.create(folder, mirror, registry=registry, retry_if_failed=1)
    for number, name in enumerate(registry, 1):
        report(f"downloading {name} from {_host(mirror)} ({number} of 4)")
        try:
            files.fetch(name, downloader=download)
        except ValueError as error:
            raise DataError(f"{name} has the wrong SHA-256 and was not kept") from error
    return folder


def _check_answer(mirror: str) -> None:
    """Raise DataError if ``mirror`` does not answer within ANSWER_SECONDS.

    It is asked in a thread, because the time-out of a request bounds neither the name look-up nor
    all addresses of a host together. What else is wrong, the download tells.
    """
    import pooch

    def ask() -> None:
        with suppress(OSError):
            pooch.HTTPDownloader(timeout=ANSWER_SECONDS)(mirror, None, None, check_only=True)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ANSWER_SECONDS)
    if asking.is_alive():
        raise DataError(f"no answer within {ANSWER_SECONDS:g} s")


def _from_kaggle(_: Path, report: Callable[[str], None]) -> Path:
    import kagglehub

    report(f"downloading {KAGGLE_DATASET} from Kaggle")
    try:
        return Path(kagglehub.dataset_download(KAGGLE_DATASET))
    except Exception as error:  # kagglehub lets through whatever its HTTP client raises
        raise DataError(str(error) or type(error).__name__) from error


def _keep(fetched: Path, folder: Path) -> None:
    """Put the four files into ``folder``; raise DataError if one has the wrong checksum."""
    found = find_idx(fetched, MNIST_SHA256)
    for role, path in found.files.items():
        if found.sha256[role] != MNIST_SHA256[role]:
            raise DataError(f"{path.name} has the wrong SHA-256 and was not kept")
    folder.mkdir(parents=True, exist_ok=True)
    # Copied, because pooch gives no rights to other users; then one atomic rename each.
    with TemporaryDirectory(prefix=".part-", dir=folder) as scratch:
        copies = [Path(shutil.copyfile(p, Path(scratch, p.name))) for p in found.files.values()]
        for copy in copies:
            copy.replace(folder / copy.name)


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: BaseException) -> str:
    """What went wrong, in the system's words and without what requests wraps around them."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code} {response.reason}"
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror + (f" ({printable(cause.filename)})" if cause.filename else "")
        cause = cause.__cause__ or cause.__context__
    return printable(str(error) or type(error).__name__).rstrip(".")
