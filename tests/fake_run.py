"""A run folder made without training: codes by PCA, in the shape that the lab writes.

The report sees arrays and numbers only, so a principal component analysis stands in for both
models; the "VAE" has whitened codes and duller reconstructions.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass
class FakeRun:
    """The methods of ``aelab.runs.folder.Run`` that a report needs, over plain dicts."""

    path: Path
    settings: dict[str, Any]
    measured: dict[str, Any]
    facts: dict[str, Any]
    histories: dict[str, list[dict[str, Any]]]
    saved: dict[str, dict[str, Array]]
    figures: dict[str, bytes] = field(default_factory=dict)
    explorer: Path | None = None

    def experiment(self) -> dict[str, Any]:
        return self.settings

    def manifest(self) -> dict[str, Any]:
        return self.facts

    def metrics(self) -> dict[str, Any]:
        return self.measured

    def model_keys(self) -> list[str]:
        return list(self.saved)

    def history(self, key: str) -> list[dict[str, Any]]:
        return self.histories[key]

    def arrays(self, key: str) -> dict[str, Array]:
        return self.saved[key]

    def write_figure(self, name: str, data: bytes) -> Path:
        self.figures[name] = data
        return self.path / "figures" / name

    def write_explorer(self, html: str) -> Path:
        self.path.mkdir(parents=True, exist_ok=True)
        self.explorer = self.path / "explorer.html"
        self.explorer.write_text(html, encoding="utf-8")
        return self.explorer

    def write_report(self, html: str) -> Path:
        self.path.mkdir(parents=True, exist_ok=True)
        target = self.path / "report.html"
        target.write_text(html, encoding="utf-8")
        return target


def digits(count: int, classes: int = 10, seed: int = 0) -> tuple[Array, Array]:
    """Images of 28 × 28: a soft stroke whose angle is the class."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    y, x = np.mgrid[-1:1:28j, -1:1:28j]
    angle = np.pi * labels / classes + generator.normal(0, 0.08, count)
    offset = generator.normal(0, 0.12, count)
    distance = (
        np.multiply.outer(np.sin(angle), x)
        + np.multiply.outer(np.cos(angle), y)
        - offset[:, None, None]
    )
    images = 255 * np.exp(-(distance**2) / 0.02) * (np.hypot(x, y) < 0.8)
    return images.reshape(count, 784).astype(np.uint8), labels


# Measures that a figure shows in place of the table: panel, quantity, place, value.
PANELS = {
    "mse_noise_1": ("robustness", "Gaussian noise, σ", 0.1, 0.016),
    "mse_noise_4": ("robustness", "Gaussian noise, σ", 0.4, 0.043),
    "probe_10": ("few labels", "Few labels", 10.0, 0.71),
    "probe_1000": ("few labels", "Few labels", 1000.0, 0.92),
}
MEASURES = {
    "mse": ("MSE per pixel", "", "lower", "reconstruction"),
    "ssim": ("SSIM", "", "higher", "reconstruction"),
    "negative_elbo": ("−ELBO", "nats/image", "lower", "likelihood"),
    "active_units": ("Active units", "", None, "latent"),
    "knn_accuracy": ("5-NN accuracy", "", "higher", "representation"),
}


