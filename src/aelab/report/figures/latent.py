"""Where the codes are: the latent plane, projections of larger codes, and the plane decoded."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator

from aelab.report.figures.base import View, per_model
from aelab.report.figures.drawing import note, show, unframed
from aelab.report.numbers import listing, number
from aelab.report.results import Array, Model
from aelab.report.style import INK, SURFACE

SECTION = "Latent space"
ACTIVE = 0.01  # Burda et al. (2016)


def _square(_: View, count: int) -> float:
    return 7.4 / count


def _spread_note(view: View) -> dict[str, str]:
    models = view.having("codes")
    by_prior = {model.has_prior: model for model in reversed(models)}
    if len(by_prior) < 2:
        return {}
    without, with_prior = by_prior[False], by_prior[True]
    wide, tight = (float(np.std(m.array("codes"))) for m in (without, with_prior))
    if wide < 1.5 * tight:
        return {}
    text = (
        f"Its codes spread {number(wide / tight, 1)} times as far as the {with_prior.title}’s: "
        "nothing in its loss asks for a scale; the KL pulls every posterior towards N(0, I)."
    )
    return {f"Why the {without.title}’s axes are longer": text}


@per_model(
    "plane", "The latent plane", SECTION, "codes", "labels", "manifold",
    height=_square, notes=_spread_note,
)  # fmt: skip
def plane(view: View, model: Model, ax: Axes) -> str:
    """Every point is the code of a test image (of a VAE: the mean of its posterior), coloured by
    class and named at the centre of the class. Circles are one, two and three standard deviations
    of the prior N(0, I), which only a VAE has. The axes differ: nothing fixes the scale of an AE’s
    codes.
    """
    codes_NZ = np.asarray(model.array("codes"), float)
    scatter(ax, view, codes_NZ, model.array("labels"))
    if model.has_prior:
        prior(ax, np.ones(2), np.zeros(2))
    ax.set(xlabel="z1", ylabel="z2")
    spread = listing(number(s, 1) for s in codes_NZ.std(0))
    return f"{len(codes_NZ):,} test codes with standard deviations {spread}"


@per_model(
    "variances", "Which dimensions vary", SECTION, "code_variance", "posterior_std",
    height=lambda *_: 2.3,
)  # fmt: skip
def variances(view: View, model: Model, ax: Axes) -> str:
    """The variance over test images of each dimension’s posterior mean, on a logarithmic scale. A
    dimension beyond the line at 0.01 is active; one far below it is the same for every image. A
    wide gap between the two groups means that the count hardly depends on the threshold.
    """
    threshold = np.log10(ACTIVE)
    logs_Z = np.log10(np.asarray(model.array("code_variance"), float).clip(1e-12))
    low, high = min(float(logs_Z.min()), threshold), max(float(logs_Z.max()), 0.0)
    edges = np.arange(np.floor(4 * low) - 1, np.ceil(4 * high) + 2) / 4
    ax.hist(logs_Z, edges.tolist(), color=view.color(model), rwidth=0.86)
    ax.axvline(threshold, color=INK, lw=0.9, ls=(0, (4, 3)))
    place = {"xycoords": ("data", "axes fraction"), "va": "top", "fontsize": 7}
    note(ax, "active beyond", (threshold, 0.98), (4, 0), **place)
    ticks = np.arange(np.ceil(edges[0]), np.floor(edges[-1]) + 1)[::-1]
    ticks = ticks[:: -(-len(ticks) // 7)]  # so that their names do not overlap
    ax.set_xticks(ticks, [f"{10.0**tick:g}" for tick in ticks])
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    ax.set(xlabel="variance of the posterior mean", ylabel="dimensions")
    ax.margins(y=0.25)
    return f"{(logs_Z > threshold).sum()} of {len(logs_Z)} dimensions beyond 0.01"


@per_model(
    "projections", "The latent space, projected", SECTION,
    "labels", "embedding_index", "pca", "tsne", height=_square, widths=(1, 1),
)  # fmt: skip
def projections(view: View, model: Model, pca: Axes, tsne: Axes) -> str:
    """A code of more than two dimensions in two projections. PCA keeps directions and scale
    (ellipses: one, two and three standard deviations of the prior, where there is one). t‑SNE keeps
    neighbours and nothing else: sizes of clusters and distances between them mean nothing there.
    """
    labels_M = model.array("labels")[model.array("embedding_index")]
    for ax, method, title in ((pca, "pca", "PCA"), (tsne, "tsne", "t-SNE")):
        scatter(ax, view, np.asarray(model.array(method), float), labels_M)
        ax.set_title(f"{model.title}, {title}", color=view.color(model))
    tsne.set(xticks=[], yticks=[])
    if model.has("pca_prior_std"):
        centered = model.has("pca_prior_center")  # folders of old versions
        center = model.array("pca_prior_center") if centered else np.zeros(2)
        prior(pca, np.asarray(model.array("pca_prior_std"), float), center)
    return f"{len(labels_M):,} test codes by PCA and t-SNE, coloured by class"


@per_model("manifold", "The plane, decoded", SECTION, "manifold", "manifold_extent", height=_square)
def manifold(view: View, model: Model, ax: Axes) -> str:
    """Each tile is the decoded image of the code at its position, over the region of the test
    codes. Smooth change from tile to tile means that the decoder has learnt the space between
    codes; tiles that resemble no class are holes.
    """
    images = model.array("manifold")
    side = round(len(images) ** 0.5)
    show(ax, images, side, view.image_size)
    x0, x1, y0, y1 = (float(end) for end in model.array("manifold_extent"))
    ticks = (0.5, side / 2, side - 0.5)
    ax.set_xticks(ticks, [number(x, 1) for x in (x0, (x0 + x1) / 2, x1)])
    ax.set_yticks(ticks, [number(y, 1) for y in (y1, (y0 + y1) / 2, y0)])
    unframed(ax)
    ax.set(xlabel="z1", ylabel="z2", aspect="equal")
    return f"{side} by {side} decoded images over z1 {number(x0, 1)} to {number(x1, 1)}"


def scatter(ax: Axes, view: View, points_N2: Array, labels_N: Array) -> None:
    """Points coloured by class, each class named near its median."""
    palette = view.palette
    colors = np.asarray(palette)[labels_N]
    size = float(np.clip(9000 / len(points_N2), 1.4, 14))
    # One call in the order of the images: drawn class by class, the last class would hide others.
    x_N, y_N = points_N2.T
    ax.scatter(x_N, y_N, s=size, c=colors, linewidths=0, alpha=0.8, rasterized=True)
    least = 0.055 * float(np.ptp(points_N2, axis=0).max())
    for label, (x, y) in class_positions(points_N2, labels_N, least).items():
        box = {"boxstyle": "round,pad=0.22", "fc": SURFACE, "ec": palette[label], "lw": 1.3}
        ax.text(
            x, y, view.label(label), ha="center", va="center", fontsize=8,
            fontweight="bold", color=INK, bbox=box,
        )  # fmt: skip
    ax.set_aspect("equal", adjustable="datalim")


def class_positions(points_N2: Array, labels_N: Array, least: float) -> dict[int, Array]:
    """Where a plane names each class: at its median, at least ``least`` from other names."""
    classes = np.unique(labels_N)
    medians_C2 = np.stack([np.median(points_N2[labels_N == label], axis=0) for label in classes])
    return dict(zip(classes.tolist(), apart(medians_C2, least), strict=True))


def apart(places_C2: Array, least: float) -> Array:
    """Move places that are closer than ``least`` apart, each pair by half, until none is."""
    moved = np.array(places_C2, float)
    first, second = np.tril_indices(len(moved), -1)
    for _ in range(50):
        gaps_P2 = moved[first] - moved[second]
        distances_P = np.hypot(*gaps_P2.T)
        if not (distances_P < least).any():
            break
        # Two classes at the same place part along a direction that is always the same.
        gaps_P2[distances_P == 0] = (1.0, 0.0)
        missing_P = np.clip(least - distances_P, 0, None) / np.where(distances_P, distances_P, 1.0)
        steps_P2 = 0.5 * missing_P[:, None] * gaps_P2
        np.add.at(moved, first, steps_P2)
        np.add.at(moved, second, -steps_P2)
    return moved


def prior(ax: Axes, std: Array, center: Array) -> None:
    """The prior at one, two and three standard deviations."""
    x, y = map(float, center)
    for k in (1, 2, 3):
        width, height = 2 * k * std
        ax.add_patch(Ellipse((x, y), width, height, fill=False, ec=INK, lw=0.9, ls=(0, (4, 3))))
        foot = (x, y - k * float(std[1]))
        box = {"boxstyle": "round,pad=0.12", "fc": SURFACE, "ec": "none", "alpha": 0.85}
        note(ax, f"{k}σ", foot, (0, 0), ha="center", va="center", fontsize=7, bbox=box)
