"""The folder of one model: checkpoints, history, weights, arrays and metrics."""

import io
import json
import re
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aelab.errors import RunError
from aelab.runs.folder import MOST_JSON, Folder

MOST_ARRAYS = 2**31  # bytes of all arrays of a model, unpacked
KEPT_CHECKPOINTS = 2  # the newest, and one to fall back on
Arrays = dict[str, NDArray[Any]]
_PER_IMAGE = "per_image/"
_CHECKPOINT = re.compile(r"checkpoints/epoch-(\d+)\.safetensors")


class ModelFolder(Folder):
    """The folder of one model of a run: history, checkpoints, weights, metrics and arrays."""

    @property
    def remedy(self) -> str:
        """What can be done: settings and seed give the same model again."""
        return f"put a copy of it back, or delete {self.path} and run aelab resume"

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        """Write the history; a checkpoint has the rows up to its epoch too."""
        self.write("history.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())

    def history(self) -> list[dict[str, Any]]:
        """The history, one row per epoch."""
        if not self.has("history.jsonl"):
            return []
        lines = self.read("history.jsonl", MOST_JSON).splitlines()
        return [self._parsed("history.jsonl", line) for line in lines]

    def checkpoints(self) -> dict[int, str]:
        """The files of the checkpoints by epoch, oldest first."""
        found = map(_CHECKPOINT.fullmatch, self.manifest()["files"])
        return dict(sorted((int(name[1]), name[0]) for name in found if name))

    def write_checkpoint(self, epoch: int, data: bytes) -> None:
        """Write a state (safetensors bytes), and delete those no longer needed."""
        self.write(f"checkpoints/epoch-{epoch:05d}.safetensors", data)
        for old in list(self.checkpoints().values())[:-KEPT_CHECKPOINTS]:
            self.remove(old)

    def keep_block(self, name: str, values: NDArray[Any]) -> None:
        """Write a part of a long evaluation, so that an interrupt does not lose it."""
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        self.write(f"blocks/{name}.npy", buffer.getvalue())

    def block(self, name: str) -> NDArray[Any] | None:
        """A part that was written, or None."""
        try:
            values = np.load(io.BytesIO(self.read(f"blocks/{name}.npy")), allow_pickle=False)
        except RunError:
            return None
        return np.asarray(values)

    def drop_blocks(self) -> None:
        """Delete all parts; the evaluation is complete."""
        for name in [n for n in self.manifest()["files"] if n.startswith("blocks/")]:
            self.remove(name)

    def write_arrays(self, arrays: Arrays, per_image: Arrays) -> None:
        """Write the arrays of figures, and the metrics of each test image."""
        buffer = io.BytesIO()
        named = {_PER_IMAGE + name: values for name, values in per_image.items()}
        np.savez_compressed(buffer, allow_pickle=False, **arrays, **named)
        self.write("arrays.npz", buffer.getvalue())

    def per_image(self) -> Arrays:
        """The metrics of each test image, by name."""
        arrays = self.arrays().items()
        return {n.removeprefix(_PER_IMAGE): a for n, a in arrays if n.startswith(_PER_IMAGE)}

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
