"""A study folder made without training: measures that follow smooth laws with a little noise."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aelab.claims.claim import CLAIMS, Claim, frozen_hash
from aelab.experiment.presets import preset
from aelab.runs.run import Run
from aelab.runs.study import Study
from aelab.studies.aggregate import compose
from aelab.studies.plan import PlannedRun
from aelab.studies.sweep import BASE, points

TITLES = {"ae": "AE", "vae": "VAE", "noise": "Noisy AE", "pca": "PCA", "pixels": "Raw pixels"}
MEASURES = {
    "mse": ("MSE per pixel", "", "lower", "reconstruction"),
    "negative_elbo": ("−ELBO", "nats", "lower", "likelihood"),
    "elbo_reconstruction": ("−ELBO: reconstruction", "nats", "lower", "likelihood"),
    "kl": ("−ELBO: KL", "nats", None, "likelihood"),
    "active_units": ("Active units", "dimensions", None, "latent"),
    "mmd2": ("MMD² to N(0, I)", "", "lower", "latent"),
    "mmd2_null": ("MMD²: null", "", None, "latent"),
    "hole_share": ("Holes", "", "lower", "latent"),
    "interpolation_consistency": ("Consistent walks", "", "higher", "latent"),
    "decoder_smoothness": ("‖J Σ^½‖", "", "lower", "latent"),
    "probe_accuracy": ("Logistic probe", "", "higher", "representation"),
    "coverage_prior": ("Coverage, prior", "", "higher", "generation"),
    "coverage_gaussian": ("Coverage, Gaussian", "", "higher", "generation"),
    "coverage_mixture": ("Coverage, mixture of 10", "", "higher", "generation"),
}


def make_study(
    path: Path,
    *,
    seeds: int = 10,
    vary: Mapping[str, Sequence[Any]] | None = None,
    models: tuple[str, ...] = ("ae", "vae"),
    opposite: bool = False,
    without: tuple[str, ...] = (),
    failed: tuple[str, ...] = (),
    claims: Sequence[Claim] = tuple(CLAIMS.values()),
) -> Study:
    """Results, but no report. ``opposite`` turns every claim; runs named in ``failed`` failed."""
    base = preset("recipe", latent_dim=(16,), models=models)
    study = Study.create(
        path,
        base.model_dump(mode="json"),
        [item.model_dump(mode="json") for item in claims],
        claims_hash=frozen_hash(claims),
        data=_data(50_000),
    )
    plan = []
    for point in (BASE, *points(base, vary or {})):
        experiment = point.of(base)
        concerned = tuple(m for m in models if point == BASE or point.affects(m))
        for seed in range(seeds):
            kinds = base.baselines if seed == 0 and concerned == models else ()
            name = "/".join(part for part in (point.name, f"seed-{seed}") if part)
            entry = PlannedRun(name, point.setting, point.value, seed, concerned, kinds)
            plan.append(entry)
            _make_run(study, entry, experiment, opposite, without, name in failed)
    study.note(plan=[dataclasses.asdict(entry) for entry in plan], status="finished")
    study.write_results(*compose(study, plan))
    return study


def _data(train: int) -> dict[str, Any]:
    counts = {"train": train, "validation": 10_000, "test": 10_000}
    return {"name": "MNIST", "counts": counts, "sha256": {}, "split": "by class",
            "source": "folder", "image_size": [28, 28]}  # fmt: skip


def _make_run(
    study: Study, entry: PlannedRun, experiment: Any, opposite: bool, without: Any, fails: bool
) -> None:
    settings = experiment.model_dump(mode="json") | {"seed": entry.seed, "models": entry.models}
    run = Run.create(
        study.run_path(entry.name), settings, data=_data(experiment.train_size or 50_000), source={}
    )
    [d] = experiment.latent_dim
    beta = experiment.objective("vae").model_dump()["beta"]
    if fails:
        sentence = "The loss is not finite at step 3 of epoch 1: lower the learning rate."
        run.note(status="failed", failures={f"{entry.models[-1]}-{d}": sentence})
    for name in (*entry.models[: -1 if fails else None], *entry.baselines):
        values = law(name, d, beta, entry.seed, opposite)
        kept = {k: None if values.get(k) is None else _estimate(values[k])
                for k in MEASURES if k not in without}  # fmt: skip
        key = name if name == "pixels" else f"{name}-{d}"
        size = None if name == "pixels" else d
        record = {"title": TITLES[name], "latent_dim": size, "metrics": kept}
        run.model(key).write_json("metrics.json", record)
        run.model(key).write_history([{"validation": {"total": 100 + 10 / k}} for k in (1, 2, 4)])
    fields = ("title", "unit", "better", "family")
    described = {
        name: dict(zip(fields, facts, strict=True)) | {"description": f"What {facts[0]} says."}
        for name, facts in MEASURES.items()
    }
    run.write_json("metrics.json", {"measures": described})
    if not fails:
        run.note(status="finished")


def _estimate(value: float) -> dict[str, Any]:
    return {"value": value, "low": None, "high": None, "n": 10_000}


def law(name: str, d: int, beta: float, seed: int, opposite: bool) -> dict[str, float]:
    """Made-up measures with the shape of real ones; ``opposite`` swaps the two models."""
    if opposite and name in ("ae", "vae"):
        swapped = law({"ae": "vae", "vae": "ae"}[name], d, beta, seed, False)
        own = law(name, d, beta, seed, False)
        coverage = {"coverage_prior": 0.35} if name == "vae" else {}
        return {k: swapped.get(k, v) for k, v in own.items()} | coverage
    generator = np.random.default_rng([seed, d, sorted(TITLES).index(name)])

    def noisy(value: float, spread: float = 0.02) -> float:
        return float(value * math.exp(generator.normal(0, spread)))

    mse = 0.052 * d**-0.62
    if name == "pca":
        return {"mse": 0.085 * d**-0.41, "probe_accuracy": 0.72 + 0.03 * math.log2(d)}
    if name == "pixels":
        return {"probe_accuracy": 0.917}
    if name == "vae":
        used = min(d, 21 / (1 + beta))
        kl = noisy(1.55 * used / (0.55 + 0.45 * beta) * (1.5 if beta == 0 else 1))
        distortion = noisy(46 + 130 / (1 + 0.31 * used), 0.003)
        return {
            "mse": noisy(mse * 1.12 + 0.0042 * beta), "kl": kl,
            "elbo_reconstruction": distortion, "negative_elbo": distortion + kl,
            "active_units": float(round(noisy(used))),
            "mmd2": noisy(0.0008 + 0.02 * math.exp(-6 * beta), 0.1), "mmd2_null": 0.0002,
            "hole_share": noisy(0.11), "interpolation_consistency": noisy(0.585),
            "decoder_smoothness": noisy(2.1), "probe_accuracy": noisy(0.931, 0.002),
            "coverage_prior": noisy(0.62 * (1 - math.exp(-4 * beta)) + 0.02, 0.03),
            "coverage_gaussian": noisy(0.63, 0.03), "coverage_mixture": noisy(0.71, 0.03),
        }  # fmt: skip
    return {
        "mse": noisy(mse), "mmd2": noisy(0.011, 0.15), "mmd2_null": 0.0002,
        "hole_share": noisy(0.31, 0.08), "interpolation_consistency": noisy(0.57, 0.03),
        "decoder_smoothness": noisy(2.6, 0.05), "probe_accuracy": noisy(0.933, 0.002),
        "coverage_gaussian": noisy(0.33, 0.05), "coverage_mixture": noisy(0.72, 0.02),
    }  # fmt: skip
