"""A search from its first trial to its proof, on tiny data, in processes as a person starts it."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from aelab.data.sources import Source
from aelab.errors import RunError, TrainingError
from aelab.experiment.presets import load_toml, preset
from aelab.experiment.settings import Experiment
from aelab.runs.pool import Event
from aelab.runs.search import SearchFolder, trial_folder
from aelab.search import (
    ProofSettings,
    PrunerSettings,
    SamplerSettings,
    Search,
    Space,
    resume_search,
    run_search,
)
from aelab.search.engine import rebuild_search
from aelab.search.proof import over_seeds, prove
from aelab.search.space import resolve_space
from aelab.search.storage import storage_at
from aelab.search.trial import memory_errors
from aelab.search.trials import WORKER, Trials, create_study, load_study
from tests.processes import aelab_here

TRIALS = 20
NO_PROOF = ProofSettings(top=0)


def experiment(folder: Path, **changes: Any) -> Experiment:
    settings: dict[str, Any] = {
        "data": str(folder), "latent_dim": (4,), "validation": 60, "network": {"hidden": (32,)},
        "vae": {"epochs": 8, "learning_rate": 1e-3}, "ae": {"epochs": 8},
    }  # fmt: skip
    return preset(**(settings | changes))


def toy(**changes: Any) -> Search:
    """The planted optimum is a wide net with large steps; the rest learns next to nothing."""
    space = {"hidden": ["1", "32"], "learning_rate": ["1e-5", "1e-2"], "activation": "relu",
             "batch_size": "32", "weight_decay": "0", "schedule": "constant",
             "warmup_epochs": "0"}  # fmt: skip
    settings: dict[str, Any] = {
        "model": "ae", "trials": TRIALS, "trial_epochs": 5, "sampler": SamplerSettings(start=6),
        "pruner": PrunerSettings(n_startup_trials=4, warmup_epochs=1), "proof": NO_PROOF,
        "space": Space.model_validate(space),
    }  # fmt: skip
    return Search(**(settings | changes))


def timeless(folder: SearchFolder) -> list[dict[str, Any]]:
    """The trials but for what no seed decides."""
    kept = ("number", "state", "values", "settings", "curve", "reason")
    return [{name: trial[name] for name in kept} for trial in folder.results()["trials"]]


@pytest.fixture(scope="module")
def done(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchFolder:
    """The toy search, never interrupted."""
    out = tmp_path_factory.mktemp("searches") / "toy"
    return run_search(toy(), experiment(tiny_folder), out, workers=1)


def test_a_toy_search_finds_the_planted_optimum(done: SearchFolder) -> None:
    results = done.results()
    trials = results["trials"]
    assert len(trials) == TRIALS
    best = trials[results["best"][0]]
    assert best["settings"]["hidden"] == "32"
    assert best["settings"]["learning_rate"] > 3e-3
    assert best["values"][0] == min(t["values"][0] for t in trials if t["state"] == "complete")
    # The sampler has learned from its start: what it suggests later lies where learning happens.
    late = [trial["settings"] for trial in trials[10:]]
    assert sum(s["hidden"] == "32" and s["learning_rate"] > 1e-3 for s in late) >= 7
    winner = load_toml(done.path / "best.toml")
    assert winner.network.hidden == (32,)
    assert winner.training("ae").learning_rate == pytest.approx(
        best["settings"]["learning_rate"], rel=0.01
    )


def test_the_base_comes_first_and_the_quasi_random_start_after_it(done: SearchFolder) -> None:
    settings = [trial["settings"] for trial in done.results()["trials"]]
    assert settings[0] == {"hidden": "32", "learning_rate": 1e-3}
    rates = sorted(s["learning_rate"] for s in settings[1:7])
    assert rates[0] < 1e-4 < 1e-3 < rates[-1]


def test_the_pruner_leaves_only_what_is_behind_the_median(done: SearchFolder) -> None:
    trials = done.results()["trials"]
    pruned = [trial for trial in trials if trial["state"] == "pruned"]
    assert pruned
    for trial in pruned:
        epoch, value = trial["curve"][-1]
        assert 1 <= epoch < 5
        there = [dict(map(tuple, t["curve"]))[epoch] for t in trials[: trial["number"]]
                 if t["state"] == "complete"]  # fmt: skip
        assert value > sorted(there)[len(there) // 2 - 1]
        assert not (done.path / "trials" / f"trial-{trial['number']:04d}").exists()
    for trial in trials:
        if trial["state"] == "complete":
            assert [epoch for epoch, _ in trial["curve"]] == [1, 2, 3, 4, 5]
            assert len(trial_folder(done.own("trials"), trial["number"]).history()) == 5


def text_of(event: Event) -> str:
    """The text of a message, or of what a worker does now."""
    content = event.content
    return str(content.get("phase", "")) if isinstance(content, dict) else str(content)


class Interruption:
    """An interrupt by the user at the first message for which ``when`` holds."""

    def __init__(self, when: Callable[[str], bool]) -> None:
        self.when, self.came = when, False

    def __call__(self, event: Event) -> None:
        if not self.came and self.when(text_of(event)):
            self.came = True
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "when",
    [
        lambda text: text == "trial 0",
        lambda text: text.startswith("trial 3: epoch 2/"),
        lambda text: text.startswith(f"{TRIALS}/{TRIALS} trials"),
    ],
    ids=["at its first trial", "within a trial", "after the last trial"],
)
def test_an_interrupted_search_goes_on_to_the_same_trials(
    when: Callable[[str], bool], done: SearchFolder, tiny_folder: Path, tmp_path: Path
) -> None:
    interruption = Interruption(when)
    with pytest.raises(KeyboardInterrupt):
        run_search(toy(), experiment(tiny_folder), tmp_path / "cut", 1, interruption)
    again = resume_search(tmp_path / "cut")  # with one worker, as it began
    assert timeless(again) == timeless(done)
    assert again.manifest()["status"] == "finished"
    before = (again.path / "manifest.json").read_bytes()
    resume_search(again.path)  # a finished one is left alone
    assert (again.path / "manifest.json").read_bytes() == before


def test_a_search_that_goes_on_counts_the_trials_before(
    done: SearchFolder, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interruption = Interruption(lambda text: text.startswith(f"5/{TRIALS} trials"))
    with pytest.raises(KeyboardInterrupt):
        run_search(toy(), experiment(tiny_folder), tmp_path / "cut", 1, interruption)
    best = min(done.results()["trials"][:5], key=lambda t: (t["state"] != "complete", t["values"]))
    first = aelab_here(capsys, "resume", tmp_path / "cut").stdout.splitlines()[0]
    assert first.startswith(f"Resumed: 5/{TRIALS} trials, best {best['values'][0]:.4g}")


def test_a_trial_that_fails_is_told_and_the_search_goes_on(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """Steps of 1e30 are not finite, a layer of 10¹² units fits no memory."""
    search = toy(
        trials=9, sampler=SamplerSettings(start=8), pruner=PrunerSettings(kind="none"),
        trial_epochs=2,
        space=toy().space.model_copy(
            update={"hidden": ("32", "1000000000000"), "learning_rate": ("1e-3", "1e30")}
        ),
    )  # fmt: skip
    folder = run_search(search, experiment(tiny_folder), tmp_path / "failing", workers=2)
    trials = folder.results()["trials"]
    reasons = {t["reason"] for t in trials if t["state"] == "fail"}
    assert len(trials) == 9
    assert any("not finite" in reason for reason in reasons)
    assert "Out of memory: smaller networks or batches fit." in reasons
    assert trials[0]["state"] == "complete"
    assert "not finite" in (folder.path / "trials.csv").read_text()


def test_a_worker_that_dies_fails_its_trial_only(tiny_folder: Path, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill(event: Event) -> None:
        if not killed and text_of(event).startswith("trial 1: epoch 1/"):
            with storage_at(f"sqlite:///{tmp_path / 'dying' / 'trials.db'}") as storage:
                worker = load_study(storage, "search").trials[1].user_attrs[WORKER]
            killed.append(int(worker.rpartition("/")[2]))
            os.kill(killed[0], signal.SIGKILL)

    # Long trials, so that the kill falls into one.
    search = toy(
        trials=4,
        trial_epochs=80,
        pruner=PrunerSettings(kind="none"),
        sampler=SamplerSettings(start=2),
    )
    folder = run_search(search, experiment(tiny_folder), tmp_path / "dying", 1, kill)
    trials = folder.results()["trials"]
    assert [t["state"] for t in trials] == ["complete", "fail", "complete", "complete"]
    assert trials[1]["reason"] == "Its process was ended from outside: out of memory?"


def test_where_every_trial_fails_it_is_told(tiny_folder: Path, tmp_path: Path) -> None:
    space = toy().space.model_copy(update={"learning_rate": ("1e29", "1e30")})
    with pytest.raises(TrainingError, match=r"No trial came to its end; trials\.csv"):
        run_search(
            toy(trials=2, space=space, sampler=SamplerSettings(start=0)),
            experiment(tiny_folder, ae={"learning_rate": 1e30}),
            tmp_path / "hopeless",
        )


def test_the_choice_is_made_on_validation_and_only_it_is_evaluated_on_test(
    proved: SearchFolder,
) -> None:
    proof = proved.proof()
    assert proof is not None
    assert len(proved.results()["trials"]) == 5  # the flag lies over the file
    assert proof["seeds"] == [1, 2, 3]  # none of them is the search's own
    finalists = {c["name"]: c for c in proof["contenders"] if c["trial"] is not None}
    means = {name: sum(c["values"]) / 3 for name, c in finalists.items()}
    assert len(means) == 2
    assert proof["chosen"] == min(means, key=lambda name: means[name])
    looked = {path.parent.parent.name for path in proved.path.glob("proof/*/*/test.json")}
    assert looked == {proof["chosen"], "recipe", "pytorch"} == set(proof["test"]["rows"])
    for name in looked:
        for seed in proof["seeds"]:
            assert len(proved.retrained(name, seed).history()) == {"recipe": 50, "pytorch": 50}.get(
                name, 8
            )
    rows = proof["test"]["rows"]
    difference = proof["test"]["differences"]["recipe"]["negative_elbo"]["value"]
    assert difference == pytest.approx(
        rows[proof["chosen"]]["negative_elbo"]["value"] - rows["recipe"]["negative_elbo"]["value"]
    )
    winner = load_toml(proved.path / "best.toml")
    assert winner.training("vae").model_dump() == {
        **finalists[proof["chosen"]]["settings"]["vae"], "early_stopping": None,
    }  # fmt: skip


def test_a_finalist_that_a_fresh_seed_breaks_is_out(
    done: SearchFolder, tiny_folder: Path, tmp_path: Path
) -> None:
    """The best trial is made to have failed with one seed; the proof goes on without it."""
    copy = tmp_path / "copy"
    shutil.copytree(done.path, copy)
    folder = SearchFolder(copy)
    search = toy(proof=ProofSettings(top=2, seeds=2), trial_epochs=5)
    best, second = folder.results()["best"][:2]
    broken = folder.retrained(f"trial-{best:04d}-8-epochs", 2)
    broken.write_json("metrics.json", {"values": None, "reason": "The loss is not finite."})
    found = resolve_space(experiment(tiny_folder), "ae", search.space)
    source = Source(**folder.manifest()["source"])
    proof = prove(folder, search, found, source, 2, lambda _: None)
    assert proof["chosen"] == f"trial-{second:04d}-8-epochs"
    assert [(c["title"], c["reason"]) for c in proof["failed"]] == [
        (f"trial {best}", "With seed 2: The loss is not finite.")
    ]
    assert len(proof["contenders"]) == 2  # the other finalist, and the recipe
    assert proof["luck"]["best"]["trial"] == best  # for the epochs of a trial it holds


def test_luck_is_what_fresh_seeds_take_away(proved: SearchFolder) -> None:
    proof, results = proved.proof(), proved.results()
    assert proof is not None
    luck = proof["luck"]["best"]
    assert luck["trial"] == results["best"][0]
    assert luck["epochs"] == 3
    assert luck["searched"] == results["trials"][luck["trial"]]["values"][0]
    fresh = [
        proved.retrained(f"trial-{luck['trial']:04d}-3-epochs", seed).read_json("metrics.json")
        for seed in proof["seeds"]
    ]
    mean = sum(record["values"][0] for record in fresh) / 3
    assert luck["luck"] == pytest.approx(mean - luck["searched"])


def test_intervals_over_seeds_are_student_s() -> None:
    """Student's own table: t(0.975, 4) = 2.776; the values have s = √2.5."""
    found = over_seeds([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.776 * (2.5**0.5) / (5**0.5)
    assert found["value"] == 3
    assert found["high"] - 3 == pytest.approx(half, abs=2e-3)
    assert 3 - found["low"] == pytest.approx(half, abs=2e-3)


def test_show_and_resume_know_a_search(
    proved: SearchFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = aelab_here(capsys, "show", proved.path)
    assert shown.returncode == 0, shown.stderr
    assert "vae-4" in shown.stdout
    assert "5 trials" in shown.stdout
    assert aelab_here(capsys, "resume", proved.path, "--quiet").stdout == f"{proved.path}\n"


def _claim(url: str, queue: Any) -> None:
    with storage_at(url) as storage:
        study = load_study(storage, "race")
        trials = Trials(storage, study)
        while (number := trials.claim()) is not None:
            trial = optuna.Trial(study, trials.id_of(number))
            trial.report(0.5, 1)
            study.tell(trial, trial.suggest_float("x", 0, 1))
            queue.put(number)


def test_no_two_workers_take_the_same_trial_and_none_makes_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'race.db'}"
    with storage_at(url, create=True) as storage:
        create_study(storage, "race", Search(trials=20), {}, [{"x": 0.25}])
    context = multiprocessing.get_context("forkserver")
    queue = context.Queue()
    processes = [context.Process(target=_claim, args=(url, queue)) for _ in range(4)]
    for process in processes:
        process.start()
    taken = [queue.get(timeout=60) for _ in range(20)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted(taken) == list(range(20))
    assert queue.empty()


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …"),
     RuntimeError("CUDA out of memory. Tried to allocate …")],
)  # fmt: skip
def test_memory_that_runs_out_is_told(error: Exception) -> None:
    with pytest.raises(TrainingError, match="Out of memory"), memory_errors():
        raise error
    with pytest.raises(RuntimeError, match="shape"), memory_errors():
        raise RuntimeError("shape mismatch")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--model", "gan"], 2, "no model is named gan"),
        (["--model", "ae", "--goal", "likelihood"], 2, "the AE has no −ELBO"),
        (["--goal", "beauty"], 2, "There is no goal beauty"),
        (["--trials", "0"], 2, "trials: input should be greater"),
        (["--space.learning-rate", "fast"], 2, "--space.learning-rate takes values such as"),
        (["--space.betta", "1"], 2, "betta"),
        (["--goal", "coverage_flow"], 2, "The goal coverage_flow is not evaluated with these"),
        (["--proof.seeds", "1"], 2, "proof.seeds: input should be greater"),
    ],
)
def test_bad_words_are_one_sentence_and_a_code(
    words: list[str], code: int, sentence: str, tiny_folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    refused = aelab_here(capsys, "search", "--data", tiny_folder, "--out", tmp_path / "x", *words)
    assert refused.returncode == code
    assert sentence in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "x").exists()


