import contextlib
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aelab.cli.commands import COMMANDS
from aelab.errors import RunError
from aelab.runs.creation import default_path
from aelab.runs.folder import FORMAT, FORMAT_1, Folder
from aelab.runs.models import ModelFolder
from aelab.runs.run import Run
from aelab.runs.search import SearchFolder
from aelab.runs.study import Study
from aelab.search import resume_search
from aelab.search.worker import join_search
from aelab.studies.study import resume_study
from aelab.training.checkpoints import best_epoch, newest_state, write_state
from aelab.training.records import State


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", {"models": ["ae"], "latent_dim": [2]}, data={})


def test_what_is_written_is_read_and_its_checksum_is_kept(run: Run) -> None:
    run.write("figures/a.svg", b"<svg/>")
    assert run.read("figures/a.svg") == b"<svg/>"
    assert run.model_keys() == ["ae-2"]
    expected = hashlib.sha256(b"<svg/>").hexdigest()
    assert run.manifest()["files"]["figures/a.svg"] == expected
    leftovers = [p for p in run.path.rglob(".*") if p.name != ".lock"]
    assert leftovers == []


@pytest.mark.parametrize(
    ("umask", "folder", "file"), [(0o077, 0o700, 0o600), (0o002, 0o775, 0o664)]
)
def test_rights_follow_the_umask(tmp_path: Path, umask: int, folder: int, file: int) -> None:
    before = os.umask(umask)
    try:
        run = Run.create(tmp_path / "run", {})
        run.write("figures/a.svg", b"<svg/>")
    finally:
        os.umask(before)
    rights = {stat.S_IMODE(path.stat().st_mode) for path in (run.path, run.path / "figures")}
    assert rights == {folder}
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {file}
    assert len(files) == 3


def test_a_default_path_that_another_process_takes_meanwhile_gets_the_next_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = Run.create(default_path("quick"), {}, default="quick")
    taken = iter([first.path])  # what the second process finds before the first has it
    monkeypatch.setattr(
        "aelab.runs.results.default_path", lambda name: next(taken, None) or default_path(name)
    )
    second = Run.create(first.path, {}, default="quick")
    assert second.path.name == f"{first.path.name}-2"
    assert sorted(Path("runs").iterdir()) == [first.path, second.path]
    with pytest.raises(RunError, match="exists: name another --out"):
        Run.create(first.path, {})


def test_a_folder_is_shown_with_its_status_and_a_run_as_its_table(
    whole: Run, run: Run, tmp_path: Path
) -> None:
    assert repr(whole) == f"<Run {whole.path}: finished>"
    search = SearchFolder.create(tmp_path / "search", {}, {})
    assert repr(search) == f"<SearchFolder {search.path}: running>"
    html = whole._repr_html_()
    assert html is not None
    assert "MSE per pixel" in html
    assert "<pre" in html
    assert run._repr_html_() is None
    (run.path / "manifest.json").write_text("{")
    assert repr(run) == f"<Run {run.path}: damaged>"


def test_a_name_that_is_not_utf8_does_not_stop_a_page(tmp_path: Path) -> None:
    run = Run.create(tmp_path / os.fsdecode(b"caf\xe9"), {"data": os.fsdecode(b"d\xe9")})
    assert run.write_report(f"<h1>{run.path.name}</h1>").read_bytes() == b"<h1>caf?</h1>"
    assert run.experiment() == {"data": "d\udce9"}
    assert run.damaged() == {}


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_damage_is_named_and_never_used(run: Run, damage: str) -> None:
    path = run.write("figures/a.png", b"0123456789")
    if damage == "flip":
        path.write_bytes(b"0123456780")
    elif damage == "truncate":
        path.write_bytes(b"012")
    else:
        path.unlink()
    with pytest.raises(RunError, match=r"a\.png"):
        run.read("figures/a.png")


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("survived", range(8))
def test_what_is_replaced_is_old_or_new_wherever_the_writer_dies(
    run: Run, monkeypatch: pytest.MonkeyPatch, step: str, survived: int
) -> None:
    run.write("history", b"old")
    real, calls = getattr(os, step), 0

    def mortal(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls > survived:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, step, mortal)
        with contextlib.suppress(KeyboardInterrupt):
            run.write("history", b"new")
    found = run.read("history")
    assert found in (b"old", b"new")
    if calls <= survived:  # it was not interrupted
        assert found == b"new"
    run.write("history", b"newer")
    assert run.read("history") == b"newer"


