"""Other waiting times: help, first epoch, evaluation, report; and peak memory."""

import itertools
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from aelab import preset, run_lab
from aelab.metrics.classifier import obtain
from aelab.runs.pool import Event
from benchmarks.explorer import pointer_move
from benchmarks.images import data
from benchmarks.processes import PeakMemory
from benchmarks.table import markdown

CHROMIUM = Path("/usr/bin/chromium")


def wait(folder: str, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Waiting times in seconds, the slowest metrics, and peak memory of all processes in GB."""
    say("aelab --help against import torch")
    help_, torch = (_seconds([sys.executable, *words]) for words in
                    (["-m", "aelab", "--help"], ["-c", "import torch"]))  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        words = ["--preset", "quick"] if quick else ["--preset", "recipe", "--data", folder]
        words += ["--ae.epochs", "2", "--vae.epochs", "2"]
        say("aelab run, two epochs of four models")
        first, whole, memory = _run([*words, "--out", str(run)])
        say("a whole run, by phase")
        spent = phases(folder, "quick" if quick else "fast", Path(scratch) / "phases")
        say("evaluation, metric by metric")
        slowest = _measures(run)
        say("the report")
        report = _seconds([sys.executable, "-m", "aelab", "report", str(run)], times=1)
        opened = _open(run / "report.html")
        moved = pointer_move(run / "explorer.html") if opened is not None else None
    return {
        "help": help_, "import torch": torch, "first epoch": first, "run of two epochs": whole,
        "peak memory, GB": memory, "phases": spent, "evaluation of one VAE": sum(slowest.values()),
        "slowest measures": dict(list(slowest.items())[:3]), "report": report,
        "opening the report": opened, "explorer, pointer move": moved,
    }  # fmt: skip


def _seconds(command: list[str], times: int = 5) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        found.append(time.perf_counter() - began)
    return median(found)


def _run(words: list[str]) -> tuple[float, float, float]:
    """Seconds to the first epoch's line and to the end, and the peak memory."""
    began = time.perf_counter()
    with (
        subprocess.Popen(
            [sys.executable, "-m", "aelab", "run", *words], stdout=subprocess.PIPE, text=True
        ) as process,
        PeakMemory(process.pid) as memory,
    ):
        assert process.stdout is not None
        first = 0.0
        for line in process.stdout:
            if not first and re.search(r"epoch 1/", line):
                first = time.perf_counter() - began
    assert process.returncode == 0, "aelab run failed"
    return first, time.perf_counter() - began, memory.peak


def phases(folder: str, name: str, out: Path) -> dict[str, float]:
    """Seconds of ``aelab run --preset fast`` or another preset, whole and by phase.

    Training and evaluation are sums over the worker processes, of which two run at a time. Of the
    digit classifier, which is trained once, only the loading is counted.
    """
    obtain(data(folder), lambda _: None)
    began = time.perf_counter()
    since: dict[str, float] = {}
    spent = {"training": 0.0, "evaluation": 0.0, "report": 0.0}

    def watch(event: Event) -> None:
        now = time.perf_counter()
        if event.kind == "started":
            since[event.job] = now
        elif event.kind == "message" and event.content == {"phase": "evaluating"}:
            spent["training"] += now - since[event.job]
            since[event.job] = now
        elif event.kind == "done":
            phase = "report" if event.job == "report" else "evaluation"
            spent[phase] += now - since[event.job]

    run_lab(preset(name, data=folder), out, watch=watch)
    return {"whole": time.perf_counter() - began, **spent}


def _measures(run: Path) -> dict[str, float]:
    """Seconds of each step of evaluating the larger VAE, slowest first; one thread."""
    import torch

    from aelab import Run, load_model, load_run_data
    from aelab.metrics import Context, evaluate

    torch.set_num_threads(1)
    said: list[tuple[str, float]] = []
    key = next(key for key in Run(run).model_keys() if key.startswith("vae"))
    context = Context(
        model=load_model(Run(run), key),
        data=load_run_data(Run(run)),
        seed=0,
        report=lambda text: said.append((text, time.perf_counter())),
    )
    evaluate(context)
    said.append(("", time.perf_counter()))
    spent: dict[str, float] = {}
    for (text, began), (_, ended) in itertools.pairwise(said):
        spent[text] = spent.get(text, 0) + ended - began
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def _open(page: Path) -> float | None:
    """Seconds until a browser has loaded the page; None without a browser."""
    if not CHROMIUM.exists() or not find_spec("playwright"):
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page()
        tab.goto(page.as_uri())  # once, so that the fonts are there
        began = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="load")
        taken = time.perf_counter() - began
        browser.close()
    return taken


def table(found: dict[str, Any]) -> str:
    """A row for each wait."""
    rows = [
        ["aelab --help", f"{found['help']:.2f} s",
         f"{found['help'] / found['import torch']:.2f} of import torch"],
        ["import torch", f"{found['import torch']:.2f} s", ""],
        ["from the command to the first epoch", f"{found['first epoch']:.1f} s", ""],
        ["a run of four models with two epochs each", f"{found['run of two epochs']:.0f} s",
         f"peak memory over all processes {found['peak memory, GB']:.2f} GB"],
        ["`aelab run --preset fast` (four models)", f"{found['phases']['whole']:.0f} s",
         "seconds of its processes, two at a time: "
         + ", ".join(f"{k} {v:.0f}" for k, v in found["phases"].items() if k != "whole")],
        ["evaluating one VAE, one thread", f"{found['evaluation of one VAE']:.0f} s",
         "slowest: " + ", ".join(f"{k} {v:.0f} s" for k, v in found["slowest measures"].items())],
        ["figures and report", f"{found['report']:.1f} s", ""],
    ]  # fmt: skip
    if found["opening the report"] is not None:
        rows.append(["opening the report in Chromium", f"{found['opening the report']:.2f} s", ""])
    if (moved := found["explorer, pointer move"]) is not None:
        rows.append(
            [
                "a pointer move in the explorer, both decoders",
                f"{moved['median_ms']:.1f} ms",
                f"95% within {moved['p95_ms']:.1f} ms",
            ]
        )
    return markdown(["", "time", ""], rows)
