"""Kills, full disks, damaged files and bad inputs, as many as asked for.

    python -m tests.torture --minutes 20

Each trial is drawn from its own seed, so that one that fails can be had again:
``--only KIND --seed N``. The tests call the same functions a few times.
"""

import argparse
import contextlib
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from rich.console import Console
from rich.table import Table

from aelab.data.sources import Source, resolve_data
from aelab.errors import AelabError, RunError, TrainingError
from aelab.experiment.presets import experiment_of, merge, preset
from aelab.experiment.settings import Experiment
from aelab.lab.data import describe
from aelab.lab.jobs import train_and_evaluate
from aelab.lab.training import train
from aelab.runs.folder import Folder
from aelab.runs.pool import Event
from aelab.runs.run import Run
from aelab.studies.study import run_study
from aelab.training.checkpoints import newest_state
from tests.bad_inputs import bad_idx, bad_toml, damage, impossible_data, one_bad_copy
from tests.idx_files import make_set, write_set

KEY = "vae-3"
EPOCHS = 4
Rng = np.random.Generator


@dataclass(frozen=True)
class Ground:
    """What every trial shares: an experiment, its data, and the bits it must end with."""

    folder: Path
    experiment: Experiment
    source: Source
    weights: bytes
    history: list[dict[str, Any]]
    points: int  # failpoints that a run passes
    seconds: float  # that it takes


def prepare(folder: Path) -> Ground:
    """Run the victim once without any fault, for reference."""
    write_set(folder / "digits", make_set(train=400, test=60, height=12, width=12))
    experiment = preset(
        "recipe", models=("vae",), latent_dim=(3,), network={"hidden": (16,)}, validation=60,
        data=str(folder / "digits"), vae={"epochs": EPOCHS}, evaluation={"pairs": 50},
    )  # fmt: skip
    source = resolve_data(experiment.data)
    ground = Ground(folder, experiment, source, b"", [], 0, 0)
    path = new_run(ground, "reference")
    began = time.monotonic()
    points = finish(ground, path)[-1]["points"]
    left = Run(path).model(KEY)
    return Ground(
        folder, experiment, source, left.read("weights.safetensors"), timeless(left.history()),
        points, time.monotonic() - began,
    )  # fmt: skip


def new_run(ground: Ground, name: str | Path, **changes: Any) -> Path:
    """A run folder in which nothing has been trained."""
    data = ground.source.load(validation=ground.experiment.validation)
    settings = merge(ground.experiment.model_dump(mode="json"), changes)
    source = asdict(ground.source)
    return Run.create(ground.folder / name, settings, data=describe(data), source=source).path


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A history without what a clock wrote into it."""
    return [row | {"seconds": 0, "images_per_second": 0} for row in history]


# --- the victim: the job of one model, in a process that ends as it is told to ---


def victim(said: Connection, path: Path, source: Source, at: int, most_bytes: int) -> None:
    """Train and measure; killed at failpoint ``at``, or with files of at most ``most_bytes``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    points = _place_failpoints(at)
    if most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    try:
        train_and_evaluate(said.send, path, KEY, source)
        said.send({"points": points()})
    except AelabError as error:
        said.send({"refused": str(error)})


