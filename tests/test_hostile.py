"""A run folder from a stranger, every checksum right: no name leads out, nothing exhausts memory.

Markup in what the pages show is in test_report.py and test_explorer_page.py too, in a browser.
"""

import io
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import safetensors.torch
import torch

from aelab.errors import RunError
from aelab.experiment.presets import experiment_of
from aelab.lab.jobs import load_model
from aelab.lab.repair import repair
from aelab.runs import folder as folders
from aelab.runs import models
from aelab.runs.folder import Folder
from aelab.runs.models import ModelFolder
from aelab.runs.run import Run
from aelab.runs.search import SearchFolder, trial_folder
from aelab.runs.study import Study
from aelab.training.checkpoints import newest_state, write_state
from aelab.training.records import State
from tests.torture import KEY

EVIL = '"></script><script>alert(1)</script><img src=x onerror=alert(1)>'


@pytest.fixture
def run(whole: Run, tmp_path: Path) -> Run:
    return Run(shutil.copytree(whole.path, tmp_path / whole.path.name))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the user's beside the run."""
    path = tmp_path / "secret"
    path.write_text("Nobody's business.")
    return path


def mended(run: Run) -> None:
    repair(run, experiment_of(run), lambda _: None)


def name_absolute(run: Run, secret: Path) -> None:
    run.note(files=run.manifest()["files"] | {str(secret): "0" * 64})


def name_parent(run: Run, secret: Path) -> None:
    folder = run.model(KEY)
    name = os.path.relpath(secret, folder.path)
    folder.note(files=folder.manifest()["files"] | {name: "0" * 64})


def link_file(run: Run, secret: Path) -> None:
    (run.path / "report.html").unlink()
    (run.path / "report.html").symlink_to(secret)


def link_folder(run: Run, secret: Path) -> None:
    run.note(files=run.manifest()["files"] | {"figures/secret": "0" * 64})
    shutil.rmtree(run.path / "figures")
    (run.path / "figures").symlink_to(secret.parent, target_is_directory=True)


def link_model(run: Run, secret: Path) -> None:
    outside = secret.parent / "outside"
    shutil.move(run.model(KEY).path, outside)
    (run.path / "models" / KEY).symlink_to(outside, target_is_directory=True)


@pytest.mark.parametrize(
    "lead_out", [name_absolute, name_parent, link_file, link_folder, link_model]
)
def test_no_name_leads_out_of_the_folder(
    run: Run, secret: Path, lead_out: Callable[[Run, Path], None]
) -> None:
    """Mending deletes what is damaged, so such a name once deleted any file of the user's."""
    lead_out(run, secret)
    for act in (mended, lambda run: run.model(KEY).damaged() | run.damaged()):
        with pytest.raises(RunError, match="leads out of its folder"):
            act(run)
    assert secret.read_text() == "Nobody's business."
    assert {path.name for path in secret.parent.iterdir()} <= {run.path.name, "secret", "outside"}


def test_nothing_is_written_over_a_linked_lock(run: Run, secret: Path) -> None:
    (run.path / ".lock").unlink(missing_ok=True)
    (run.path / ".lock").symlink_to(secret)
    with pytest.raises(RunError, match="Cannot write in"), run.lock():
        pass
    assert secret.read_text() == "Nobody's business."


def test_a_run_of_a_study_is_in_it(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study", {}, [], claims_hash="")
    with pytest.raises(RunError, match="leads out of its folder"):
        study.run_path("../../elsewhere")


@pytest.mark.parametrize("linked", ["trials", "trials/trial-0000", "proof", "proof/recipe/seed-1"])
def test_no_folder_of_a_search_leads_out_of_it(linked: str, tmp_path: Path) -> None:
    search = SearchFolder.create(tmp_path / "search", {}, {})
    (tmp_path / "outside").mkdir()
    link = search.path / linked
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "outside", target_is_directory=True)
    open_it = {
        "trials": lambda: trial_folder(search.own("trials"), 0),
        "proof": lambda: search.retrained("recipe", 1),
    }
    with pytest.raises(RunError, match="leads out of its folder"):
        open_it[linked.partition("/")[0]]()
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("history", [b"{", b"{}", b"[1, 2]", b"[{}, {}]", b"[" * 100_000, b"\xff"])
def test_a_checkpoint_without_a_history_is_passed_over(history: bytes, tmp_path: Path) -> None:
    folder = ModelFolder(tmp_path)
    rows = [{"epoch": 1, "seconds": 1.0, "validation": {"total": 1.0, "weights": {}}}]
    write_state(folder, State(1, {"model/w": torch.ones(1)}), rows)
    bad = {"model/w": torch.zeros(1), "history": torch.tensor([*history], dtype=torch.uint8)}
    folder.write_checkpoint(2, safetensors.torch.save(bad))
    state, found, [warning] = newest_state(folder)
    assert (state.epoch if state else None, found) == (1, rows)
    assert "The checkpoint of epoch 2 holds no history. Falling back" in warning
    assert list(folder.checkpoints()) == [1, 2]  # training removes it