def make_run(
    path: Path,
    *,
    models: tuple[str, ...] = ("ae", "vae"),
    dims: tuple[int, ...] = (16, 2),
    epochs: int = 12,
    collapsed: bool = False,
    classes: int = 10,
    vae_better: bool = False,
) -> FakeRun:
    """A finished run of these models and sizes."""
    names = [str(k) if classes <= 10 else chr(97 + k) for k in range(classes)]
    keys = [f"{name}-{d}" for d in dims for name in models]
    sign = -1 if vae_better else 1
    values = {"ae": (0.0112, 0.871, None, None, 0.9412), "vae": (0.0131, 0.842, 103.21, 14, 0.9468)}
    estimates: dict[str, dict[str, Any]] = {}
    for key in keys:
        numbers = dict(zip(MEASURES, values.get(key.split("-")[0], values["ae"]), strict=True))
        estimates[key] = {
            "model": key.split("-")[0],
            "title": key.split("-")[0].upper(),
            "latent_dim": int(key.split("-")[1]),
            "parameters": 651_234,
            "epochs": epochs,
            "seconds": 61.5,
            "status": "finished",
            "metrics": {
                n: None if v is None else {"value": v, "low": v * 0.98, "high": v * 1.02, "n": 500}
                for n, v in numbers.items()
            },
        }
    gaps = {"mse": 0.0019 * sign, "ssim": -0.029 * sign, "knn_accuracy": 0.0056}
    widths = {"mse": 0.0002, "ssim": 0.004, "knn_accuracy": 0.0080}
    differences = {
        name: {"value": gap, "low": gap - widths[name], "high": gap + widths[name]}
        for name, gap in gaps.items()
    }
    measured: dict[str, Any] = {
        "format": 1,
        "data": {
            "name": "5,000 bundled digits",
            "source": "bundled",
            "why": "No cache, and no network: the digits that came with the installation.",
            "split": "4,000 / 500 / 500, drawn by class with seed 0",
            "sha256": {"mnist_5k.csv": "167bbe5f" * 8},
            "label_names": names,
            "image_size": [28, 28],
            "counts": {"train": 4000, "validation": 500, "test": 500},
        },
        "protocol": "grey",
        "measures": {
            name: {
                "title": title,
                "unit": unit,
                "better": better,
                "family": family,
                "description": f"What {title} means, in one sentence.",
            }
            for name, (title, unit, better, family) in MEASURES.items()
        },
        "models": estimates,
        "baselines": {
            **{
                f"pca-{d}": {
                    "title": "PCA",
                    "latent_dim": d,
                    "metrics": {
                        "mse": {"value": 0.0268, "low": None, "high": None, "n": 500},
                        "knn_accuracy": {"value": 0.951, "low": 0.93, "high": 0.97, "n": 500},
                    },
                }
                for d in dims
            },
            "pixels": {
                "title": "Raw pixels",
                "latent_dim": None,
                "metrics": {"knn_accuracy": {"value": 0.936, "low": 0.91, "high": 0.95, "n": 500}},
            },
        },
        "differences": {str(d): differences for d in dims} if len(models) == 2 else {},
        "baseline_differences": {
            key: {
                f"pca-{key.split('-')[1]}": {
                    "mse": {"value": value - 0.0268, "low": value - 0.0272, "high": value - 0.0264}
                }
            }
            for key in keys
            if (value := estimates[key]["metrics"]["mse"]["value"])
        },
        "pair_differs_in": ["learning rate (AE 0.001, VAE 0.0001)"],
    }
    settings = {
        "preset": "quick",
        "seed": 0,
        "models": list(models),
        "latent_dim": list(dims),
        "data": "auto",
        "split_seed": 0,
        "pixels": "grey",
        "likelihood": "bernoulli",
        "network": {"kind": "mlp", "hidden": [400], "activation": "relu"},
        **{name: {"learning_rate": 1e-3, "batch_size": 64, "epochs": epochs} for name in models},
    }
    facts = {
        "format": 1,
        "aelab": "0.1.0",
        "status": "finished",
        "created": "2026-11-24T20:05:00+00:00",
        "seconds": 127.3,
        "environment": {"python": "3.11.2", "torch": "2.13.0", "threads_per_model": 1},
        "files": {},
    }
    measured["measures"] |= {
        name: {
            "title": f"{quantity} {at:g}", "unit": "", "better": None, "panel": panel, "at": at,
            "quantity": quantity, "description": "What a figure shows.",
            "family": "reconstruction" if panel == "robustness" else "representation",
        }
        for name, (panel, quantity, at, _) in PANELS.items()
    }  # fmt: skip
    for entry in measured["models"].values():
        entry["metrics"] |= {
            name: {"value": value, "low": value * 0.98, "high": value * 1.02, "n": 500}
            for name, (*_, value) in PANELS.items()
        }
    return FakeRun(
        path=path,
        settings=settings,
        measured=measured,
        facts=facts,
        histories={key: _history(key, epochs, collapsed) for key in keys},
        saved={key: dict(_arrays(key, classes, collapsed)) for key in keys},
    )


