"""The run folder: the only module that knows file names.

Every file is written to a temporary name, flushed to the disk and renamed, and its SHA-256 stands
in the manifest of its folder; reading checks it. The manifest ends in a checksum of itself. One
writer a folder: the parent process writes the run's own files, each worker those of its model.

A folder may come from a stranger: no name in it leads to a file outside, and what it holds is
bounded before it is unpacked or parsed.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import platform
import re
import secrets
import shutil
import stat
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import safetensors.torch
from numpy.typing import NDArray
from torch import Tensor

from aelab import products
from aelab.cache import cache_path
from aelab.errors import RunError
from aelab.summary import summary

FORMAT = 2
UNSEALED = 1  # the format before: no checksum of the manifest, no history in checkpoints
MOST_JSON = 2**26  # bytes; parsed it takes up to twenty times as much memory
MOST_ARRAYS = 2**31  # bytes of all arrays of a model, unpacked
KEPT_CHECKPOINTS = 2  # the newest, and one to fall back on
RUNS = "runs"  # the folder of a study's runs
_STAGING = "evaluation.part"  # a new evaluation of a run, until it is complete
_STAGED = "evaluation"  # a complete one, until it has replaced the one before
Arrays = dict[str, NDArray[Any]]
Place = tuple[int, int]  # in a training: epochs done, and steps of the next one


class Folder:
    """A folder whose files are written whole or not at all, and verified when read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        try:
            status = self.manifest().get("status", "no status")
        except RunError:
            status = "damaged"
        return f"<{type(self).__name__} {self.path}: {status}>"

    def manifest(self) -> dict[str, Any]:
        """The manifest: what is known about the folder, and the SHA-256 of each file."""
        path = self.path / "manifest.json"
        try:
            raw = _content(path, MOST_JSON)
            manifest: dict[str, Any] = json.loads(raw)
            form, _ = manifest["format"], {**manifest["files"]}
        except (FileNotFoundError, NotADirectoryError):
            return {"format": FORMAT, "files": {}}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            raise RunError(f"{path} is damaged or unreadable: {self.remedy}.") from None
        if form not in (UNSEALED, FORMAT):
            raise RunError(
                f"{path} says run format {form}, and this aelab reads {UNSEALED} and {FORMAT}: "
                f"open it with the version that wrote it ({_writer(manifest)}) or a newer one."
            )
        if form != UNSEALED and raw != _sealed(raw.rpartition(_SEAL)[0]):
            raise RunError(f"{path} is damaged: {self.remedy}.")
        manifest.pop("sha256", None)
        return manifest

    @property
    def remedy(self) -> str:
        """What can be done where the manifest itself is damaged."""
        for folder in self.path.absolute().parents:
            if folder.name == RUNS and (folder.parent / "claims.json").is_file():
                return (
                    f"put a copy of it back, or delete the folder {self.path} and aelab resume "
                    f"{folder.parent} trains it again"
                )
        return "put a copy of it back, for nothing else says what the folder held"

    def note(self, **facts: Any) -> None:
        """Add facts to the manifest."""
        content = self.manifest() | facts | {"format": FORMAT}
        body = json.dumps(content, indent=1).encode().removesuffix(b"\n}")
        _write_atomically(self.path / "manifest.json", _sealed(body))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer. Raises RunError that names the process that is one already."""
        path = self.path / ".lock"
        lock = filelock.FileLock(path, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            holder = path.read_text(encoding="utf-8").strip() or "another process"
            raise RunError(f"{self.path} is in use by {holder}.") from None
        except OSError as error:
            raise RunError(f"Cannot write in {self.path}: {error.strerror}.") from None
        with lock:  # the system lets go of it when the process dies; what the file says is news
            path.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
            try:
                yield
            finally:
                lock.release()

    def write(self, name: str, data: bytes) -> Path:
        """Write a file whole and enter its SHA-256.

        What replaces a file is announced first: between the rename and the entry, a process that
        dies leaves the new file beside the old entry, and either is whole.
        """
        path = self.own(name)
        _make(path.parent)
        digest = hashlib.sha256(data).hexdigest()
        if self.has(name):
            self.note(announced={name: digest})
        _write_atomically(path, data)
        self.note(files=self.manifest()["files"] | {name: digest}, announced={})
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write text as UTF-8; what is no text in it, from a folder's name, becomes ``?``."""
        return self.write(name, text.encode(errors="replace"))

    def read(self, name: str, most: int | None = None) -> bytes:
        """The bytes of a file, if they are the ones that were written, and ``most`` of them."""
        path = self.own(name)
        try:
            data = _content(path, most)
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror}.") from None
        manifest, digest = self.manifest(), hashlib.sha256(data).hexdigest()
        if digest not in (manifest["files"].get(name), manifest.get("announced", {}).get(name)):
            remedy = f"; {self.remedy}" if name == "experiment.json" else ""  # others are repaired
            raise RunError(f"{path} is damaged: its SHA-256 is not the manifest's{remedy}.")
        return data

    def own(self, name: str) -> Path:
        """Where a file or folder of that name is. Raises RunError if that is not in this one."""
        path = self.path / name
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.path)):
            raise RunError(f"{path} leads out of its folder, and nothing is read or written there.")
        return path

    def damaged(self) -> dict[str, str]:
        """The files that are not what was written, each with a sentence that says so."""
        found = {}
        for name in self.manifest()["files"]:
            self.own(name)
            try:
                self.read(name)
            except RunError as error:
                found[name] = str(error)
        return found

    def has(self, name: str) -> bool:
        """Whether a file of that name was written."""
        return name in self.manifest()["files"]

    def sound(self, *names: str) -> bool:
        """Whether files of these names are there, as they were written."""
        try:
            return all(self.has(name) and self.read(name) is not None for name in names)
        except RunError:
            return False

    def remove(self, name: str) -> None:
        """Take a file out of the manifest, then off the disk."""
        path, files = self.own(name), self.manifest()["files"]
        files.pop(name, None)
        self.note(files=files)
        path.unlink(missing_ok=True)

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file as a dict."""
        content: dict[str, Any] = self._parsed(name, self.read(name, MOST_JSON))
        if not isinstance(content, dict):
            raise RunError(f"{self.path / name} is not what aelab writes: {self.remedy}.")
        return content

    def _parsed(self, name: str, text: bytes) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise RunError(f"{self.path / name} is not valid JSON: {self.remedy}.") from None

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a safetensors file, by name."""
        data = self.read(name)
        try:
            found: dict[str, Tensor] = safetensors.torch.load(data)
        except (safetensors.SafetensorError, ValueError, KeyError):  # its own hash is no proof
            raise RunError(f"{self.path / name} holds no tensors: {self.remedy}.") from None
        return found

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write JSON; a NaN or an infinity is a mistake of ours and raises."""
        self.write(name, json.dumps(content, indent=1, allow_nan=False).encode())


class CacheFolder(Folder):
    """Something made once for many runs; ``key`` is the hash of what it was made from."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(cache_path() / kind / key[:16])

    @property
    def remedy(self) -> str:
        """What is in a cache can be made again."""
        return f"delete the folder {self.path}"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Wait until nobody else makes it; whoever comes second finds it made."""
        lock = filelock.FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise RunError(
                f"Cannot use the cache {self.path}: {error.strerror}; "
                "set AELAB_CACHE to a folder that can be written."
            ) from None
        try:
            yield
        finally:
            lock.release()


class ModelFolder(Folder):
    """What one model of a run has left: history, checkpoints, weights, metrics and arrays."""

    @property
    def remedy(self) -> str:
        """The folder follows from the settings and the seed."""
        return f"put a copy of it back, or delete {self.path} and aelab resume makes it anew"

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        """Replace the history; a checkpoint has the rows up to it too."""
        self.write("history.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())

    def history(self) -> list[dict[str, Any]]:
        """One row an epoch."""
        if not self.has("history.jsonl"):
            return []
        lines = self.read("history.jsonl", MOST_JSON).splitlines()
        return [self._parsed("history.jsonl", line) for line in lines]

    def checkpoints(self) -> list[Place]:
        """Where in the training a checkpoint was kept, oldest first."""
        found = map(_CHECKPOINT.fullmatch, self.manifest()["files"])
        return sorted((int(name["epoch"]), int(name["step"] or 0)) for name in found if name)

    def write_checkpoint(self, place: Place, data: bytes) -> None:
        """Keep a state (safetensors bytes), and let go of the ones no longer needed."""
        self.write(_checkpoint(place), data)
        for old in self.checkpoints()[:-KEPT_CHECKPOINTS]:
            self.drop_checkpoint(old)

    def checkpoint(self, place: Place) -> dict[str, Tensor]:
        """The tensors of a checkpoint, verified."""
        return self.tensors(_checkpoint(place))

    def drop_checkpoint(self, place: Place) -> None:
        """Let go of a checkpoint."""
        self.remove(_checkpoint(place))

    def keep_block(self, name: str, values: NDArray[Any]) -> None:
        """Keep a part of a long measurement, so that an interrupt does not cost it."""
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        self.write(_block(name), buffer.getvalue())

    def block(self, name: str) -> NDArray[Any] | None:
        """A part that was kept whole, or None."""
        try:
            values = np.load(io.BytesIO(self.read(_block(name))), allow_pickle=False)
        except RunError:
            return None
        return np.asarray(values)

    def drop_blocks(self) -> None:
        """Let go of every part: the measurement is whole."""
        for name in [n for n in self.manifest()["files"] if n.startswith(_BLOCKS)]:
            self.remove(name)

    def write_arrays(self, arrays: Arrays) -> None:
        """Keep the arrays that figures and differences are made from."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        self.write("arrays.npz", buffer.getvalue())

    def arrays(self) -> Arrays:
        """The arrays, by name."""
        data = self.read("arrays.npz")
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as packed:
                size = sum(member.file_size for member in packed.infolist())
            if size > MOST_ARRAYS:
                raise ValueError(f"it unpacks to {size:,} bytes")
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, MemoryError) as error:
            path = self.path / "arrays.npz"
            raise RunError(f"{path} does not hold arrays of aelab: {error}.") from None


