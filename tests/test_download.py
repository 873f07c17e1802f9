import gzip
import socket
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from aelab.data import download
from aelab.data import folders as layout
from aelab.data import sources as data
from aelab.data.sources import load_data, resolve_data
from aelab.errors import DataError
from tests.idx_files import hashes, idx_bytes, make_set, write_set

SET = make_set()
FIRST = "train-images-idx3-ubyte.gz"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a word, and fails as often as its server is told to."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        requests: list[str] = self.server.requests  # type: ignore[attr-defined]
        requests.append(self.path)
        if requests.count(self.path) <= self.server.failures:  # type: ignore[attr-defined]
            self.send_error(503)
        else:
            super().do_GET()


class Mirror:
    """A web server for a folder, on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        self.server.requests = self.requests = list[str]()  # type: ignore[attr-defined]
        self.fail(0)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def fail(self, times: int) -> None:
        self.server.failures = times  # type: ignore[attr-defined]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(autouse=True)
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set of 120 images stands for MNIST, and no mirror is known."""
    for module in (download, data):
        monkeypatch.setattr(module, "MNIST_SHA256", hashes(SET))
    monkeypatch.setattr(download, "MIRRORS", ())
    monkeypatch.setattr(download, "find_spec", lambda _: None)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    write_set(tmp_path / "web", SET, lambda role: f"{role}.gz")
    packed = {role: tmp_path / "web" / f"{role}.gz" for role in SET}
    digests = {role: sha256(path.read_bytes()).hexdigest() for role, path in packed.items()}
    monkeypatch.setattr(download, "GZIP_SHA256", digests)
    server = Mirror(tmp_path / "web")
    monkeypatch.setattr(download, "MIRRORS", (server.url,))
    yield server
    server.close()


