"""Damage to any file of a run: told by its name, never used, mended from what is left."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from aelab import lab
from aelab.data import Source
from aelab.errors import RunError
from aelab.experiment import Experiment, validate
from aelab.lab import evaluate, explorer_page, rebuild, resume
from aelab.mending import mend
from aelab.parallel import Event
from aelab.runs import Folder, Run
from aelab.work import load
from aelab.work import train as train_model
from tests.bad_inputs import cut, flipped
from tests.torture import KEY, Ground, new_run, timeless

HARMS = {"flipped": flipped, "cut": cut}
IRREPLACEABLE = ("manifest.json", "experiment.json")
PUT_BACK = ("weights.safetensors", "history.jsonl")


def harm(path: Path, how: str = "flipped") -> None:
    path.write_bytes(HARMS[how](path.read_bytes(), np.random.default_rng(0)))


def contents(run: Run) -> dict[Path, bytes]:
    """Every file of a run but the lock, which has no content that counts."""
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
                mend(copy, settings(copy), told.append)
        else:
            mend(copy, settings(copy), told.append)
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
    with pytest.raises(RunError, match="holds no measures of pixels: aelab resume makes them"):
        rebuild(copy.path)


def test_a_damaged_explorer_is_never_opened(
    copy: Run, whole: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "report", lambda run: run.path)  # takes seconds, and is tested above
    harm(copy.path / "explorer.html")
    page = explorer_page(copy)
    assert page.read_bytes() == (whole.path / "explorer.html").read_bytes()


def test_without_weights_and_checkpoints_nothing_is_measured(copy: Run) -> None:
    folder = copy.model(KEY)
    harm(folder.path / "weights.safetensors")
    for path in (folder.path / "checkpoints").iterdir():
        harm(path)
    events: list[Event] = []
    with pytest.raises(RunError, match=rf"not trained to its end \({KEY}\): aelab resume"):
        evaluate(copy.path, watch=events.append)
    assert len(warned(events)) == 3


def test_a_history_that_no_checkpoint_has_is_named(copy: Run) -> None:
    folder = copy.model(KEY)
    for path in (folder.path / "history.jsonl", *(folder.path / "checkpoints").iterdir()):
        harm(path)
    with pytest.raises(RunError, match=r"history\.jsonl is damaged, and no checkpoint has it"):
        resume(copy.path)


# --- interrupted runs: only their training is gone on with, which is what takes milliseconds ---

WAYS: dict[str, dict[str, object]] = {
    "an epoch": {},
    "a step": {"checkpoint_minutes": 1e-9},
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
                    mend(copy, settings(copy), told.append)
            else:
                mend(copy, settings(copy), told.append)
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
    mend(run, settings(run), told.append)
    assert len(told) == 2
    assert train(run) == reference
