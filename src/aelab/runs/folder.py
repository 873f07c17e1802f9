"""Folders whose files are written whole or not at all, and verified when they are read.

Every file is written to a temporary name, flushed to the disk and renamed. Its SHA-256 is in the
manifest of the folder, and reading checks it; the manifest ends in a checksum of itself. A folder
has one writer: the parent process writes the files of a run, each worker those of its model.

A folder may come from a stranger: no name in it leads to a file outside, and the size of its
content is limited before it is unpacked or parsed.
"""

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from aelab.data.cache import cache_path, require_cache
from aelab.errors import RunError
from aelab.runs.files import content, write_atomically

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 2
FORMAT_1 = 1  # had no checksum of the manifest, and no history in checkpoints
MOST_JSON = 2**26  # bytes; parsed it takes up to twenty times as much memory
RUNS = "runs"  # the folder of a study's runs


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
            raw = content(path, MOST_JSON)
            manifest: dict[str, Any] = json.loads(raw)
            form, _ = manifest["format"], {**manifest["files"]}
        except (FileNotFoundError, NotADirectoryError):
            return {"format": FORMAT, "files": {}}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            raise RunError(f"{path} is damaged or unreadable: {self.remedy}.") from None
        if form not in (FORMAT_1, FORMAT):
            raise RunError(
                f"{path} says run format {form}, and this aelab reads {FORMAT_1} and {FORMAT}: "
                f"open it with the version that wrote it ({_writer(manifest)}) or a newer one."
            )
        if form != FORMAT_1 and raw != _with_checksum(raw.rpartition(_CHECKSUM)[0]):
            raise RunError(f"{path} is damaged: {self.remedy}.")
        manifest.pop("sha256", None)
        return manifest

    @property
    def remedy(self) -> str:
        """What the user can do if the manifest is damaged."""
        for folder in self.path.absolute().parents:
            if folder.name == RUNS and (folder.parent / "claims.json").is_file():
                return (
                    f"put a copy of it back, or delete the folder {self.path} and train it again "
                    f"by aelab resume {folder.parent}"
                )
        return "put a copy of it back; it cannot be made again"

    def note(self, **facts: Any) -> None:
        """Add facts to the manifest."""
        content = self.manifest() | facts | {"format": FORMAT}
        body = json.dumps(content, indent=1).encode().removesuffix(b"\n}")
        write_atomically(self.path / "manifest.json", _with_checksum(body))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer. Raises RunError, with the name of the process, if there is one."""
        path = self.path / ".lock"
        lock = filelock.FileLock(path, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            holder = path.read_text(encoding="utf-8").strip() or "another process"
            raise RunError(f"{self.path} is in use by {holder}.") from None
        except OSError as error:
            raise RunError(f"Cannot write in {self.path}: {error.strerror}.") from None
        try:  # the system releases it when the process dies
            path.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
            yield
        finally:
            lock.release()

    def write(self, name: str, data: bytes) -> Path:
        """Write a file whole, and its SHA-256 to the manifest.

        The SHA-256 of a file that replaces another is written ahead: if the process dies after the
        rename and before the entry, the new file is valid beside the old entry.
        """
        path = self.own(name)
        make_folder(path.parent)
        digest = hashlib.sha256(data).hexdigest()
        if self.has(name):
            self.note(announced={name: digest})
        write_atomically(path, data)
        self.note(files=self.manifest()["files"] | {name: digest}, announced={})
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write text as UTF-8; bytes that are none, from a folder's name, become ``?``."""
        return self.write(name, text.encode(errors="replace"))

    def read(self, name: str, most: int | None = None) -> bytes:
        """The bytes of a file, at most ``most``. Raises RunError unless they are as written."""
        path = self.own(name)
        try:
            data = content(path, most)
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror}.") from None
        manifest, digest = self.manifest(), hashlib.sha256(data).hexdigest()
        if digest not in (manifest["files"].get(name), manifest.get("announced", {}).get(name)):
            remedy = f"; {self.remedy}" if name == "experiment.json" else ""  # others are repaired
            raise RunError(f"{path} is damaged: its SHA-256 is not the manifest's{remedy}.")
        return data

    def own(self, name: str) -> Path:
        """The path of a file or folder in this one. Raises RunError if it leads outside."""
        path = self.path / name
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.path)):
            raise RunError(f"{path} leads out of its folder, and nothing is read or written there.")
        return path

    def damaged(self) -> dict[str, str]:
        """The files that are not as they were written, each with a sentence."""
        found = {}
        for name in self.manifest()["files"]:
            self.own(name)  # raises for a name that leads outside
            try:
                self.read(name)
            except RunError as error:
                found[name] = str(error)
        return found

    def has(self, name: str) -> bool:
        """Whether a file of that name was written."""
        return name in self.manifest()["files"]

    def sound(self, *names: str) -> bool:
        """Whether files of these names exist, as they were written."""
        try:
            return all(self.has(name) and self.read(name) is not None for name in names)
        except RunError:
            return False

    def remove(self, name: str) -> None:
        """Delete a file, from the manifest first."""
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

    def tensors(self, name: str) -> "dict[str, Tensor]":
        """The tensors of a safetensors file, by name."""
        import safetensors.torch  # which loads torch, and a report needs neither

        data = self.read(name)
        try:
            found: dict[str, Tensor] = safetensors.torch.load(data)
        except (safetensors.SafetensorError, ValueError, KeyError):  # whatever its checksum says
            raise RunError(f"{self.path / name} holds no tensors: {self.remedy}.") from None
        return found

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write JSON. Raises ValueError for a NaN or an infinity."""
        self.write(name, json.dumps(content, indent=1, allow_nan=False).encode())


class CacheFolder(Folder):
    """The folder of something made once for many runs.

    ``kind`` says what it is, and ``key`` is a hash of what it was made from.
    """

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(cache_path() / kind / key[:16])

    @property
    def remedy(self) -> str:
        """What the user can do: the content of a cache is made again."""
        return f"delete the folder {self.path}"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Wait until no other process makes it."""
        make_folder(require_cache(self.path))
        with filelock.FileLock(self.path / ".lock"):
            yield


def make_folder(path: Path) -> None:
    """Make a folder and its parents. Raises RunError if it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot make the folder {path}: {error.strerror}.") from None


_CHECKSUM = b',\n "sha256": '


def _with_checksum(body: bytes) -> bytes:
    """A manifest that ends in the checksum of all that comes before it."""
    return body + _CHECKSUM + b'"%s"\n}' % hashlib.sha256(body).hexdigest().encode()


def _writer(manifest: Mapping[str, Any]) -> str:
    environment = manifest.get("environment")
    known = isinstance(environment, dict) and environment.get("aelab")
    return f"aelab {known}" if known else "see its environment"
