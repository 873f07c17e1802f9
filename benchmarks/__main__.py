"""Run the benchmark and write its tables as Markdown and JSON: make bench, make fast."""

import argparse
import dataclasses
import json
import time
from pathlib import Path

from rich.text import Text

from aelab.console.streams import console
from benchmarks import evaluation, growth, machine, quality, training, wait

SECTIONS = ("training", "growth", "wait", "evaluation")
APART = "quality"  # half an hour, with its own page


def main() -> None:
    """Parse the arguments, run the sections, print and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--data", default="../shared/mnist", help="folder of MNIST's IDX files")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmark"), help="without suffix")
    parser.add_argument("--quick", action="store_true", help="fewer images and rounds, < 3 minutes")
    parser.add_argument("--only", nargs="+", choices=(*SECTIONS, APART), default=list(SECTIONS))
    wanted = parser.parse_args()
    out = console(stderr=True)
    began = time.perf_counter()

    def say(text: str) -> None:
        out.print(Text.assemble((f"{time.perf_counter() - began:6.0f} s", "dim"), f"  {text}"))

    images, rounds = (8_000, 2) if wanted.quick else (50_000, 5)
    described = machine.describe()
    lines = [f"Machine: {'; '.join(described.values())}.", ""]
    found: dict[str, object] = {"machine": described, "images": images, "rounds": rounds}

    def keep() -> None:
        """Write the results so far: a failure in one section must not lose the others."""
        wanted.out.parent.mkdir(parents=True, exist_ok=True)
        wanted.out.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")
        wanted.out.with_suffix(".json").write_text(json.dumps(found, indent=1), encoding="utf-8")

    if "training" in wanted.only:
        entries = training.compare(wanted.data, images, rounds, say)
        found["training"] = training.records(entries)
        lines += [
            f"Seconds per model and epoch of {images:,} images: VAE 784-400-16, batch 64, "
            f"Adam 1e-4. Medians of {rounds} interleaved rounds; a pair is two processes of one "
            f"thread each, and its time is divided by two. −ELBO on validation after {rounds} "
            "epochs.",
            "", training.table(entries), "", training.targets(entries), "",
        ]  # fmt: skip
        keep()
    if "growth" in wanted.only:
        grown = growth.grow(wanted.data, wanted.quick, say)
        found["growth"] = grown
        lines += [
            "Scaling of the time of one epoch and of peak memory, one thread (10,000 images unless "
            "they vary; epochs: the sum; seeds: four epochs each, with process start):",
            "", growth.table(grown), "",
        ]  # fmt: skip
        keep()
    if "wait" in wanted.only:
        waited = wait.wait(wanted.data, wanted.quick, say)
        found["wait"] = waited
        lines += ["Other waiting times:", "", wait.table(waited), ""]
        keep()
    if "evaluation" in wanted.only:
        say("metrics beside other libraries'")
        evaluated = evaluation.in_a_process(wanted.data, 50 if wanted.quick else 200)
        found["evaluation"] = evaluated
        lines += [
            "Metrics by aelab and by other libraries, from the same weights and features, one "
            "thread, medians of three rounds:",
            "", evaluation.table(evaluated), "",
        ]  # fmt: skip
        keep()
    if APART in wanted.only:
        raced = quality.race(wanted.data, 1 if wanted.quick else 5, say)
        found[APART] = [dataclasses.asdict(t) for t in raced]
        lines += [
            "The recipe and the presets `fast-ae` and `fast-vae`: the validation loss after the "
            "last epoch (AE: reconstruction, VAE: −ELBO at β = 1), and the seconds of training "
            "with validation, one thread, two models at a time. In float32:",
            "", quality.table(raced), "",
            "The same trainings with products in bfloat16, against float32 (loss: medians over the "
            "seeds; differences: of each seed's losses):",
            "", quality.precision_table(raced), "",
        ]  # fmt: skip
        keep()
    console().print("\n".join(lines), soft_wrap=True)
    say(f"written to {wanted.out}.md and {wanted.out}.json")


if __name__ == "__main__":
    main()
