"""Damage to any file of a run: told by its name, never used, mended from what is left."""

import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from aelab.data.sources import Source
from aelab.errors import DataError, RunError, TrainingError
from aelab.experiment.presets import validate
from aelab.experiment.settings import Experiment
from aelab.lab import run as lab
from aelab.lab.data import load
from aelab.lab.repair import repair
from aelab.lab.report import explore, explorer_page, rebuild
from aelab.lab.run import check_likelihood, evaluate, resume
from aelab.lab.training import train as train_model
from aelab.runs.folder import Folder
from aelab.runs.pool import Event
from aelab.runs.run import Run
from aelab.runs.search import SearchFolder
from aelab.runs.study import Study
from aelab.search import resume_search
from tests.bad_inputs import cut, flipped
from tests.idx_files import make_set, write_set
from tests.torture import KEY, Ground, new_run, timeless

HARMS = {"flipped": flipped, "cut": cut}
IRREPLACEABLE = ("manifest.json", "experiment.json")
PUT_BACK = ("weights.safetensors", "history.jsonl")


def harm(path: Path, how: str = "flipped") -> None:
    path.write_bytes(HARMS[how](path.read_bytes(), np.random.default_rng(0)))


def contents(run: Folder) -> dict[Path, bytes]:
    """Every file of a folder but the lock, which has no content that counts."""
    paths = [path for path in run.path.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path: path.read_bytes() for path in paths}


def folder_of(run: Run, path: Path) -> Folder:
    return next((f for f in run.model_folders() if f.path in path.parents), Folder(run.path))


def settings(run: Run) -> Experiment:
    return validate(run.experiment(), str(run.path))


def warned(events: list[Event]) -> list[str]:
    contents = [event.content for event in events if isinstance(event.content, dict)]
    return [content["warning"] for content in contents if "warning" in content]


@pytest.fixture
def copy(whole: Run, tmp_path: Path) -> Run:
    return Run(shutil.copytree(whole.path, tmp_path / whole.path.name))


@pytest.mark.parametrize("how", HARMS)
def test_damage_to_any_file_of_a_finished_run_is_told_and_mended(copy: Run, how: str) -> None:
    """What can be put back has the same bytes; all else is left out, to be made again."""
    sound = contents(copy)
    assert len(sound) > 30
    for path, data in sound.items():
        told: list[str] = []
        harm(path, how)
        if path.name in IRREPLACEABLE:
            with pytest.raises(RunError, match=re.escape(f"{path} ") + "(is damaged|says run)"):
                repair(copy, settings(copy), told.append)
        else:
            repair(copy, settings(copy), told.append)
            assert len(told) == 1
            assert told[0].startswith(f"{path} is damaged")
            folder = folder_of(copy, path)
            name = path.relative_to(folder.path).as_posix()
            assert folder.has(name) == path.exists() == (name in PUT_BACK)
            if path.exists():
                assert path.read_bytes() == data
            if name == "arrays.npz":
                assert not folder.has("metrics.json")
            missed = not name.startswith("checkpoints/")
            assert copy.manifest()["status"] == ("running" if missed else "finished")
        for each, content in sound.items():
            if not each.exists() or each.read_bytes() != content:
                each.write_bytes(content)


def test_what_a_resume_finds_damaged_it_makes_again(copy: Run) -> None:
    """A file of every kind at once: nothing is trained, and the same bytes come back."""
    sound, figure = contents(copy), min((copy.path / "figures").iterdir())
    harmed = [
        copy.model(KEY).path / "weights.safetensors", copy.model(KEY).path / "arrays.npz",
        copy.model("pca-3").path / "metrics.json", copy.path / "metrics.json",
        copy.path / "report.html", copy.path / "explorer.html", figure,
    ]  # fmt: skip
    for path in harmed:
        harm(path)
    copy.note(environment=copy.manifest()["environment"] | {"torch": "1.0"})
    events: list[Event] = []
    done = resume(copy.path, watch=events.append)
    *damages, elsewhere = warned(events)
    assert sorted(text.split(" is damaged")[0] for text in damages) == sorted(map(str, harmed))
    assert re.search(r"begun elsewhere \(torch 1\.0 there, 2\.\S+ here\)", elsewhere)
    assert not any(isinstance(e.content, dict) and "epoch" in e.content for e in events)
    assert done.manifest()["status"] == "finished"
    differ = [path.name for path in harmed if path.read_bytes() != sound[path]]
    assert differ == ["report.html"]  # which tells the seconds, that have become more


