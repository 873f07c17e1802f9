"""What is left of an image after its code: reconstructions, best and worst, error by class."""

import numpy as np
from matplotlib.axes import Axes

from aelab.report.figures.base import FIGURES, Drawing, View, figure, per_model
from aelab.report.figures.drawing import fit, left, legend, note, panels, show
from aelab.report.numbers import listing, number
from aelab.report.results import Model
from aelab.report.style import INK

SECTION = "Reconstruction"
ENDS = ("best", "worst")


@figure(FIGURES, "reconstructions", "Originals and reconstructions", SECTION)
def reconstructions(view: View) -> Drawing | None:
    """The same test images in every row: the original, and its reconstruction by each model
    from d numbers. Models differ most at edges and in unusual strokes.
    """
    models = view.having("originals", "reconstructions")
    if not models:
        return None
    originals = models[0].array("originals")
    across = min(20, len(originals))
    blocks = -(-len(originals) // across)
    pitch = len(models) + 1.4  # rows of a block, and a gap
    drawn, axes = panels(1, height=blocks * pitch * 7 / across + 0.1)
    rows = [("original", INK, originals)]
    rows += [(m.title, view.color(m), m.array("reconstructions")) for m in models]
    for block in range(blocks):
        for row, (name, color, images) in enumerate(rows):
            top = block * pitch + row
            part = images[block * across : (block + 1) * across]
            show(axes[0], part, across, view.image_size, top)
            left(axes[0], top + 0.5, name, color)
    fit(axes[0], across, blocks * pitch - 0.4)
    edges = [f"{m.title} {number(100 * sharpness(m, view.image_size), 0)}%" for m in models]
    alt = f"{len(originals)} test images. Edge strength kept: {listing(edges)}."
    return Drawing(drawn, alt, _blur(view, models))


def sharpness(model: Model, size: tuple[int, int]) -> float:
    """Total variation of the saved reconstructions, as a share of the originals'."""
    kept, there = (
        sum(float(np.abs(np.diff(images, axis=axis)).sum()) for axis in (1, 2))
        for images in (
            model.array(name).reshape(-1, *size).astype(float)
            for name in ("reconstructions", "originals")
        )
    )
    return kept / there if there else 1.0


def _blur(view: View, models: list[Model]) -> dict[str, str]:
    """Why the VAE is blurrier; only where its reconstructions have weaker edges."""
    by_prior = {model.has_prior: model for model in reversed(models)}
    if len(by_prior) < 2:
        return {}
    without, with_prior = by_prior[False], by_prior[True]
    kept, kept_without = (sharpness(model, view.image_size) for model in (with_prior, without))
    if kept >= kept_without - 0.005:
        return {}
    text = (
        f"It keeps {number(100 * kept, 0)}% of the originals’ edge strength, the {without.title} "
        f"{number(100 * kept_without, 0)}%. Its decoder must do well on every code that the "
        "posterior may draw for an image, and these overlap with the neighbours’ codes; the best "
        "single answer to several possible images is their mean, which is soft at the edges. The "
        "KL also leaves it fewer nats for detail."
    )
    return {f"Why the {with_prior.title} is blurrier": text}


@per_model(
    "extremes", "Best and worst cases", SECTION,
    *(f"{end}_{what}" for end in ENDS for what in ("originals", "reconstructions")),
    height=lambda *_: 1.2, widths=(1, 1),
)  # fmt: skip
def extremes(view: View, model: Model, *axes: Axes) -> str:
    """The test images that each model reconstructs best and worst by its reconstruction term, in
    nats above each column; original on top, reconstruction below. Thin digits
    are usually best: fewer inked pixels cost fewer nats.
    """
    spans = []
    for ax, end in zip(axes, ENDS, strict=True):
        originals, made = model.array(f"{end}_originals"), model.array(f"{end}_reconstructions")
        count = len(originals)
        show(ax, originals, count, view.image_size)
        show(ax, made, count, view.image_size, 1)
        fit(ax, count, 2)
        ax.set_title(f"{model.title}: {end}", color=view.color(model), pad=13)
        if model.has(f"{end}_error"):
            errors = model.array(f"{end}_error").astype(float)
            for column, error in enumerate(errors):
                place = (column + 0.45, -0.08)
                note(ax, number(error, 0), place, (0, 0), ha="center", va="bottom", fontsize=7)
            spans.append(f"{end} {number(errors.min(), 0)} to {number(errors.max(), 0)} nats")
    return listing(spans)


@figure(FIGURES, "errors", "Error by class", SECTION)
def errors_by_class(view: View) -> Drawing | None:
    """Mean of the reconstruction term over the test images of each class, in nats per image, with
    its 95% interval. Classes with more ink cost more nats, so compare the models within a class
    rather than the classes with each other.
    """
    models = view.having("error_by_label")
    if not models:
        return None
    classes = len(models[0].array("error_by_label"))
    drawn, (ax,) = panels(1, height=2.7)
    alts = []
    for index, model in enumerate(models):
        mean, low, high = np.asarray(model.array("error_by_label"), float).T
        x = np.arange(classes) + (index - (len(models) - 1) / 2) * min(0.22, 0.8 / len(models))
        ax.errorbar(
            x, mean, np.abs([mean - low, high - mean]), fmt="os"[index % 2], ms=3,
            color=view.color(model), elinewidth=1.2, capsize=3.5, label=model.title,
        )  # fmt: skip
        if np.isfinite(mean).any():
            hard, easy = int(np.nanargmax(mean)), int(np.nanargmin(mean))
            alts.append(
                f"{model.title} from {number(mean[easy], 1)} nats ({view.label(easy)}) to "
                f"{number(mean[hard], 1)} ({view.label(hard)})"
            )
    ax.set_xticks(range(classes), [view.label(label) for label in range(classes)])
    ax.set(ylabel="nats per image", xlabel="class", xlim=(-0.6, classes - 0.4))
    ax.grid(visible=False, axis="x")
    legend(drawn, ax)
    return Drawing(drawn, f"{'; '.join(alts)}.")