def closed_port() -> str:
    """The address of a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def test_download_then_cache(tmp_path: Path, mirror: Mirror) -> None:
    cache, said = tmp_path / "deep" / "cache", list[str]()
    first = load_data("mnist", cache=cache, on_progress=said.append)
    assert (first.source, first.name, first.classes) == ("download", "MNIST", 10)
    assert mirror.host in first.why
    assert said[0] == f"downloading {FIRST} from {mirror.host} (1 of 4)"
    assert len(said) == 4
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{role}.gz" for role in SET)
    (tmp_path / "plain").touch()  # with the rights that the umask gives
    rights = (tmp_path / "plain").stat().st_mode
    assert {path.stat().st_mode for path in cache.iterdir()} == {rights}
    mirror.requests.clear()
    for source in ("mnist", "auto"):
        second = resolve_data(source, cache=cache)
        assert second.kind == "cache"
        assert second.why == f"MNIST was read from the cache {cache}."
    assert not mirror.requests
    assert second.load().sha256 == first.sha256 == hashes(SET)


@pytest.mark.parametrize("fault", ["pixel", "cut", "page", "gone"])
def test_a_file_that_is_not_the_published_one_is_not_kept(
    tmp_path: Path, mirror: Mirror, fault: str
) -> None:
    path = mirror.folder / "t10k-images-idx3-ubyte.gz"
    changed = SET["t10k-images-idx3-ubyte"].copy()
    changed[0, 0, 0] ^= 1
    content = {
        "pixel": gzip.compress(idx_bytes(changed)),
        "cut": path.read_bytes()[:-4],
        "page": b"<html>Log in to this network</html>",
        "gone": b"",
    }[fault]
    path.write_bytes(content)
    if fault == "gone":
        path.unlink()
    said = "HTTP 404 File not found" if fault == "gone" else f"{path.name} has the wrong SHA-256"
    with pytest.raises(DataError) as caught:
        load_data("mnist", cache=tmp_path / "cache")
    assert said in str(caught.value)
    assert mirror.host in str(caught.value)
    assert "use --data bundled" in str(caught.value)
    assert not (tmp_path / "cache").exists()
    found = resolve_data("auto", cache=tmp_path / "cache")
    assert found.kind == "bundled"
    assert said in found.why


def test_a_mirror_that_stumbles_is_asked_again(tmp_path: Path, mirror: Mirror) -> None:
    mirror.fail(1)
    assert resolve_data("mnist", cache=tmp_path / "cache").kind == "download"
    assert mirror.requests.count(f"/{FIRST}") == 2


def test_the_next_mirror_serves_where_the_first_does_not(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MIRRORS", (closed_port(), mirror.url))
    found = resolve_data("auto", cache=tmp_path / "cache")
    assert found.kind == "download"
    assert mirror.host in found.why


def test_a_damaged_cache_is_repaired(tmp_path: Path, mirror: Mirror) -> None:
    write_set(tmp_path, SET, lambda role: f"{role}.gz")
    (tmp_path / FIRST).write_bytes(b"\x1f\x8bnonsense")
    found = resolve_data("auto", cache=tmp_path)
    assert found.kind == "download"
    assert f"{FIRST} is " in found.why
    assert resolve_data("auto", cache=tmp_path).kind == "cache"


def test_auto_without_a_network_is_bundled_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MIRRORS", (closed_port(), closed_port()))
    began = time.monotonic()
    found = load_data("auto", cache=tmp_path / "cache")
    assert time.monotonic() - began < 5
    assert (found.source, found.name) == ("bundled", "5,000 bundled digits")
    assert f"the cache {tmp_path / 'cache'} does not exist yet" in found.why
    assert found.why.count("Connection refused") == 2
    assert not (tmp_path / "cache").exists()


def test_a_mirror_that_stays_silent_is_not_waited_for(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(download, "MIRRORS", (url,))
        began = time.monotonic()
        with pytest.raises(DataError, match=r"no answer within 0\.3 s"):
            resolve_data("mnist", cache=tmp_path / "cache")
        assert time.monotonic() - began < 2
        monkeypatch.setattr(download, "MIRRORS", (url, mirror.url))
        assert resolve_data("mnist", cache=tmp_path / "cache").kind == "download"
        time.sleep(0.5)  # for the threads that still ask, before their socket is gone


def test_a_cache_that_cannot_be_written(tmp_path: Path, mirror: Mirror) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        DataError, match=r"The cache .*file/cache cannot be written: set AELAB_CACHE"
    ):
        resolve_data("mnist", cache=tmp_path / "file" / "cache")
    assert resolve_data("auto", cache=tmp_path / "file" / "cache").kind == "bundled"


def test_kaggle_serves_where_no_mirror_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path / "kaggle", SET, lambda role: role.replace("-idx", ".idx"))
    write_set(tmp_path / "kaggle", SET, lambda role: f"{role}/{role}")
    kagglehub = ModuleType("kagglehub")
    asked = list[str]()

    def dataset_download(handle: str) -> str:
        asked.append(handle)
        if len(asked) > 1:
            raise RuntimeError("Kaggle is closed.")
        return str(tmp_path / "kaggle")

    kagglehub.dataset_download = dataset_download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kagglehub", kagglehub)
    monkeypatch.setattr(download, "find_spec", lambda name: ModuleSpec(name, None))
    found = resolve_data("mnist", cache=tmp_path / "cache")
    assert (found.kind, found.name, asked) == ("download", "MNIST", ["hojjatk/mnist-dataset"])
    assert "from Kaggle" in found.why
    assert resolve_data("mnist", cache=tmp_path / "cache").kind == "cache"
    with pytest.raises(DataError, match=r"\(Kaggle: Kaggle is closed\);"):
        resolve_data("mnist", cache=tmp_path / "other")


def test_the_published_checksums_cover_every_file() -> None:
    assert download.MNIST_SHA256.keys() == download.GZIP_SHA256.keys() == layout.ROLES.keys()