class Run(Folder):
    """A run folder."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(Path(path))
        _require_kind(self.path, "run")

    @classmethod
    def create(cls, path: Path, experiment: Mapping[str, Any], **facts: Any) -> "Run":
        """Make the folder; one that exists is never overwritten."""
        return cls(_create(path, {"experiment.json": experiment}, **facts))

    def _repr_html_(self) -> str | None:
        """The table of results, for a notebook, once there are any."""
        try:
            html: str = summary(self.metrics())._repr_mimebundle_((), ())["text/html"]
        except RunError:
            return None
        return html

    def experiment(self) -> dict[str, Any]:
        """The resolved experiment, as plain settings."""
        return self.read_json("experiment.json")

    def metrics(self) -> dict[str, Any]:
        """Everything measured; see docs/run-folder.md for its shape."""
        return self.read_json("metrics.json")

    def model_keys(self) -> list[str]:
        """The models of the run, such as ``ae-16``, in the experiment's order."""
        experiment = self.experiment()
        return [f"{name}-{d}" for d in experiment["latent_dim"] for name in experiment["models"]]

    def model(self, key: str) -> ModelFolder:
        """The folder of one model."""
        return ModelFolder(self.own(f"models/{key}"))

    def model_folders(self) -> list[ModelFolder]:
        """The folders of all models and baselines that have left something."""
        found = sorted((self.path / "models").glob("*/"))
        return [ModelFolder(self.own(f"models/{path.name}")) for path in found]

    def staging(self, key: str) -> ModelFolder:
        """Where a new evaluation of a model is kept until that of every model is complete."""
        return ModelFolder(self.own(f"{_STAGING}/{key}"))

    def begin_evaluation(self) -> None:
        """Begin a new evaluation, or continue one that was interrupted under the same versions."""
        folder, here, there = Folder(self.own(_STAGING)), environment(), None
        with contextlib.suppress(RunError):
            there = folder.manifest().get("environment")
        if there != here:
            shutil.rmtree(folder.path, ignore_errors=True)
            _make(folder.path)
            folder.note(environment=here)

    def end_evaluation(self) -> None:
        """Replace the metrics of each model by those of a new evaluation, which is complete."""
        self.own(_STAGING).rename(self.own(_STAGED))
        self.adopt_evaluation()

    def adopt_evaluation(self) -> None:
        """Replace the metrics by those of a complete evaluation, if one waits.

        The rename above decides: a process that dies in here leaves this to the next writer. The
        run's own metrics.json stays as it was, so the run counts as unfinished.
        """
        staged = self.own(_STAGED)
        if not staged.is_dir():
            return
        self.note(status="running")
        for path in sorted(staged.glob("*/")):
            new, old = ModelFolder(self.own(f"{_STAGED}/{path.name}")), self.model(path.name)
            for name in ("arrays.npz", "metrics.json"):
                old.write(name, new.read(name))
        staged.rename(self.own(_STAGING))  # half removed it must not be taken for complete
        shutil.rmtree(self.own(_STAGING))

    def history(self, key: str) -> list[dict[str, Any]]:
        """The history of one model, a row an epoch."""
        return self.model(key).history()

    def arrays(self, key: str) -> Arrays:
        """The arrays of one model."""
        return self.model(key).arrays()

    def write_figure(self, name: str, data: bytes) -> Path:
        """Keep a figure file."""
        return self.write(f"figures/{name}", data)

    def write_report(self, html: str) -> Path:
        """Keep the report."""
        return self.write_text("report.html", html)

    @property
    def explorer(self) -> Path | None:
        """The explorer, if it has been built."""
        return self.path / "explorer.html" if self.has("explorer.html") else None

    def write_explorer(self, html: str) -> Path:
        """Keep the explorer."""
        return self.write_text("explorer.html", html)

    def export_path(self, form: str) -> Path:
        """Where models go that are written for other programs, unless a place is named."""
        return self.path / "exports" / form


