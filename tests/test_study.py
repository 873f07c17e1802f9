"""Studies: planned once, one pool, interrupted anywhere, grown later, and what they say."""

import csv
import dataclasses
import io
import json
import math
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from aelab.claims.claim import CLAIMS
from aelab.cli.commands import evaluate, report
from aelab.console.progress import Display
from aelab.errors import AelabError, DataError, RunError, TrainingError
from aelab.experiment.presets import preset
from aelab.experiment.settings import Experiment
from aelab.lab.report import explorer_page, report_run
from aelab.lab.run import run_lab
from aelab.report import build_study_report
from aelab.report.study.conclusions import conclusions, headline, trends
from aelab.report.study.results import Amount, StudyResults, load
from aelab.runs.pool import Event
from aelab.runs.records import Estimate
from aelab.runs.run import Run
from aelab.runs.search import SearchFolder
from aelab.runs.study import Study
from aelab.search import Search, run_search
from aelab.studies.execution import complete_run
from aelab.studies.plan import missing
from aelab.studies.study import (
    evaluate_study,
    rebuild_study,
    report_study,
    resume_study,
    run_study,
)
from aelab.studies.sweep import BASE, format_value, parse, points
from tests.fake_study import make_study
from tests.processes import aelab_here

EFFORT = {"draws": 50, "pairs": 20}


def tiny(folder: Path, **changes: Any) -> Experiment:
    settings: dict[str, Any] = {
        "data": str(folder), "latent_dim": (3,), "network": {"hidden": (8,)}, "validation": 60,
        "ae": {"epochs": 2}, "vae": {"epochs": 2}, "noise": {"epochs": 2}, "evaluation": EFFORT,
        "precision": "float32",  # models that train at once have the same numbers in it
    }  # fmt: skip
    return preset("recipe", **(settings | changes))