def test_a_folder_that_exists_is_never_overwritten(run: Run) -> None:
    with pytest.raises(RunError, match="exists: name another --out"):
        Run.create(run.path, {})


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        Run(tmp_path)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        *((command, "search") for command in ("evaluate", "evaluate --ais", "explore", "export")),
        *((command, "study") for command in ("evaluate --ais", "explore", "export")),
    ],
)
def test_a_command_refuses_a_folder_of_another_kind_and_makes_nothing(
    command: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "folder"
    if kind == "study":
        Study.create(path, {}, [], claims_hash="")
    else:
        SearchFolder.create(path, {}, {})
    before = {file: file.read_bytes() for file in path.iterdir()}
    verb, *flags = command.split()
    with pytest.raises(RunError, match=f"is a {kind}, not a run: open it with aelab show, resume"):
        COMMANDS[verb]([str(path), *flags])
    assert {file: file.read_bytes() for file in path.iterdir()} == before


def test_a_run_is_no_study_or_search_and_no_place_for_weights(run: Run) -> None:
    with pytest.raises(RunError, match="is a run, not a study: open it with aelab show"):
        resume_study(run.path)
    with pytest.raises(RunError, match="is a run, not a search"):
        resume_search(run.path)
    with pytest.raises(RunError, match="is the folder of a run: name another --weights"):
        join_search("sqlite:///unused", "aelab", weights=run.path)


def test_reading_makes_no_folder(run: Run) -> None:
    before = sorted(run.path.rglob("*"))
    assert run.model("ae-2").history() == []
    assert not run.model("vae-2").has("metrics.json")
    assert sorted(run.path.rglob("*")) == before


def test_another_format_is_refused_with_a_remedy(run: Run) -> None:
    path = run.path / "manifest.json"
    path.write_text(json.dumps(run.manifest() | {"format": FORMAT + 1}))
    with pytest.raises(RunError, match="open it with the version that wrote it"):
        run.manifest()


def test_the_format_before_opens_and_is_sealed_by_the_next_write(run: Run) -> None:
    path = run.path / "manifest.json"
    path.write_text(json.dumps(run.manifest() | {"format": FORMAT_1}))
    assert run.experiment()["models"] == ["ae"]
    run.note(status="finished")
    assert run.manifest()["format"] == FORMAT
    path.write_bytes(path.read_bytes().replace(b"finished", b"finishes"))
    with pytest.raises(RunError, match=r"manifest\.json is damaged: put a copy of it back"):
        run.manifest()


def test_any_flipped_bit_and_any_cut_of_a_manifest_is_told(run: Run) -> None:
    path = run.path / "manifest.json"
    sound = path.read_bytes()
    harms = [sound[:length] for length in range(len(sound))]
    harms += [
        sound[:place] + bytes([sound[place] ^ 1 << bit]) + sound[place + 1 :]
        for place in range(len(sound))
        for bit in range(8)
    ]
    for harm in harms:
        path.write_bytes(harm)
        with pytest.raises(RunError, match=r"manifest\.json (is damaged|says run format)"):
            run.manifest()


def test_one_writer_at_a_time(run: Run) -> None:
    with run.lock(), pytest.raises(RunError, match="in use"), Run(run.path).lock():
        raise AssertionError("two writers")
    with run.lock():
        pass


def history(epochs: int) -> list[dict[str, Any]]:
    """The least that a record of an epoch holds."""
    validation = {"total": 1.0, "weights": {}}
    return [{"epoch": e + 1, "seconds": 1.0, "validation": validation} for e in range(epochs)]


def test_old_checkpoints_go_and_a_damaged_one_falls_back(run: Run) -> None:
    folder = run.model("ae-2")
    for epoch in (1, 2, 3):
        state = State(epoch, {"x": torch.tensor([float(epoch)])})
        write_state(folder, state, history(epoch))
    assert list(folder.checkpoints()) == [2, 3]
    assert len(list((folder.path / "checkpoints").iterdir())) == 2
    newest = max((folder.path / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1] + b"\x00")
    found, rows, warnings = newest_state(folder)
    assert found is not None
    assert (found.epoch, len(rows)) == (2, 2)
    assert found.tensors["x"].item() == 2
    assert len(warnings) == 1
    assert newest.name in warnings[0]
    assert list(folder.checkpoints()) == [2, 3]  # finding one removes nothing


def test_arrays_and_history_round_trip(run: Run) -> None:
    folder = run.model("ae-2")
    assert folder.history() == []
    folder.write_history([{"epoch": 1}, {"epoch": 2}])
    assert run.history("ae-2") == [{"epoch": 1}, {"epoch": 2}]
    folder.write_arrays({"a/b": np.arange(3)}, {})
    np.testing.assert_array_equal(run.arrays("ae-2")["a/b"], np.arange(3))


def test_nan_is_never_written_as_json(run: Run) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        run.write_json("metrics.json", {"mse": float("nan")})


def test_an_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(RunError, match="Cannot make the run folder"):
        Run.create(blocker / "run", {})
    with pytest.raises(RunError, match="Cannot write"):
        Folder(tmp_path / "absent").note(a=1)


def test_the_default_path_takes_a_free_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = default_path("quick")
    first.mkdir(parents=True)
    assert default_path("quick").name == first.name + "-2"


def test_best_epoch_compares_only_equal_objectives() -> None:
    def row(epoch: int, total: float, kl: float) -> dict[str, object]:
        return {"epoch": epoch, "validation": {"total": total, "weights": {"kl": kl}}}

    assert best_epoch([row(1, 5, 0.0), row(2, 9, 1.0), row(3, 8, 1.0), row(4, 10, 1.0)]) == 3


def test_a_model_folder_lists_no_checkpoints_at_first(tmp_path: Path) -> None:
    assert list(ModelFolder(tmp_path).checkpoints()) == []