def _history(key: str, epochs: int, collapsed: bool) -> list[dict[str, Any]]:
    name, d = key.split("-")
    rows = []
    for epoch in range(1, epochs + 1):
        fade = np.exp(-epoch / 6)
        reconstruction = 76.0 + 90 * fade + (4 if name == "vae" else 0) + (40 if d == "2" else 0)
        share = np.linspace(2.2, 0.0, int(d)) * (0 if collapsed else 1 - 0.6 * fade)
        row: dict[str, Any] = {"epoch": epoch, "learning_rate": 1e-3, "seconds": 1.2}
        for split, more in (("train", -2.0 + fade), ("validation", 0.0)):
            terms = {"reconstruction": float(reconstruction + more)}
            if name == "vae":
                terms["kl"] = float(share.sum())
            row[split] = {
                "total": sum(terms.values()),
                "terms": terms,
                "weights": {"kl": 1.0} if name == "vae" else {},
            }
        if name == "vae":
            row["validation"]["per_dimension"] = {"kl": share.tolist()}
        rows.append(row)
    return rows


@cache
def _components(classes: int) -> tuple[Array, Array, Array, Array]:
    images, labels = digits(120, classes)
    _, scale, axes = np.linalg.svd(images - images.mean(0), full_matrices=False)
    return images, labels, scale, axes


@cache
def _arrays(key: str, classes: int, collapsed: bool) -> dict[str, Array]:
    name, size = key.split("-")
    d, vae = int(size), name == "vae"
    generator = np.random.default_rng(d + vae)
    images, labels, scale, axes = _components(classes)
    centre = images.mean(0)
    scale = scale[:d] / np.sqrt(len(images)) if vae else np.full(d, 200.0)
    codes = ((images - centre) @ axes[:d].T / scale).astype(np.float32)

    def decode(z: Array) -> Array:
        pixels = (z * scale) @ axes[:d] * (0.8 if vae else 1) + centre
        image: Array = np.clip(pixels, 0, 255).astype(np.uint8)
        return image

    made = decode(codes)
    error = np.abs(made.astype(float) - images).sum(1) / 255
    first = np.sort(np.concatenate([np.flatnonzero(labels == k)[:2] for k in np.unique(labels)]))
    order = np.argsort(error)
    best, worst = order[:8], order[::-1][:8]
    pairs = first[:12].reshape(6, 2)
    steps = np.linspace(0, 1, 11)[None, :, None]
    start, end = codes[pairs[:, :1]], codes[pairs[:, 1:]]
    spread = codes.std(0)
    arrays: dict[str, Array] = {
        "labels": labels.astype(np.int64),
        "codes": codes,
        "originals": images[first],
        "reconstructions": made[first],
        "shown_labels": labels[first],
        "samples_gaussian": decode(generator.normal(0, 1, (64, d)) * spread),
        "samples_mixture": decode(codes[generator.integers(0, len(codes), 64)]),
        "interpolations": decode((start * (1 - steps) + end * steps).reshape(66, d)).reshape(
            6, 11, 784
        ),
        "interpolation_labels": labels[pairs],
        "error_by_label": np.stack(
            [error[labels == k].mean() + np.array([0, -3, 3.0]) for k in np.unique(labels)]
        ),
    }
    for end_name, index in (("best", best), ("worst", worst)):
        arrays[f"{end_name}_originals"] = images[index]
        arrays[f"{end_name}_reconstructions"] = made[index]
        arrays[f"{end_name}_error"] = error[index].astype(np.float32)
    if vae:
        share = np.zeros(d) if collapsed else np.linspace(2.2, 0.0, d)
        arrays |= {
            "posterior_std": np.full((len(images), d), 0.2, np.float32),
            "kl_per_dimension": share,
            "code_variance": share,
            "active": share > 0.1,
            "samples_prior": decode(generator.normal(0, 1, (64, d))),
        }
    if d > 2:
        chosen = np.arange(min(5000, len(images)))
        arrays |= {"embedding_index": chosen, "pca": codes[chosen, :2], "tsne": codes[chosen, 1:3]}
        if vae:
            arrays["pca_prior_std"] = np.ones(2)
    if d == 2:
        x0, x1 = np.percentile(codes[:, 0], [1, 99])
        y0, y1 = np.percentile(codes[:, 1], [1, 99])
        grid = np.stack(np.meshgrid(np.linspace(x0, x1, 20), np.linspace(y1, y0, 20)), -1)
        arrays |= {
            "manifold": decode(grid.reshape(400, 2)),
            "manifold_extent": np.array([x0, x1, y0, y1]),
        }
    return arrays