def test_the_report_is_made_again_from_what_is_sound(copy: Run) -> None:
    sound = contents(copy)
    for name in ("report.html", "metrics.json", "explorer.html"):
        harm(copy.path / name)
    events: list[Event] = []
    rebuild(copy.path, events.append)
    assert len(warned(events)) == 3
    assert {p: d for p, d in contents(copy).items() if p.name != "manifest.json"} == {
        p: d for p, d in sound.items() if p.name != "manifest.json"
    }


def test_the_report_says_what_must_be_measured_again(copy: Run) -> None:
    harm(copy.model("pixels").path / "metrics.json")
    before = contents(copy)
    with pytest.raises(RunError, match="has no metrics of pixels: run aelab resume"):
        rebuild(copy.path)
    assert contents(copy) == before


def test_a_damaged_explorer_is_never_opened(
    copy: Run, whole: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "aelab.lab.report.report_run", lambda run: run.path
    )  # takes seconds, and is tested above
    harm(copy.path / "explorer.html")
    page = explorer_page(copy)
    assert page.read_bytes() == (whole.path / "explorer.html").read_bytes()


def test_without_weights_and_checkpoints_nothing_is_measured(copy: Run) -> None:
    folder = copy.model(KEY)
    harm(folder.path / "weights.safetensors")
    for path in (folder.path / "checkpoints").iterdir():
        harm(path)
    before = contents(copy)
    with pytest.raises(RunError, match=rf"no weights of {KEY}, or damaged ones: run aelab resume"):
        evaluate(copy.path)
    assert contents(copy) == before


def test_a_history_that_no_checkpoint_has_is_named(copy: Run) -> None:
    folder = copy.model(KEY)
    for path in (folder.path / "history.jsonl", *(folder.path / "checkpoints").iterdir()):
        harm(path)
    before = contents(copy)
    with pytest.raises(RunError, match=r"history\.jsonl is damaged, and no checkpoint has it"):
        resume(copy.path)
    assert contents(copy) == before


# --- commands that fail leave every file as it was ---


def without_data(run: Run | Study | SearchFolder) -> None:
    """Let the manifest say that the data were where nothing is any more."""
    source = run.manifest()["source"]
    run.note(source=source | {"files": {role: f"/gone/{role}" for role in source["files"]}})


def test_without_the_data_of_a_run_nothing_changes(copy: Run, tmp_path: Path) -> None:
    without_data(copy)
    other = tmp_path / "other"
    write_set(other, make_set(train=401, test=60, height=12, width=12))
    commands: list[Callable[..., object]] = [
        partial(evaluate, copy.path), partial(check_likelihood, copy), partial(explore, copy),
        partial(resume, copy.path),
    ]  # fmt: skip
    for command in commands:
        if command is commands[-1]:
            copy.note(status="running")
        before = contents(copy)
        with pytest.raises(DataError, match=r"no longer in /gone: name the folder .* by --data"):
            command()
        with pytest.raises(DataError, match=r"other is not the data of .*: the checksums differ"):
            command(data=str(other))
        assert contents(copy) == before


def test_moved_data_are_found_by_their_checksums(copy: Run, ground: Ground) -> None:
    files = copy.manifest()["source"]["files"]
    without_data(copy)
    resume(copy.path, data=str(ground.folder / "digits"))
    assert copy.manifest()["source"]["files"] == files
    assert copy.manifest()["status"] == "finished"


def test_without_the_data_of_a_search_nothing_changes(proved: SearchFolder, tmp_path: Path) -> None:
    search = SearchFolder(shutil.copytree(proved.path, tmp_path / "search"))
    without_data(search)
    search.note(status="running")
    before = contents(search)
    with pytest.raises(DataError, match="no longer in /gone"):
        resume_search(search.path)
    assert contents(search) == before


