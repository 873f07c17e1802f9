"""A data set as files that processes map into memory: they share it."""

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aelab.data.dataset import PARTS, Data, Split


def share(data: Data, folder: Path) -> None:
    """Write the data to a folder, whole or not at all, unless it is there.

    Where there is no room for them, nothing is written, and processes read the data themselves.
    """
    if folder.exists():
        return
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    with contextlib.suppress(OSError):
        new.mkdir()
        for part in PARTS:
            split: Split = getattr(data, part)
            np.save(new / f"{part}-images.npy", split.images, allow_pickle=False)
            np.save(new / f"{part}-labels.npy", split.labels, allow_pickle=False)
        facts = {
            field.name: getattr(data, field.name)
            for field in dataclasses.fields(data)
            if field.name not in PARTS
        }
        (new / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        new.rename(folder)
    shutil.rmtree(new, ignore_errors=True)


def shared(folder: Path) -> Data | None:
    """The data of a folder, copied where they are written to; None if they are not there."""
    if not folder.exists():
        return None
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    facts |= {name: tuple(facts[name]) for name in ("image_size", "label_names")}

    def mapped(name: str) -> NDArray[Any]:
        return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False))

    for part in PARTS:
        facts[part] = Split(mapped(f"{part}-images"), mapped(f"{part}-labels"))
    return Data(**facts)