def test_a_pipe_is_no_file(run: Run) -> None:
    path = run.path / "report.html"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RunError, match="not a plain file"):
        run.read("report.html")


def zeros(size: int) -> bytes:
    """An npz with one array of so many bytes."""
    buffer = io.BytesIO()
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size},), }}".ljust(117) + "\n"
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("codes.npy", "w", force_zip64=True) as member,
    ):
        member.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode())
        for _ in range(size >> 24):
            member.write(bytes(1 << 24))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("arrays.npz", lambda: zeros(1 << 27), r"unpacks to 134,\d+,\d+ bytes"),
        ("arrays.npz", lambda: b"\x93NUMPY", "not hold arrays"),
        ("metrics.json", lambda: b"[" * 100_000, "not valid JSON"),
        ("metrics.json", lambda: b'{"a": ' + b"1" * 5_000 + b"}", "not valid JSON"),
        ("metrics.json", lambda: b"[]", "not what aelab writes"),
        ("metrics.json", lambda: b"[" + b"[]," * 400_000 + b"[]]", "are the most"),
        ("history.jsonl", lambda: b"{}\n" * 400_000, "are the most"),
        ("history.jsonl", lambda: b"nonsense", "not valid JSON"),
    ],
)
def test_nothing_is_unpacked_or_parsed_without_a_bound(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, content: Callable[[], bytes], said: str
) -> None:
    """The bounds are lowered here: they are checked before memory is taken."""
    monkeypatch.setattr(models, "MOST_ARRAYS", 1 << 26)
    for module in (folders, models):
        monkeypatch.setattr(module, "MOST_JSON", 1 << 20)
    folder = run.model(KEY)
    folder.write(name, content())
    readers: dict[str, Callable[[], object]] = {
        "arrays.npz": folder.arrays,
        "metrics.json": lambda: folder.read_json("metrics.json"),
        "history.jsonl": folder.history,
    }
    tracemalloc.start()
    try:
        with pytest.raises(RunError, match=said):
            readers[name]()
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()


def test_a_manifest_is_bounded_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (folders, models):
        monkeypatch.setattr(module, "MOST_JSON", 1000)
    with pytest.raises(RunError, match=r"manifest\.json is damaged or unreadable"):
        Folder(run.path).manifest()


def test_a_network_is_not_built_larger_than_its_weights(run: Run) -> None:
    """Settings that name ten million units take 60 GB; what was trained has sixteen."""
    settings = run.experiment()
    settings["network"]["hidden"] = [10_000_000]
    run.write_json("experiment.json", settings)
    with pytest.raises(RunError, match="not of the network"):
        load_model(run, KEY)


def huge_png(side: int) -> bytes:
    """A black PNG of one bit a pixel; at 50,000 a side it is 0.3 MB here and 2.5 GB drawn."""
    packer, row = zlib.compressobj(1), bytes(1 + (side + 7) // 8)
    pixels = b"".join(packer.compress(row * 100) for _ in range(side // 100)) + packer.flush()
    chunks = {b"IHDR": struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0), b"IDAT": pixels}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (*chunks.items(), (b"IEND", b""))
    )


class Markup(HTMLParser):
    """Counts what a hostile name would have put into a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.scripts = self.handlers = 0
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.handlers += sum(name.startswith("on") or value == "x" for name, value in attrs)


def test_a_report_of_a_hostile_run_is_inert_and_small(whole: Run, run: Run) -> None:
    """Markup in everything that is shown, and an image of 50,000 × 50,000 among the figures."""
    run.write_figure("huge.png", huge_png(50_000))
    data = run.manifest()["data"]
    run.note(data=data | {"name": EVIL, "why": EVIL, "split": EVIL, "label_names": [EVIL] * 10})
    folder = run.model(KEY)
    folder.write_json("metrics.json", folder.read_json("metrics.json") | {"title": EVIL})
    run.remove("metrics.json")  # it is collected again from these
    process = subprocess.Popen(
        [sys.executable, "-m", "aelab", "report", run.path],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = process.stderr.read() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.communicate()
    assert process.returncode == 0, said
    assert usage.ru_maxrss < 2_000_000  # kB
    for name in ("report.html", "explorer.html"):
        page, honest = Markup(run.path / name), Markup(whole.path / name)
        assert "alert(1)" in (run.path / name).read_text(encoding="utf-8")
        assert page.handlers == 0
        assert page.scripts == honest.scripts