class Study(Folder):
    """A study folder: what was frozen first, the runs of every seed, what they say together."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(Path(path))
        _require_kind(self.path, "study")

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether there is a study."""
        return kind_of(path) == "study"

    @classmethod
    def create(
        cls,
        path: Path,
        experiment: Mapping[str, Any],
        claims: list[dict[str, Any]],
        **facts: Any,
    ) -> "Study":
        """Make the folder and freeze the claims in it, before anything is trained."""
        contents = {"experiment.json": experiment, "claims.json": {"claims": claims}}
        return cls(_create(path, contents, kind="study", **facts))

    def experiment(self) -> dict[str, Any]:
        """The settings that every run starts from."""
        return self.read_json("experiment.json")

    def claims(self) -> list[dict[str, Any]]:
        """The claims that were frozen."""
        claims: list[dict[str, Any]] = self.read_json("claims.json")["claims"]
        return claims

    def run_path(self, name: str) -> Path:
        """Where the run of that name is, or is to be."""
        return self.own(f"{RUNS}/{name}")

    def results(self) -> dict[str, Any]:
        """What the runs say together; see docs/studies.md for its shape."""
        return self.read_json("study.json")

    def write_results(self, results: Mapping[str, Any], table: str) -> None:
        """Keep the results, and the raw values of every seed as CSV."""
        self.write_text("seeds.csv", table)
        self.write_json("study.json", results)

    def write_figure(self, name: str, data: bytes) -> Path:
        """Keep a figure file."""
        return self.write(f"figures/{name}", data)

    def write_report(self, html: str) -> Path:
        """Keep the report."""
        return self.write_text("report.html", html)