def test_the_settings_of_another_version_are_named(proved: SearchFolder, tmp_path: Path) -> None:
    copy = SearchFolder(shutil.copytree(proved.path, tmp_path / "copy"))
    copy.write_json("search.json", copy.search() | {"minutes": None})
    copy.note(status="running")
    with pytest.raises(
        RunError, match="resume it with that one, since there is no setting minutes"
    ):
        resume_search(copy.path)


def test_a_search_interrupted_while_its_trials_are_entered_knows_its_study(tmp_path: Path) -> None:
    mine: dict[str, Any] = {"id": "mine"}
    with storage_at(f"sqlite:///{tmp_path / 'trials.db'}", create=True) as storage:
        optuna.create_study(storage=storage, study_name="aelab")  # interrupted before all else
        study = create_study(storage, "aelab", Search(trials=3), mine, [])
        study.set_user_attr("ready", False)  # interrupted within
        study.enqueue_trial({})
        assert len(create_study(storage, "aelab", Search(trials=3), mine, []).trials) == 3
        assert len(load_study(storage, "aelab", "mine").trials) == 3
        with pytest.raises(RunError, match="has a study aelab already"):
            create_study(storage, "aelab", Search(trials=3), {"id": "other"}, [])
        with pytest.raises(RunError, match="is of another search"):
            load_study(storage, "aelab", "other")


def test_a_report_names_damaged_files_of_the_proof(proved: SearchFolder, tmp_path: Path) -> None:
    copy = SearchFolder(shutil.copytree(proved.path, tmp_path / "copy"))
    proof = copy.proof()
    assert proof is not None
    damaged = copy.retrained(proof["chosen"], proof["seeds"][0]).path / "weights.safetensors"
    damaged.write_bytes(b"")
    told: list[str] = []
    rebuild_search(copy.path, lambda event: told.append(event.content["warning"]))
    assert told == [f"{damaged} is damaged: its SHA-256 is not the manifest's."]


def test_other_folders_are_no_searches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunError, match="is not a search folder"):
        SearchFolder(tmp_path)
    (tmp_path / "bad.toml").write_text("[search]\ntrails = 3\n")
    refused = aelab_here(capsys, "search", "--config", tmp_path / "bad.toml")
    assert refused.returncode == 2
    assert "there is no setting search.trails" in refused.stderr
