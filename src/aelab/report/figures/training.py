"""How the models learned: the loss and its terms, and the KL of every latent dimension."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from aelab.report.figures.base import FIGURES, Drawing, View, figure, per_model
from aelab.report.figures.drawing import bare, label_ends, mask, note, panels
from aelab.report.numbers import listing, number
from aelab.report.results import Model
from aelab.report.style import INK, LINE, MUTED
from aelab.runs.records import Json

TITLES = {"reconstruction": "Reconstruction", "kl": "KL(q(z|x) ‖ p(z))", "total": "Loss (total)"}
TOTAL = "total"
FEW = 4  # so many dimensions are drawn as lines, more as a heat map


@figure(FIGURES, "loss", "Loss over the epochs", "Training")
def loss(view: View) -> Drawing | None:
    """Solid lines are validation, dashed lines training, in nats per image; lower is better.
    Where the solid line rises while the dashed one falls, the model overfits. A VAE’s loss has one
    term more than an AE’s, so the two meet on one scale in the reconstruction panel, not in the
    total.
    """
    models = [model for model in view.models if model.history]
    if not models:
        return None
    names = [TOTAL, *dict.fromkeys(t for m in models for t in m.history[-1]["validation"]["terms"])]
    drawn, axes = panels(1, len(names), height=2.7)
    for ax, name in zip(axes, names, strict=True):
        ends = []
        for model in models:
            color = view.color(model)
            for split, dashes in (("train", "--"), ("validation", "-")):
                values = curve(model.history, split, name)
                epochs = [row["epoch"] for row in model.history][: len(values)]
                marker = "o" if len(values) == 1 else ""
                ax.plot(epochs, values, dashes, color=color, marker=marker, markersize=4)
                if split == "validation" and values:
                    text = f"{model.title} {number(values[-1], 1)}"
                    ends.append((epochs[-1], values[-1], text, color))
        ax.set(title=TITLES.get(name, name), xlabel="epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        ax.margins(x=0.02)
        if name == "kl":
            ax.set_ylim(bottom=0)
        label_ends(ax, ends)
    axes[0].set_ylabel("nats per image")
    lines = [Line2D([], [], color=MUTED, linestyle=style) for style in ("-", "--")]
    axes[0].legend(lines, ["validation", "training"], loc="upper right")
    changes = [
        f"{model.title} from {number(values[0], 1)} to {number(values[-1], 1)}"
        for model in models
        if (values := curve(model.history, "validation", TOTAL))
    ]
    alt = f"validation total over {max(len(m.history) for m in models)} epochs, nats per image: "
    alt += f"{listing(changes)}."
    return Drawing(drawn, alt, {k: v for model in models for k, v in _explain(model).items()})


def curve(history: Sequence[Json], split: str, term: str) -> list[float]:
    """A term (or the total) over the epochs."""
    rows = [row[split] for row in history]
    if term == TOTAL:
        return [row["total"] for row in rows]
    return [row["terms"][term] for row in rows if term in row["terms"]]


def _explain(model: Model) -> dict[str, str]:
    """Why a KL rises, if it did; what is wrong with a training is in the section Health."""
    total, rec, kl = (
        curve(model.history, "validation", term) for term in (TOTAL, "reconstruction", "kl")
    )
    if not kl or not rec or kl[-1] <= kl[0] or total[-1] >= total[0]:
        return {}
    gain, price = rec[0] - rec[-1], kl[-1] - kl[0]
    text = (
        f"The {model.title}’s KL went from {number(kl[0], 1)} to {number(kl[-1], 1)} nats as the "
        f"code came to say more about each image. Those {number(price, 1)} nats bought "
        f"{number(gain, 1)} nats of reconstruction, more than they cost, so the sum still fell."
    )
    return {"Why the KL rises while the loss falls": text}


@per_model(
    "kl", "What each latent dimension carries", "Training", "kl_per_dimension",
    height=lambda *_: 2.7, widths=(1, 1.15),
)  # fmt: skip
def kl(view: View, model: Model, over: Axes, end: Axes) -> str:
    """KL of every latent dimension, mean over images: how many nats of information about the image
    pass through it. On the left over training (validation images), on the right at the end (test
    images), sorted. A filled bar is an active unit: the code’s mean varies over images with
    variance above 0.01.
    """
    values = np.asarray(model.array("kl_per_dimension"), float)
    active = model.array("active").astype(bool) if model.has("active") else values > 0.01
    order = np.argsort(-values, kind="stable")
    _over_training(over, view, model, order)
    color = view.color(model)
    edges = [color if on else MUTED for on in active[order]]
    fills = [color if on else "none" for on in active[order]]
    end.bar(range(len(order)), values[order], width=0.72, facecolor=fills, edgecolor=edges)
    end.set_title(f"{model.title}: at the end", color=INK)
    end.set(ylabel="nats", xlabel="dimension z, sorted")
    end.set_ylim(0, max(1.12 * values.max(), 0.1))
    end.set_xlim(-0.8, max(len(values) - 0.2, 4.2))
    step = -(-len(order) // 24)
    end.set_xticks(range(0, len(order), step), [str(j + 1) for j in order][::step])
    end.grid(visible=False, axis="x")
    text = f"{active.sum()} of {len(values)} active, {number(values.sum(), 1)} nats in all"
    end.text(0.98, 0.95, text, transform=end.transAxes, ha="right", va="top", color=INK)
    return f"{text}; the largest dimension carries {number(values.max(), 2)} nats"


def _over_training(ax: Axes, view: View, model: Model, order: np.ndarray) -> None:
    rows = [row["validation"].get("per_dimension", {}).get("kl") for row in model.history]
    kept = [(r["epoch"], v) for r, v in zip(model.history, rows, strict=True) if v is not None]
    if not kept:
        bare(ax)
        ax.set_title("")
        ax.text(0, 1, "No history by dimension", transform=ax.transAxes, va="top", color=MUTED)
        return
    epochs, values_EZ = [e for e, _ in kept], np.asarray([v for _, v in kept], float)[:, order]
    ax.set(title=f"{model.title}: over training", xlabel="epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if len(order) <= FEW:
        marker = "o" if len(epochs) == 1 else ""
        ax.plot(epochs, values_EZ, color=view.color(model), marker=marker, markersize=4)
        for j, end in zip(order, values_EZ[-1], strict=True):
            note(ax, f"z{j + 1}", (epochs[-1], end), (5, 0), va="center", annotation_clip=False)
        ax.set(ylabel="nats", ylim=(0, max(1.12 * values_EZ.max(), 0.1)))
        return
    top = max(float(values_EZ.max()), 1e-9)
    strength = np.clip(255 * values_EZ.T / top, 0, 255).astype(np.uint8)
    mask(ax, strength, (epochs[0] - 0.5, epochs[-1] + 0.5, len(order), 0), view.color(model))
    ax.grid(visible=False)
    ax.spines[:].set(visible=True, color=LINE)
    step = -(-len(order) // 16)
    names = [str(j + 1) for j in order][::step]
    ax.set_yticks(np.arange(0, len(order), step) + 0.5, names)
    ax.set(ylabel="dimension z", title=f"{model.title}: over training, to {number(top, 1)} nats")