def timeless(study: Study) -> dict[str, Any]:
    """The results without what a clock has put there."""
    return json.loads(json.dumps(study.results()))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def whole(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two seeds and one more β, never interrupted."""
    out = tmp_path_factory.mktemp("studies") / "whole"
    return run_study(tiny(tiny_folder), out, seeds=2, vary={"vae.beta": [0.5, 1]})


def test_a_study_is_run_folders_and_what_they_say(whole: Study) -> None:
    results = whole.results()
    assert whole.manifest()["status"] == "finished"
    assert [run["name"] for run in results["runs"]] == [
        "seed-0", "seed-1", "vae.beta=0.5/seed-0", "vae.beta=0.5/seed-1",
    ]  # fmt: skip
    assert {run["status"] for run in results["runs"]} == {"finished"}
    for run in results["runs"]:
        folder = Run(whole.run_path(run["name"]))
        assert (folder.path / "report.html").is_file()
        assert folder.explorer is None  # until somebody asks for it
        assert set(folder.metrics()["models"]) == {f"{m}-3" for m in run["models"]}
    assert results["seeds"] == [0, 1]
    assert results["failures"] == []
    assert len(results["environments"]) == 1
    assert (whole.path / "report.html").stat().st_size > 50_000
    for name in whole.manifest()["files"]:
        whole.read(name)


def test_a_seed_has_an_explorer_when_it_is_asked_for(whole: Study, tmp_path: Path) -> None:
    path = shutil.copytree(whole.run_path("seed-1"), tmp_path / "seed-1")
    page = explorer_page(Run(path))
    assert page.is_file()
    assert "explorer.html" in (path / "report.html").read_text(encoding="utf-8")
    page.write_text("stale")
    said: list[dict[str, str]] = []
    complete_run(said.append, path)  # one that exists is built again
    assert said == [{"phase": "reporting"}]
    assert page.stat().st_size > 50_000
    assert Run(path).manifest()["status"] == "finished"


def test_a_report_without_an_explorer_says_why(
    whole: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Run) -> None:
        raise AelabError("The data have gone.")

    path = shutil.copytree(whole.run_path("seed-1"), tmp_path / "seed-1")
    monkeypatch.setattr("aelab.lab.report.explore", gone)
    said: list[Event] = []
    report_run(Run(path), said.append)
    assert {"warning": "No new explorer: The data have gone."} in [each.content for each in said]


def test_what_an_axis_does_not_concern_and_what_has_no_seed_is_done_once(whole: Study) -> None:
    runs = {run["name"]: run for run in whole.results()["runs"]}
    assert runs["vae.beta=0.5/seed-0"]["models"] == ["vae"]
    assert runs["seed-0"]["baselines"] == ["pca", "pixels"]
    assert [run["baselines"] for run in runs.values()][1:] == [[], [], []]
    # And still both models stand beside each other at β = 0.5.
    [_, point] = whole.results()["points"]
    ae = whole.results()["points"][0]["models"]["ae"]["mse"]["seeds"]
    vae = point["models"]["vae"]["mse"]["seeds"]
    expected = {seed: math.log(vae[seed] / ae[seed]) for seed in ("0", "1")}
    assert point["deltas"]["reconstruction"]["seeds"] == pytest.approx(expected)


def test_a_seed_s_run_is_the_run_of_that_seed(
    whole: Study, tiny_folder: Path, tmp_path: Path
) -> None:
    alone = run_lab(tiny(tiny_folder, seed=1), tmp_path / "alone", workers=1)
    inside = Run(whole.run_path("seed-1"))
    for key in ("ae-3", "vae-3"):
        assert alone.model(key).read("weights.safetensors") == inside.model(key).read(
            "weights.safetensors"
        )
        first, second = (r.model(key).read_json("metrics.json")["metrics"] for r in (alone, inside))
        assert first == second
    assert alone.metrics()["differences"] == inside.metrics()["differences"]


def test_the_table_of_seeds_holds_every_number(whole: Study) -> None:
    rows = list(csv.DictReader(io.StringIO(whole.read("seeds.csv").decode())))
    kept = {
        (row["setting"], row["value"], int(row["seed"]), row["model"], row["measure"]): float(
            row["estimate"]
        )
        for row in rows
    }
    assert len(kept) == len(rows)
    metrics = Run(whole.run_path("vae.beta=0.5/seed-1")).metrics()["models"]["vae-3"]["metrics"]
    assert kept["vae.beta", "0.5", 1, "vae", "kl"] == metrics["kl"]["value"]
    assert ("", "", 0, "ae", "kl") not in kept  # not defined
    assert ("", "", 0, "pca", "mse") in kept


class KilledError(Exception):
    """As if the process had been killed."""


def stop_after(ends: int) -> Callable[[Event], None]:
    seen = []

    def watch(event: Event) -> None:
        if event.kind == "done":
            seen.append(event.job)
        if len(seen) == ends:
            raise KilledError

    return watch


def test_interrupted_and_continued_it_ends_with_the_same_numbers(
    whole: Study, tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    with pytest.raises(KilledError):
        run_study(tiny(tiny_folder), out, seeds=2, vary={"vae.beta": [0.5]}, watch=stop_after(3))
    assert Study(out).manifest()["status"] == "running"
    done = [p.parent.name for p in out.glob("runs/**/models/*/metrics.json")]
    assert 0 < len(done) < 8
    with pytest.raises(KilledError):  # and again, while the reports are made
        run_study(tiny(tiny_folder), out, seeds=2, vary={"vae.beta": [0.5]}, watch=stop_after(7))
    study = resume_study(out)
    assert timeless(study) == timeless(whole)
    assert study.read("seeds.csv") == whole.read("seeds.csv")
    before = {p: p.stat().st_mtime_ns for p in out.rglob("weights.safetensors")}
    report_study(study)
    assert timeless(study) == timeless(whole)
    assert before == {p: p.stat().st_mtime_ns for p in out.rglob("weights.safetensors")}


def require_close(found: Study, expected: Study) -> None:
    """The same histories, weights and metrics, to rounding."""
    for record in expected.manifest()["plan"]:
        ours, theirs = (Run(study.run_path(record["name"])) for study in (found, expected))
        for key in (f"{model}-3" for model in record["models"]):
            for row, other in zip(ours.history(key), theirs.history(key), strict=True):
                for split in ("train", "validation"):
                    assert row[split]["terms"] == pytest.approx(other[split]["terms"], rel=1e-4)
                    assert row[split]["weights"] == other[split]["weights"]
            weights, others = (
                run.model(key).tensors("weights.safetensors") for run in (ours, theirs)
            )
            torch.testing.assert_close(weights, others, rtol=1e-4, atol=1e-4)
            mse, other_mse = (
                run.model(key).read_json("metrics.json")["metrics"]["mse"]["value"]
                for run in (ours, theirs)
            )
            assert mse == pytest.approx(other_mse, rel=1e-4)


def epochs_of(events: list[Event]) -> dict[str, list[int]]:
    """The epochs that each job has reported."""
    found: dict[str, list[int]] = {}
    for event in events:
        if isinstance(event.content, dict) and "epoch" in event.content:
            found.setdefault(event.job, []).append(event.content["epoch"])
    return found


def test_models_of_one_shape_that_train_at_once_have_the_numbers_of_single_ones(
    whole: Study, tiny_folder: Path, tmp_path: Path
) -> None:
    events: list[Event] = []
    study = run_study(
        tiny(tiny_folder), tmp_path / "study", seeds=2, vary={"vae.beta": [0.5]}, stacked=True,
        watch=events.append,
    )  # fmt: skip
    assert epochs_of(events) == {
        "seed-0/ae-3 and 1 more": [1, 2],
        "seed-0/vae-3 and 3 more": [1, 2],  # two seeds for each β
    }
    require_close(study, whole)
    assert study.manifest()["status"] == "finished"


def test_those_at_one_epoch_continue_at_once_and_the_others_one_by_one(
    whole: Study, tmp_path: Path
) -> None:
    """Of the VAEs one is trained, one starts again, and two are at epoch 1; an AE is at epoch 1."""
    study = Study(shutil.copytree(whole.path, tmp_path / "study"))
    for name, key in (
        ("seed-0", "ae-3"),
        ("seed-0", "vae-3"),
        ("seed-1", "vae-3"),
        ("vae.beta=0.5/seed-0", "vae-3"),
    ):
        run = Run(study.run_path(name))
        for file in ("metrics.json", "weights.safetensors", "checkpoints/epoch-00002.safetensors"):
            run.model(key).remove(file)
        run.note(status="running")
    again = Run(study.run_path("seed-1")).model("vae-3")
    again.remove("checkpoints/epoch-00001.safetensors")
    events: list[Event] = []
    resume_study(study.path, stacked=True, watch=events.append)
    assert epochs_of(events) == {
        "seed-0/vae-3 and 2 more": [2], "seed-0/ae-3": [2], "seed-1/vae-3": [1, 2],
    }  # fmt: skip
    require_close(study, whole)


def test_a_seed_added_later_leaves_the_others_alone(
    whole: Study, tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "grown"
    shutil.copytree(whole.path, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("models/*/*")}
    study = run_study(tiny(tiny_folder), out, seeds=3)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    old, new = (s.results()["points"][0]["models"] for s in (whole, study))
    assert sorted(new["ae"]["mse"]["seeds"]) == ["0", "1", "2"]
    for model in ("ae", "vae"):
        assert old[model]["mse"]["seeds"].items() <= new[model]["mse"]["seeds"].items()


def test_a_plan_grows_by_what_it_lacks() -> None:
    base = preset("recipe", latent_dim=(16,))
    more = preset("recipe", latent_dim=(16,), models=("ae", "vae", "noise"))
    places = points(base, {"vae.beta": [0, 1]})
    plan = missing([], base, [BASE, *places], range(2))
    names = {entry.name: entry.models for entry in plan}
    assert names == {
        "seed-0": ("ae", "vae"), "seed-1": ("ae", "vae"),
        "vae.beta=0/seed-0": ("vae",), "vae.beta=0/seed-1": ("vae",),
    }  # fmt: skip
    assert missing(plan, base, [BASE, *places], range(2)) == []
    grown = missing(plan, more, [BASE, *points(more, {"latent_dim": [2, 16]})], range(3))
    names = {entry.name: entry.models for entry in grown}
    assert names == {
        "seed-0-noise": ("noise",), "seed-1-noise": ("noise",), "seed-2": ("ae", "vae", "noise"),
        **{f"latent-dim=2/seed-{s}": ("ae", "vae", "noise") for s in range(3)},
    }  # fmt: skip
    # What has no seed is measured once, raw pixels whatever d is.
    measured = {e.name: e.baselines for e in [*plan, *grown] if e.baselines}
    assert measured == {"seed-0": ("pca", "pixels"), "latent-dim=2/seed-0": ("pca",)}


def test_what_fails_is_listed_and_does_not_stop_the_others(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """A learning rate that blows up one model only."""
    experiment = tiny(tiny_folder, vae={"epochs": 2, "learning_rate": 1e30})
    study = run_study(experiment, tmp_path / "study", seeds=1)
    before = study.path.joinpath("study.json").read_bytes()
    source = study.manifest()["source"]
    study.note(source=source | {"files": dict.fromkeys(source["files"], "/gone/file")})
    for again in (evaluate_study, resume_study):
        with pytest.raises(DataError, match="no longer in /gone: name the folder"):
            again(study.path)
    assert study.manifest()["status"] == "failed"
    assert study.path.joinpath("study.json").read_bytes() == before
    [failure] = study.results()["failures"]
    assert (failure["run"], failure["model"]) == ("seed-0", "vae-3")
    assert "not finite" in failure["sentence"]
    assert study.manifest()["status"] == "failed"
    assert "ae" in study.results()["points"][0]["models"]
    verdicts = {item["verdict"] for item in study.results()["claims"]}
    assert verdicts == {"not evaluated"}
    assert "not finite" in (study.path / "report.html").read_text()
    kept = timeless(study)
    with pytest.raises(TrainingError, match="1 of the models of") as failed:
        evaluate(
            [str(study.path), "--quiet", "--data", str(tiny_folder)]
        )  # tries again, and measures the same
    assert failed.value.exit_code == 5
    assert timeless(study) == kept
    assert study.manifest()["source"]["files"] == source["files"]
    assert Run(study.run_path("seed-0")).manifest()["source"] == study.manifest()["source"]


def test_damage_in_a_run_is_named_and_repaired_before_the_report(
    whole: Study,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages: list[Path] = []  # that would be built, in their order
    monkeypatch.setattr("aelab.lab.report.report_run", lambda run, *_, **__: pages.append(run.path))
    monkeypatch.setattr("aelab.report.build_study_report", lambda study: pages.append(study.path))
    study = Study(shutil.copytree(whole.path, tmp_path / "copy"))
    weights = Run(study.run_path("seed-1")).model("vae-3").path / "weights.safetensors"
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    report([str(study.path), "--quiet"])
    said = " ".join(capsys.readouterr().err.split())
    assert "weights.safetensors is damaged: its SHA-256 is not the manifest's. It is made" in said
    assert weights.read_bytes() == sound
    assert pages == [study.run_path("seed-1"), study.path]
    assert study.results() == whole.results()


@pytest.mark.parametrize("name", ["manifest.json", "experiment.json"])
def test_a_run_that_cannot_be_repaired_stops_a_study_before_anything_is_changed(
    name: str, whole: Study, tmp_path: Path
) -> None:
    study = Study(shutil.copytree(whole.path, tmp_path / "copy"))
    seed = study.run_path("seed-1")
    (seed / name).write_bytes((seed / name).read_bytes()[:-3])
    before = {p: p.read_bytes() for p in study.path.rglob("*") if p.is_file() and p.name != ".lock"}
    said = f"{re.escape(name)} is damaged.* delete the folder {seed} and train it again "
    for command in (rebuild_study, evaluate_study, resume_study):
        with pytest.raises(RunError, match=said):
            command(study.path)
    assert before == {p: p.read_bytes() for p in before}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ae": {"epochs": 3}}, "ae.epochs: 2 there, 3 here"),
        ({"seed": 5}, "seed: 0 there, 5 here"),
        ({"latent_dim": (3, 2)}, "by --vary latent-dim"),
    ],
)
def test_another_experiment_in_the_same_folder_is_refused(
    changes: dict[str, Any], said: str, whole: Study, tiny_folder: Path
) -> None:
    before = (whole.path / "manifest.json").read_bytes()
    with pytest.raises(AelabError, match=said):
        run_study(tiny(tiny_folder, **changes), whole.path, seeds=2)
    assert (whole.path / "manifest.json").read_bytes() == before


def test_claims_that_changed_after_the_freeze_are_refused(
    whole: Study, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    easier = CLAIMS["holes"].model_copy(update={"threshold": 1.0})
    with pytest.raises(RunError, match=r"frozen as [0-9a-f]{12} .* \(holes\)"):
        run_study(
            tiny(tiny_folder), whole.path, seeds=2, claims=[*(CLAIMS | {"holes": easier}).values()]
        )
    with pytest.raises(RunError, match="have changed since"):
        run_study(tiny(tiny_folder), whole.path, seeds=2, claims=list(CLAIMS.values())[:7])
    monkeypatch.setitem(CLAIMS, "holes", easier)
    with pytest.raises(RunError, match=r"\(holes\)"):
        resume_study(whole.path)


def test_a_study_is_no_run_and_a_run_no_study(whole: Study) -> None:
    with pytest.raises(RunError, match="is a study, not a run: open it with aelab show"):
        Run(whole.path)
    with pytest.raises(RunError, match="is a run, not a study"):
        Study(whole.run_path("seed-0"))


def test_nothing_else_begins_in_the_folder_of_a_study_or_search(
    whole: Study, tiny_folder: Path, tmp_path: Path
) -> None:
    before = (whole.path / "manifest.json").read_bytes()
    with whole.lock(), pytest.raises(RunError, match=f"in use by process {os.getpid()}"):
        run_study(tiny(tiny_folder), whole.path, seeds=3)
    experiment, search = tiny(tiny_folder), Search(model="ae", trials=1)
    with pytest.raises(RunError, match="exists: name another --out"):
        run_search(search, experiment, whole.path)
    with pytest.raises(RunError, match="exists: name another --out"):
        run_lab(experiment, whole.path)
    assert (whole.path / "manifest.json").read_bytes() == before
    kept = SearchFolder.create(tmp_path / "search", {}, {})
    with pytest.raises(RunError, match="exists: name another --out"):
        run_study(experiment, kept.path, seeds=1)
    with pytest.raises(RunError, match="exists: name another --out"):
        run_search(search, experiment, kept.path)
    assert SearchFolder(kept.path).search() == {}


def test_the_verbs_take_a_study(
    whole: Study, tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aelab = partial(aelab_here, capsys)
    shown = aelab("show", whole.path)
    assert shown.returncode == 0, shown.stderr
    assert "2 seeds" in shown.stdout
    assert "8 claims need 9 seeds" in " ".join(shown.stdout.replace("│", " ").split())
    told = json.loads(aelab("show", whole.path, "--json").stdout)
    assert told["study"] == str(whole.path)
    beside = aelab("compare", *(whole.run_path(f"seed-{s}") for s in (0, 1)))
    assert beside.returncode == 0, beside.stderr
    assert "seed-1" in beside.stdout
    # Goes on with what is there: nothing is lacking, so nothing is trained.
    flags: list[str | Path] = [
        "--data", tiny_folder, "--latent-dim", "3", "--network.hidden", "8", "--validation", "60",
        *(w for m in ("ae", "vae", "noise") for w in (f"--{m}.epochs", "2")),
        "--evaluation.draws", "50", "--evaluation.pairs", "20", "--precision", "float32",
    ]  # fmt: skip
    grown = aelab("study", *flags, "--seeds", "2", "--vary", "vae.beta=0.5,1", "--out", whole.path)
    assert grown.returncode == 0, grown.stderr
    assert "epoch" not in grown.stdout
    assert grown.stdout.splitlines()[-1] == str(whole.path)
    claims = tmp_path / "none.toml"
    claims.write_text("")
    refused = aelab("study", *flags, "--claims", claims, "--out", tmp_path / "new")
    assert refused.returncode == 2
    assert "holds no claim" in refused.stderr


def test_axes_are_parsed_and_checked() -> None:
    axes = parse(["latent-dim=2,16,2", "vae.beta=1,1.0,0.5", "train-size=all,1000"])
    assert axes["train_size"] == [None, 1000]
    base = preset("recipe", latent_dim=(16,))
    found = points(base, axes)
    assert [p.name for p in found] == ["latent-dim=2", "vae.beta=0.5", "train-size=1000"]
    assert found[0].of(base).latent_dim == (2,)
    assert found[0].affects("ae")
    assert not found[1].affects("ae")
    assert [format_value(v) for v in (None, 1.0, 0.1, 1234567.5, "relu")] == [
        "all", "1", "0.1", "1234567.5", "relu",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vae.beta", "is no axis"),
        ("vae.beta=", "is no axis"),
        ("seed=1,2", "cannot vary seed"),
        ("pixels=grey,static", "cannot vary pixels"),
        ("vae.betta=1", "no setting vae.betta"),
        ("vae.beta=-1", "vae.beta: input should be greater than or equal to 0"),
        ("noise.sigma=2", "add noise to --models"),
        ("latent-dim=two", "latent_dim"),
    ],
)
def test_a_bad_axis_is_told_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(AelabError) as error:
        points(preset("recipe", latent_dim=(16,)), parse([text]))
    assert said in str(error.value)


def test_no_seed_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AelabError, match="at least one seed"):
        run_study(tiny(tiny_folder), tmp_path / "x", seeds=0)


# What a study says, from made-up numbers.


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., StudyResults]:
    def make(**shape: Any) -> StudyResults:
        return load(make_study(tmp_path_factory.mktemp("made") / "study", **shape))

    return make


def words(found: StudyResults) -> str:
    said = [*headline(found), *conclusions(found)]
    return " ".join(f"{f.lead} {' '.join(e.text for e in f.evidence)}" for f in said)


def test_a_model_with_fewer_seeds_is_told_apart(made: Callable[..., StudyResults]) -> None:
    found = made(models=("ae", "vae", "noise"))
    assert "An AE, a VAE and a Noisy AE were trained for each of 10 seeds on" in words(found)
    few = {
        name: dataclasses.replace(s, seeds={seed: s.seeds[seed] for seed in (0, 1, 2)})
        for name, s in found.base.models["noise"].items()
    }
    base = dataclasses.replace(found.base, models={**found.base.models, "noise": few})
    text = words(dataclasses.replace(found, base=base))
    assert "An AE and a VAE were trained for each of 10 seeds (a Noisy AE for 3 of them) on" in text


def test_opposite_numbers_give_the_opposite_conclusion(made: Callable[..., StudyResults]) -> None:
    found, turned = made(), made(opposite=True)
    text, opposite = words(found), words(turned)
    assert "The AE reconstructs better: supported by 10 of 10 seeds beyond 1.10×." in text
    assert "The AE reconstructs better: supported" not in opposite
    assert (
        "The AE reconstructs better: refuted, and the opposite holds: the difference lies beyond "
        "1.10× in favour of the VAE." in opposite
    )
    # A better sampler, not a better latent space: only where 7 holds and 8 does not.
    assert "Claim 7 holds and claim 8 is refuted" in text
    assert "Claim 7 holds" not in opposite
    assert {item.verdict for item in found.claims} == {"supported", "refuted"}
    assert {item.verdict for item in turned.claims} == {"refuted"}


def test_every_sentence_with_a_number_links_to_it(made: Callable[..., StudyResults]) -> None:
    found = made(vary={"latent_dim": [2, 64]}, seeds=3)
    targets = {item.anchor for item in found.claims} | {"sweep-latent-dim", "runs"}
    told = [*headline(found), *conclusions(found), *trends(found, found.sweeps[0])]
    assert {e.target for f in told for e in f.evidence} <= targets
    measured = [f for f, item in zip(conclusions(found), found.claims, strict=False)]
    assert all(f.evidence for f in measured)
    assert "3 seeds are too few to support 8 claims after Holm’s correction" in words(found)
    assert "With 3 seeds the smallest two-sided p is 0.25" in words(found)


def test_what_is_not_evaluated_or_failed_is_said(made: Callable[..., StudyResults]) -> None:
    found = made(without=("hole_share",), failed=("seed-3",))
    text = words(found)
    holes = "It is not evaluated whether the VAE’s latent space has fewer holes."
    assert f"{holes} No seed has ae.hole_share, vae.hole_share." in text
    assert "Some models could not be trained or evaluated: seed-3: vae-16" in text
    assert len(found.claims[0].summary.seeds) == 9  # type: ignore[union-attr]


def test_an_older_study_opens(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", without=("hole_share",))
    text = study.path.joinpath("study.json").read_text()
    old = text.replace('"not evaluated"', '"not measured"')
    assert old != text
    study.write_json("study.json", json.loads(old))
    assert "It is not evaluated whether the VAE’s latent space has fewer" in words(load(study))


def test_the_course_of_an_axis_follows_its_numbers(made: Callable[..., StudyResults]) -> None:
    found = made(vary={"latent_dim": [2, 4, 64], "vae.beta": [0, 4]}, seeds=6)
    size, beta = found.sweeps
    told = {f.lead.partition(":")[0]: f.lead for f in trends(found, size)}
    assert "falling from" in told["AE, MSE per pixel"]
    assert "from 2.00 at 2 to" in told["VAE, Active units in dimensions"]
    told = {f.lead.partition(":")[0]: f.lead for f in trends(found, beta)}
    assert "AE, MSE per pixel" not in told  # β is not a setting of the AE
    assert "best at 1 (" in told["VAE, −ELBO in nats"]
    assert [stop.label for stop in beta.stops] == ["0", "1", "4"]
    assert [stop.base for stop in beta.stops] == [False, True, False]


def test_a_delta_is_written_in_its_unit() -> None:
    ratio = Amount("ratio", 1.1)
    assert ratio.text(Estimate(0.4055, 0.3365, 0.4700)) == ("1.50×", "[1.40, 1.60]")
    assert ratio.threshold_text == "1.10×"
    points_ = Amount("points", 0.5)
    assert points_.text(Estimate(-1.234, -2, -0.5)) == ("−1.23 points", "[−2.00, −0.50]")
    assert points_.threshold_text == "0.5 points"
    assert Amount("", 0.05).text(Estimate(0.2, None, None)) == ("+0.200", "")


SHAPES: dict[str, dict[str, Any]] = {
    "one seed": {"seeds": 1},
    "one model, two axes": {
        "seeds": 2,
        "models": ("vae",),
        "vary": {"train_size": [1000, 10000], "network.activation": ["tanh"]},
    },
    "ablation": {"seeds": 6, "models": ("ae", "vae", "noise"), "vary": {"vae.beta": [0, 4]}},
    "without and failed": {"seeds": 3, "without": ("mse", "kl"), "failed": ("seed-1",)},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_study_has_a_strict_page(shape: str, tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", **SHAPES[shape])
    page = build_study_report(study).read_text()
    if shape == "one seed":
        assert page == build_study_report(study).read_text()
    assert "Content-Security-Policy" in page
    assert " style=" not in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    shown = re.sub(r"<[^>]*>", " ", page.split("<main>")[1].split("<script>")[0])
    assert not re.search(r"\b(nan|inf|None)\b", shown)
    for target in set(re.findall(r'href="#([\w.-]+)"', page)):
        assert f'id="{target}"' in page


def test_many_jobs_are_shown_as_they_come_and_go(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        row = {"train": {"total": 9.0}, "validation": {"total": 8.0}, "images_per_second": 1.0}
        for job in ("seed-0/ae-3", "seed-1/ae-3"):
            display.watch(Event(job, "started"))
            display.watch(Event(job, "message", {"epoch": 1, "epochs": 2, "row": row}))
            display.watch(Event(job, "done"))
        display.watch(Event("seed-2/ae-3", "started"))
        display.watch(Event("seed-2/ae-3", "failed", "It died."))
        assert display.bars == {}
    said = capsys.readouterr()
    assert "seed-1/ae-3: epoch 1/2" in said.out
    assert "It died." in said.err