class TrialFolders:
    """Where the trials of a search leave their histories and weights."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def trial(self, number: int) -> ModelFolder:
        """The folder of one trial."""
        return ModelFolder(Folder(self.path).own(f"trial-{number:04d}"))


class SearchFolder(Folder):
    """The folder of a search: settings, the database of trials, results, proof and report."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(Path(path))
        _require_kind(self.path, "search")

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether there is one."""
        return kind_of(path) == "search"

    @classmethod
    def create(
        cls, path: Path, search: Mapping[str, Any], experiment: Mapping[str, Any], **facts: Any
    ) -> "SearchFolder":
        """Make the folder; one that exists is never overwritten."""
        contents = {"search.json": search, "experiment.json": experiment}
        return cls(_create(path, contents, kind="search", **facts))

    @property
    def database(self) -> Path:
        """The trials; a database that changes, so its checksum is not in the manifest."""
        return self.path / "trials.db"

    @property
    def trials(self) -> TrialFolders:
        """What the trials have left."""
        return TrialFolders(self.own("trials"))

    def search(self) -> dict[str, Any]:
        """The settings of the search."""
        return self.read_json("search.json")

    def experiment(self) -> dict[str, Any]:
        """The experiment that the search starts from."""
        return self.read_json("experiment.json")

    def results(self) -> dict[str, Any]:
        """The trials and what they say; see docs/hyperparameters.md for the shape."""
        return self.read_json("results.json")

    def write_results(self, results: Mapping[str, Any], table: str) -> None:
        """Keep the results, and the trials as CSV."""
        self.write_text("trials.csv", table)
        self.write_json("results.json", results)

    def write_best(self, settings: str) -> None:
        """Keep the best settings as TOML."""
        self.write_text("best.toml", settings)

    def retrained(self, name: str, seed: int) -> ModelFolder:
        """What a setting, trained anew with a fresh seed, has left."""
        return ModelFolder(self.own(f"proof/{name}/seed-{seed}"))

    def proof(self) -> dict[str, Any] | None:
        """The proof, if there is one."""
        return self.read_json("proof.json") if self.has("proof.json") else None

    def write_proof(self, proof: Mapping[str, Any]) -> None:
        """Keep the proof."""
        self.write_json("proof.json", proof)

    def write_figure(self, name: str, data: bytes) -> Path:
        """Keep a figure file."""
        return self.write(f"figures/{name}", data)

    def write_report(self, html: str) -> Path:
        """Keep the report."""
        return self.write_text("report.html", html)


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot make the folder {path}: {error.strerror}.") from None


_COMMANDS = {
    "run": "show, resume, evaluate, report, explore, export and compare",
    "study": f"show, resume, evaluate and report, and its runs are in {RUNS}/",
    "search": "show, resume and report",
}


def kind_of(path: Path) -> str | None:
    """What a folder is: "run", "study", "search", or None if it is none of these."""
    manifest = Folder(path).manifest()
    return manifest.get("kind", "run") if "experiment.json" in manifest["files"] else None


def _require_kind(path: Path, kind: str) -> None:
    found = kind_of(path)
    if found is None:
        raise RunError(f"{path} is not a {kind} folder: name one that aelab {kind} has made.")
    if found != kind:
        raise RunError(f"{path} is a {found}, not a {kind}: open it with aelab {_COMMANDS[found]}.")


def opened(path: Path) -> Run | Study:
    """The run or the study in a folder."""
    return Study(path) if Study.is_at(path) else Run(path)


def _create(
    path: Path, contents: Mapping[str, Mapping[str, Any]], default: str = "", **facts: Any
) -> Path:
    """Make a folder with its first files in it, whole or not at all; gives its path.

    With ``default``, the path is ``default_path(default)``, again if another process takes it.
    """
    try:
        if default:
            path = default_path(default)
        elif path.exists():
            raise RunError(f"{path} exists: name another --out, or go on with it by aelab resume.")
        path.parent.mkdir(parents=True, exist_ok=True)
        made = _temporary(path)
        made.mkdir()
        folder = Folder(made)
        folder.note(created=now(), status="running", environment=environment(), **facts)
        for name, content in contents.items():
            folder.write_json(name, content)
        while True:
            try:
                made.rename(path)  # it never replaces a folder that has files
                return path
            except OSError as error:
                if not default or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    shutil.rmtree(made)
                    raise
                path = default_path(default)
    except OSError as error:
        raise RunError(f"Cannot make the run folder {path}: {error.strerror}.") from None


def require_space(path: Path, needed: int) -> None:
    """Refuse to begin what the disk has no room for: ``needed`` bytes, in a folder to be made."""
    try:
        there = next(parent for parent in path.absolute().parents if parent.exists())
        free = shutil.disk_usage(there).free
    except OSError:
        return  # who makes the folder will be told why it cannot be made
    if free < needed:
        takes, has = (f"{size / 1e6:,.0f} MB" for size in (needed, free))
        raise RunError(
            f"{path} would take about {takes}, and its disk has {has} free: make room, or name an "
            "--out on another disk."
        )


def default_path(preset: str) -> Path:
    """``runs/<date>-<preset>``, with a number when the day already has one."""
    stem = Path("runs") / f"{datetime.now().astimezone():%Y-%m-%d}-{preset}"
    path, count = stem, 1
    while path.exists():
        count += 1
        path = stem.with_name(f"{stem.name}-{count}")
    return path


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def environment() -> dict[str, Any]:
    """What a number can depend on beside the experiment."""
    return {
        "aelab": version("aelab"),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "matrix_products": products.library(),
        "cpus": os.cpu_count(),
        "threads_per_model": 1,
    }


_CHECKPOINT = re.compile(r"checkpoints/epoch-(?P<epoch>\d+)(-step-(?P<step>\d+))?\.safetensors")


def _checkpoint(place: Place) -> str:
    epoch, step = place
    return f"checkpoints/epoch-{epoch:05d}" + f"-step-{step:07d}" * (step > 0) + ".safetensors"


_BLOCKS = "blocks/"


def _block(name: str) -> str:
    return f"{_BLOCKS}{name}.npy"


_SEAL = b',\n "sha256": '


def _sealed(body: bytes) -> bytes:
    """A manifest that ends in the checksum of all that comes before it."""
    return body + _SEAL + b'"%s"\n}' % hashlib.sha256(body).hexdigest().encode()


def _writer(manifest: Mapping[str, Any]) -> str:
    environment = manifest.get("environment")
    known = isinstance(environment, dict) and environment.get("aelab")
    return f"aelab {known}" if known else "see its environment"


def _content(path: Path, most: int | None) -> bytes:
    """The bytes of a plain file; a pipe or a device could block or never end."""
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "it is not a plain file")
    if most is not None and facts.st_size > most:
        raise OSError(errno.EFBIG, f"it has {facts.st_size:,} bytes, and {most:,} are the most")
    return path.read_bytes()


def _temporary(path: Path) -> Path:
    """A new name beside ``path``. What ``tempfile`` creates ignores the umask."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = _temporary(path)
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