def _place_failpoints(at: int) -> Callable[[], int]:
    """Kill this process at the ``at``-th point around a write, flush, rename or removal."""
    count = 0

    def point() -> None:
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def surrounded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            point()
            result = function(*arguments, **more)
            point()
            return result

        return call

    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, surrounded(getattr(os, name)))
    opened = os.fdopen

    def torn(*arguments: Any, **more: Any) -> Any:
        file = opened(*arguments, **more)
        write = file.write

        class Torn:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def write(self, data: bytes) -> None:
                write(data[: len(data) // 2])
                file.flush()
                point()
                write(data[len(data) // 2 :])

        return Torn()

    os.fdopen = torn
    return lambda: count


def start(
    ground: Ground, path: Path, at: int = 0, most_bytes: int = 0
) -> tuple[Connection, multiprocessing.process.BaseProcess]:
    """A victim at work, and what it says."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["aelab.lab.jobs"])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=victim, args=(sender, path, ground.source, at, most_bytes), daemon=True
    )
    process.start()
    sender.close()
    return receiver, process


def listen(receiver: Connection, process: multiprocessing.process.BaseProcess) -> list[Any]:
    """Everything that a victim said until it ended."""
    heard = []
    with contextlib.suppress(EOFError), receiver:
        while True:
            heard.append(receiver.recv())
    process.join()
    return heard


def finish(ground: Ground, path: Path) -> list[Any]:
    """Let the victim go on undisturbed; the last thing it says is how many points it passed."""
    heard = listen(*start(ground, path))
    assert heard, "the victim died without a word"
    assert "points" in heard[-1], heard[-1]
    return heard


def check_the_end(ground: Ground, path: Path, before: list[Any]) -> str:
    """Go on after an accident: no epoch that was told is lost, and the bits are the reference's."""
    done = max((said["epoch"] for said in before if "epoch" in said), default=0)
    after = finish(ground, path)
    resumed = [said for said in after if "resumed" in said]
    trained = [said["epoch"] for said in after if "epoch" in said]
    begin = resumed[0]["resumed"] if resumed else trained[0] - 1 if trained else EPOCHS
    assert begin >= done, f"{done} epochs were done and it went on from {begin}"
    left = Run(path).model(KEY)
    assert left.read("weights.safetensors") == ground.weights, "other weights"
    assert timeless(left.history()) == ground.history, "another history"
    for name in left.manifest()["files"]:
        left.read(name)
    shutil.rmtree(path)
    return "resumed, equal to the bit"


# --- the trials: each returns what happened, or raises if something was lost ---


def killed_at_a_failpoint(ground: Ground, rng: Rng) -> str:
    """SIGKILL around a write, flush, rename or removal."""
    path = new_run(ground, f"killed-{rng.integers(2**60)}")
    before = listen(*start(ground, path, at=int(rng.integers(1, ground.points + 1))))
    return check_the_end(ground, path, before)


def killed_at_a_moment(ground: Ground, rng: Rng) -> str:
    """SIGKILL at any time."""
    path = new_run(ground, f"moment-{rng.integers(2**60)}")
    receiver, process = start(ground, path)
    before = some_moment(ground, rng, receiver)
    process.kill()
    return check_the_end(ground, path, before + listen(receiver, process))


def ended_by_sigterm(ground: Ground, rng: Rng) -> str:
    """SIGTERM at any time: a training writes the last whole epoch, and ends by the signal."""
    epochs = int(rng.integers(1, EPOCHS))
    path = new_run(ground, f"ended-{rng.integers(2**60)}", checkpoint_epochs=epochs)
    receiver, process = start(ground, path)
    before = some_moment(ground, rng, receiver)
    process.terminate()
    before += listen(receiver, process)
    assert process.exitcode in (0, -signal.SIGTERM), f"exit code {process.exitcode}"
    return check_the_end(ground, path, before)


def some_moment(ground: Ground, rng: Rng, receiver: Connection) -> list[Any]:
    """Wait until some moment, half of the times one in the training; gives what was heard."""
    if rng.random() < 0.5:
        time.sleep(float(rng.random()) * ground.seconds)
        return []
    heard = [receiver.recv() for _ in range(rng.integers(1, EPOCHS))]  # a message an epoch
    time.sleep(float(rng.random()) * 0.02)  # an epoch and its checkpoint take about as long
    return heard


def not_finite(ground: Ground, rng: Rng) -> str:
    """Weights that are no longer finite stop the training; the last checkpoint is before them."""
    run = Run(new_run(ground, f"poisoned-{rng.integers(2**60)}"))
    folder, experiment = run.model(KEY), experiment_of(run)
    data = ground.source.load(validation=experiment.validation)
    model, last = experiment.build(KEY, data.image_size), int(rng.integers(1, EPOCHS))

    def poison(said: dict[str, Any]) -> None:
        if said.get("epoch") == last:
            weight = next(model.parameters())
            with torch.no_grad():
                weight.flatten()[rng.integers(weight.numel())] = rng.choice([np.nan, np.inf])

    said = ""
    try:
        train(poison, experiment, KEY, model, data, folder)
    except TrainingError as error:
        said = str(error)
    assert f"of epoch {last + 1}" in said, f"not told: {said}"
    assert "learning rate" in said, said
    assert not folder.has("weights.safetensors"), "called trained"
    state, _, _ = newest_state(folder)
    assert state is not None
    assert all(tensor.isfinite().all() for tensor in state.tensors.values())
    return check_the_end(ground, run.path, [{"epoch": state.epoch}])


def full_disk(ground: Ground, rng: Rng) -> str:
    """No file can grow beyond a limit (RLIMIT_FSIZE): one sentence, and nothing is damaged."""
    path = new_run(ground, f"full-{rng.integers(2**60)}")
    before = listen(*start(ground, path, most_bytes=int(rng.integers(300, 60_000))))
    if "points" not in before[-1]:
        assert "Cannot write" in before[-1]["refused"], before[-1]
    left = Run(path).model(KEY)
    for name in left.manifest()["files"]:
        left.read(name)
    return check_the_end(ground, path, before)


def strange_checkpoint(ground: Ground, rng: Rng) -> str:
    """A tensor of the newest checkpoint has another name, shape or kind, its checksum right."""
    path = new_run(ground, f"strange-{rng.integers(2**60)}")
    receiver, process = start(ground, path)
    heard = [receiver.recv() for _ in range(rng.integers(1, EPOCHS))]
    process.kill()
    listen(receiver, process)
    folder = Run(path).model(KEY)
    if not folder.checkpoints():  # it was killed before the first
        return check_the_end(ground, path, heard)
    epoch = max(folder.checkpoints())
    tensors = folder.tensors(folder.checkpoints()[epoch])
    name = str(rng.choice(sorted(tensors)))
    tensor = tensors.pop(name)
    kind = torch.float32 if tensor.dtype == torch.uint8 else torch.int64
    others = {
        "name": {f"{name}-": tensor}, "none": {}, "less": {name: tensor.flatten()[:-1].clone()},
        "shape": {name: tensor[None].clone()}, "kind": {name: tensor.nan_to_num().to(kind)},
    }  # fmt: skip
    other = others[str(rng.choice(sorted(others)))]
    folder.write_checkpoint(epoch, safetensors.torch.save(tensors | other))
    return check_the_end(ground, path, [])  # what the checkpoint before it had is all there is


def damaged_file(ground: Ground, rng: Rng) -> str:
    """A flipped bit or a truncation in any file of a finished run is told by the file's name."""
    run = Run(ground.folder / "reference")
    folders: list[Folder] = [run, *run.model_folders()]
    files = [(folder, name) for folder in folders for name in folder.manifest()["files"]]
    folder, name = files[rng.integers(len(files))]
    path = folder.path / name
    sound = path.read_bytes()
    path.write_bytes(damage(sound, rng))
    said = ""
    try:
        folder.read(name)
    except RunError as error:
        said = str(error)
    finally:
        path.write_bytes(sound)
    assert str(path) in said, f"damage to {path} was not told"
    return "detected"


TRIALS: dict[str, Callable[[Ground, Rng], str]] = {
    trial.__name__: trial
    for trial in (
        killed_at_a_failpoint, killed_at_a_moment, ended_by_sigterm, not_finite, full_disk,
        strange_checkpoint, damaged_file, bad_idx, impossible_data, one_bad_copy, bad_toml,
    )
}  # fmt: skip
LONG = 5  # minutes, from which on a long study is made too
CHEAP = {  # a round has so many of these
    "damaged_file": 20, "bad_idx": 40, "impossible_data": 20, "one_bad_copy": 20, "bad_toml": 100,
}  # fmt: skip


def long_study(ground: Ground, runs: int = 30) -> str:
    """The memory of the process that leads a study, after a third of the runs and at the end."""
    sizes: list[float] = []  # resident, in MB, whenever a model has been measured

    def watch(event: Event) -> None:
        if event.job.endswith(KEY) and event.kind == "done":
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            sizes.append(pages * resource.getpagesize() / 1e6)

    run_study(ground.experiment, ground.folder / "study", seeds=runs, watch=watch)
    assert len(sizes) == runs
    early, late = sizes[runs // 3], sizes[-1]
    assert late - early < 30, f"{late - early:.0f} MB more"
    return f"{early:.0f} MB after {runs // 3}, {late:.0f} MB after all"


def main() -> None:
    """Rounds of all trials until the time is over, and a table of what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--only", choices=TRIALS)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    torch.set_num_threads(1)  # as the victims have: bits depend on it
    console, counts, lost = Console(), Counter[tuple[str, str]](), 0
    end = time.monotonic() + 60 * wanted.minutes
    with tempfile.TemporaryDirectory() as folder:
        ground = prepare(Path(folder))
        seed = wanted.seed
        while time.monotonic() < end:
            for name in [wanted.only] if wanted.only else TRIALS:
                for number in range(CHEAP.get(name, 1)):
                    try:
                        outcome = TRIALS[name](ground, np.random.default_rng([seed, number]))
                    except Exception as error:  # whatever it was, it is what we look for
                        outcome, lost = "LOST", lost + 1
                        console.print(f"{name} --seed {seed}: {error!r}", style="red")
                    counts[name, outcome] += 1
            seed += 1
        if wanted.minutes >= LONG and not wanted.only:
            counts["memory of a study of 30 runs", long_study(ground)] = 1
    table = Table("trial", "what happened", "times", title=f"{wanted.minutes:g} minutes")
    for (name, outcome), count in sorted(counts.items()):
        table.add_row(name.replace("_", " "), outcome, f"{count:,}")
    console.print(table)
    console.print(f"Lost: {lost}")
    raise SystemExit(lost > 0)


if __name__ == "__main__":
    main()
