"""Runs side by side: what may stand in one column, and what differs."""

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from aelab.cli.tables import comparison_table
from aelab.errors import AelabError
from aelab.experiment.presets import preset
from aelab.runs.run import Run
from aelab.studies.compare import compare, differences

DATA: dict[str, Any] = {
    "name": "MNIST", "sha256": {"train": "ab", "test": "cd"},
    "counts": {"train": 50_000, "validation": 10_000, "test": 10_000},
}  # fmt: skip
MEASURES: dict[str, dict[str, Any]] = {
    "mse": {"title": "MSE per pixel", "unit": "", "better": "lower"},
    "negative_elbo": {"title": "−ELBO", "unit": "nats", "better": "lower"},
    "coverage": {"title": "Coverage", "unit": "", "better": "higher", "classifier": True},
    "absent": {"title": "Nobody has it", "unit": "", "better": None},
}


def estimate(value: float) -> dict[str, float | None]:
    return {"value": value, "low": None, "high": None}


def made(
    path: Path,
    data: dict[str, Any] = DATA,
    mse: float = 0.01,
    classifier: str = "ab" * 32,
    **settings: Any,
) -> Path:
    experiment = preset("recipe", **({"latent_dim": (16,)} | settings))
    run = Run.create(path, experiment.model_dump(mode="json"), data=data)
    models = {
        key: {
            "title": name.upper(),
            "generation": {"classifier": {"sha256": classifier}},
            "metrics": {
                "coverage": None if name == "ae" else estimate(0.5),
                "mse": estimate(mse if name == "ae" else 2 * mse),
                "negative_elbo": None if name == "ae" else estimate(100.0),
            },
        }
        for key, (name, _) in experiment.by_key.items()
    }
    run.write_json("metrics.json", {"data": data, "measures": MEASURES, "models": models})
    return path


def test_columns_measures_and_differing_settings(tmp_path: Path) -> None:
    paths = [made(tmp_path / "one"), made(tmp_path / "two", mse=0.005, seed=3, vae={"beta": 4})]
    found = compare(*paths)
    assert [(c.run, c.model) for c in found.columns] == [
        ("one", "ae-16"), ("one", "vae-16"), ("two", "ae-16"), ("two", "vae-16"),
    ]  # fmt: skip
    assert [c.values["mse"] for c in found.columns] == [0.01, 0.02, 0.005, 0.01]
    assert found.columns[0].values["negative_elbo"] is None
    assert list(found.measures) == ["mse", "negative_elbo", "coverage"]
    assert found.notes == ()
    assert found.differing == {"seed": (0, 3), "vae.beta": (1.0, 4.0)}
    assert asdict(found)["differing"]["vae.beta"] == (1.0, 4.0)


def test_a_smaller_training_set_and_other_sizes_may_be_compared(tmp_path: Path) -> None:
    data = copy.deepcopy(DATA)
    data["counts"]["train"] = 1_000
    found = compare(
        made(tmp_path / "a"), made(tmp_path / "b", data, train_size=1_000, latent_dim=(2,))
    )
    assert set(found.differing) == {"train_size", "latent_dim"}


@pytest.mark.parametrize(
    ("settings", "counts", "said"),
    [
        ({"pixels": "static"}, {}, r"data protocol differs \(grey and static\)"),
        ({"likelihood": "continuous-bernoulli"}, {}, "reconstruction term differs"),
        ({"split_seed": 1}, {}, r"seed of the split differs \(0 and 1\)"),
        ({}, {"validation": 5_000}, r"number of validation images differs \(10000 and 5000\)"),
        ({}, {"test": 500}, "number of test images differs"),
    ],
)
def test_numbers_about_other_things_are_refused(
    settings: dict[str, Any], counts: dict[str, int], said: str, tmp_path: Path
) -> None:
    data = copy.deepcopy(DATA)
    data["counts"] |= counts
    paths = [made(tmp_path / "one"), made(tmp_path / "two"), made(tmp_path / "x", data, **settings)]
    with pytest.raises(AelabError, match=f"one and x cannot stand in one column: their {said}"):
        compare(*paths)


def test_other_data_are_refused_by_checksum_and_without_printing_it(tmp_path: Path) -> None:
    other = copy.deepcopy(DATA)
    other["sha256"]["test"] = "ef"
    with pytest.raises(AelabError, match=r"their SHA-256 of the data differs\.$"):
        compare(made(tmp_path / "one"), made(tmp_path / "two", other))


def test_values_of_another_classifier_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [made(tmp_path / "one"), made(tmp_path / "two", classifier="cd" * 32)]
    paths.append(made(tmp_path / "three"))
    found = compare(*paths)
    assert [c.values.get("coverage") for c in found.columns if c.model == "vae-16"] == [
        0.5, None, 0.5,
    ]  # fmt: skip
    assert [c.values["mse"] for c in found.columns[2:4]] == [0.01, 0.02]
    assert found.notes == (
        "two was evaluated with another digit classifier (SHA-256 cdcdcdcdcdcd) than one "
        "(SHA-256 abababababab): its values that depend on it are left out.",
    )
    comparison_table(found)
    said = capsys.readouterr().out
    [row] = [line for line in said.splitlines() if "Coverage" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "Coverage", "not defined", "0.5000", "not defined", "–", "not defined", "0.5000",
    ]  # fmt: skip
    assert found.notes[0] in said
    # Of an older run, which does not say what depends on the classifier, generation does.
    (old := Run(paths[1])).write_json("metrics.json", old.metrics() | {"measures": {
        name: {k: v for k, v in m.items() if k != "classifier"} | {"family": "generation"}
        for name, m in MEASURES.items()
    }})  # fmt: skip
    assert compare(old.path, old.path).notes == ()
    assert compare(made(tmp_path / "four"), old.path).columns[2].values == {
        "coverage": None, "negative_elbo": None,
    }  # fmt: skip


def test_one_run_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(AelabError, match="at least two"):
        compare(made(tmp_path / "one"))


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [made(tmp_path / side / "run") for side in ("left", "right")]
    assert list(compare(*paths).runs) == [str(path) for path in paths]


def test_a_setting_that_only_one_version_has_differs() -> None:
    assert differences([{"a": 1, "t": {"b": 2}}, {"t": {"b": 2}}]) == {"a": (1, None)}


def test_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [made(tmp_path / "one"), made(tmp_path / "[red]two", vae={"beta": 4})]
    comparison_table(compare(*paths))
    said = capsys.readouterr().out
    for text in ("MSE per pixel", "−ELBO (nats)", "not defined", "100", "vae.beta", "4.0"):
        assert text in said
    assert "[red]two" in said  # not a style
    comparison_table(compare(paths[0], paths[0]))
    assert "do not differ" in capsys.readouterr().out
