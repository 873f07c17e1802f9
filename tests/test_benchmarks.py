"""The parts of the benchmark that do not measure time."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import quality
from benchmarks.contestants import NAMES, Setting, named
from benchmarks.contestants.aelab_fit import AelabFit
from benchmarks.contestants.floor import Floor
from benchmarks.contestants.tutorial import Tutorial
from benchmarks.images import repeated
from benchmarks.processes import PeakMemory, tree
from benchmarks.table import exponent, markdown
from benchmarks.training import PROCESSORS, TITLES, WAYS, Entry, negative_elbo, table, targets


def entries(seconds: dict[str, float]) -> list[Entry]:
    return [Entry(name, way, [], [seconds.get(name, 1.0)] * 3) for name in TITLES for way in WAYS]


def test_the_exponent_of_a_power_is_found() -> None:
    sizes = [10, 100, 1_000]
    assert exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)


def test_numbers_stand_to_the_right() -> None:
    lines = markdown(["what", "s"], [["a", "1.5"], ["b", "−2"]]).splitlines()
    assert lines == ["| what | s |", "| --- | ---: |", "| a | 1.5 |", "| b | −2 |"]


def test_ratios_are_to_aelab_and_what_is_absent_says_why() -> None:
    found = entries({"tutorial": 20.0, "aelab_fit": 2.0})
    for entry in found:
        if entry.name == "keras_fit":
            entry.absent, entry.seconds = "No module named keras", []
    rows = {line.split("|")[1].strip(): line for line in table(found).splitlines()}
    assert "10.00" in rows["tutorial loop"]
    assert "Keras 3 on JAX, fit (not measured: No module named keras)" in rows


def test_a_target_is_met_or_missed_by_its_number() -> None:
    met = targets(entries({"tutorial": 20.0, "aelab_fit": 1.0})).splitlines()
    missed = targets(entries({"tutorial": 20.0, "aelab_fit": 5.0})).splitlines()
    assert next(line for line in met if "tutorial" in line).endswith("| 20.00 | met |")
    assert next(line for line in missed if "tutorial" in line).endswith("| 4.00 | missed |")


def test_every_way_names_processes_that_exist() -> None:
    assert {key for keys in WAYS.values() for key in keys} == set(PROCESSORS)


def test_speed_is_a_ratio_of_medians_and_a_loss_above_the_recipes_has_a_plus() -> None:
    seconds = {"recipe": [60.0, 40.0, 50.0], "fast-ae": [5.0, 4.0, 20.0], "fast-vae": [1.0] * 3}
    found = [
        quality.Trained(
            model,
            chosen,
            precision,
            seed,
            50 if chosen == "recipe" else 3,
            took / (2 if reduced else 1),
            loss + reduced * (seed - 1) / 10,
        )
        for model, pair in quality.PAIRS.items()
        for chosen, loss in zip(pair, (100.0, 100.25 if model == "ae" else 99.0), strict=True)
        for seed, took in enumerate(seconds[chosen])
        for reduced, precision in enumerate(quality.PRECISIONS)
    ]
    rows = {line.split("|")[1].strip(): line for line in quality.table(found).splitlines()}
    assert rows["AE, seed 1"].endswith("| 40.0 | 4.0 | 10.0 | 100.00 | 100.25 | +0.25 |")
    assert rows["**AE, median**"].endswith("| 50.0 | 5.0 | 10.0 | 100.00 | 100.25 | +0.25 |")
    assert rows["**VAE, median**"].endswith(
        "| 50 | 3 | 50.0 | 1.0 | 50.0 | 100.00 | 99.00 | −1.00 |"
    )
    precisions = quality.precision_table(found)
    assert "| VAE, fast-vae | 3 | 3 | 99.00 | 99.00 | +0.00 | −0.10 | +0.10 | 0.50 |" in precisions
    assert (
        len(quality.precision_table([t for t in found if t.precision == "float32"]).splitlines())
        == 2
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", [AelabFit, Tutorial])
def test_a_contestant_learns_and_its_weights_fit_aelabs_model(
    kind: type[AelabFit | Tutorial], mnist_folder: Path
) -> None:
    folder = str(mnist_folder)
    contestant = kind(repeated(folder, 2_000), Setting(learning_rate=1e-3))

    def quality() -> float:
        weights = {name: torch.tensor(value) for name, value in contestant.weights().items()}
        return negative_elbo(folder, weights)

    before = quality()
    contestant.epoch()
    assert quality() < before - 100


def test_layers_are_named_in_order() -> None:
    weights = named([(np.zeros((i, 1)), np.zeros(i)) for i in range(1, 5)])
    assert [len(weights[f"{name}.weight"]) for name in NAMES] == [1, 2, 3, 4]


def test_the_floor_does_its_steps() -> None:
    floor = Floor(np.zeros((130, 784), dtype=np.uint8), Setting())
    before = floor.flat.clone()
    floor.epoch()
    assert floor.steps == 3  # 130 images in batches of 64
    torch.testing.assert_close(floor.last_gradient, floor.logits.t() @ (floor.x @ floor.first.t()))
    assert floor.flat.isfinite().all()
    assert not torch.equal(floor.flat, before)


def test_memory_of_a_child_counts() -> None:
    command = [sys.executable, "-c", "x = bytearray(200_000_000); input()"]
    with (
        subprocess.Popen(
            [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"],
            stdin=subprocess.PIPE,
        ) as process,
        PeakMemory(process.pid, every=0.02) as memory,
    ):
        while memory.peak < 0.2 and process.poll() is None:
            pass
        assert len(tree(process.pid)) == 2
        process.communicate(b"\n")
    assert 0.2 < memory.peak < 1