def test_an_evaluation_that_fails_leaves_the_metrics_from_before(
    copy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> dict[str, str]:
        copy.staging(KEY).write_json("metrics.json", {"new": True})
        return {"pixels": "Out of memory."}

    before = contents(copy)
    monkeypatch.setattr(lab, "run_all", fail)
    with pytest.raises(TrainingError, match=r"pixels could not be evaluated, and .* keeps its old"):
        evaluate(copy.path)
    after = contents(copy)
    assert {path: after[path] for path in before} == before
    copy.begin_evaluation()
    assert copy.staging(KEY).read_json("metrics.json") == {"new": True}  # to be continued


def test_an_evaluation_of_other_versions_is_not_continued(
    copy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy.begin_evaluation()
    copy.staging(KEY).write_json("metrics.json", {})
    monkeypatch.setattr("aelab.runs.run.environment", lambda: {"aelab": "9"})
    copy.begin_evaluation()
    assert not copy.staging(KEY).has("metrics.json")


def test_metrics_are_replaced_all_together_even_if_the_process_dies(
    copy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [KEY, "pca-3", "pixels"]
    old = {key: copy.model(key).read_json("metrics.json") for key in keys}
    copy.begin_evaluation()
    for key in keys:
        copy.staging(key).write_arrays(copy.arrays(key), {})
        copy.staging(key).write_json("metrics.json", old[key] | {"new": True})
    assert copy.model(KEY).read_json("metrics.json") == old[KEY]
    write, count = Folder.write, 0

    def die_at_the_third(folder: Folder, name: str, data: bytes) -> Path:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return write(folder, name, data)

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "write", die_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            copy.end_evaluation()
    assert copy.manifest()["status"] == "running"
    monkeypatch.setattr("aelab.lab.report.report_run", lambda run, *_, **__: run.path)
    rebuild(copy.path)
    metrics = copy.metrics()
    assert all({**metrics["models"], **metrics["baselines"]}[key]["new"] for key in keys)
    assert copy.manifest()["status"] == "finished"
    assert not list(copy.path.glob("evaluation*"))


# --- interrupted runs: only their training is gone on with, which is what takes milliseconds ---

WAYS: dict[str, dict[str, object]] = {
    "an epoch": {},
    "stopping early": {"vae": {"epochs": 30, "early_stopping": 3, "learning_rate": 0.1}},
}


def train(run: Run, until: int | None = None) -> tuple[bytes, list[dict[str, object]]]:
    """Train in this process, to the end or until an epoch; gives the weights and the history."""
    experiment = settings(run)
    data = load(Source(**run.manifest()["source"]), experiment)
    model, folder = experiment.build(KEY, data.image_size), run.model(KEY)

    def send(content: dict[str, object]) -> None:
        if content.get("epoch") == until is not None:
            raise KeyboardInterrupt

    train_model(send, experiment, KEY, model, data, folder)
    return folder.read("weights.safetensors"), timeless(folder.history())


@pytest.mark.parametrize("way", WAYS)
def test_damage_to_any_file_of_an_interrupted_run_changes_no_bit(
    ground: Ground, tmp_path: Path, way: str
) -> None:
    reference = train(Run(new_run(ground, tmp_path / "reference", **WAYS[way])))
    run = Run(new_run(ground, tmp_path / "run", **WAYS[way]))
    with pytest.raises(KeyboardInterrupt):
        train(run, until=len(reference[1]) - 1)
    run.model(KEY).keep_block("nll-0", np.zeros(3))
    sound = contents(run)
    assert len(sound) >= 6
    for path in sound:
        for how in HARMS:
            copy = Run(shutil.copytree(run.path, tmp_path / "copy"))
            harmed, told = copy.path / path.relative_to(run.path), list[str]()
            harm(harmed, how)
            if path.name in IRREPLACEABLE:
                with pytest.raises(RunError, match=re.escape(f"{harmed} ")):
                    repair(copy, settings(copy), told.append)
            else:
                repair(copy, settings(copy), told.append)
                assert [text.split(" is damaged")[0] for text in told] == [str(harmed)]
                assert train(copy) == reference, harmed
            shutil.rmtree(copy.path)


def test_both_checkpoints_lost_is_a_new_start_aloud(ground: Ground, tmp_path: Path) -> None:
    reference = train(Run(new_run(ground, tmp_path / "reference")))
    run = Run(new_run(ground, tmp_path / "run"))
    with pytest.raises(KeyboardInterrupt):
        train(run, until=3)
    for path in (run.model(KEY).path / "checkpoints").iterdir():
        harm(path, "cut")
    told: list[str] = []
    repair(run, settings(run), told.append)
    assert len(told) == 2
    assert train(run) == reference
