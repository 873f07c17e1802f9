"""What the decoders generate: samples, and interpolations between two images."""

import numpy as np
from matplotlib.axes import Axes

from aelab.report.figures.base import FIGURES, Drawing, View, figure, per_model
from aelab.report.figures.drawing import bare, fit, left, panels, show
from aelab.report.numbers import listing
from aelab.report.results import Model
from aelab.report.style import MUTED

SECTION = "Generation"
SAMPLERS = {"prior": "its prior N(0, I)", "gaussian": "a Gaussian", "mixture": "a mixture of ten",
            "flow": "a flow"}  # fmt: skip


@figure(FIGURES, "samples", "Samples", SECTION)
def samples(view: View) -> Drawing | None:
    """New images, decoded from random codes: a row a model, a column a sampler. The prior is the
    VAE’s own; a full-covariance Gaussian, a mixture of ten and, if requested, a flow are fitted to
    the training codes of every model. If these give a VAE much better images than its prior, the
    prior is at fault and not the decoder.
    """
    names = [n for n in SAMPLERS if any(m.has(f"samples_{n}") for m in view.models)]
    models = [model for model in view.models if any(model.has(f"samples_{n}") for n in names)]
    if not models:
        return None
    count, across = len(models) * len(names), len(names)
    drawn, axes = panels(count, across, height=7.95 / across)  # square panels
    alts = []
    cells = ((model, sampler) for model in models for sampler in names)
    for ax, (model, sampler) in zip(axes, cells, strict=True):
        ax.set_title(f"{model.title} from {SAMPLERS[sampler]}", color=view.color(model))
        if not model.has(f"samples_{sampler}"):
            bare(ax)
            reason = "not defined: it has no prior" if sampler == "prior" else "not drawn"
            ax.text(0.5, 0.5, reason, transform=ax.transAxes, ha="center", color=MUTED)
            continue
        images = model.array(f"samples_{sampler}")
        side = int(np.ceil(len(images) ** 0.5))
        fit(ax, side, show(ax, images, side, view.image_size))
        alts.append(f"{len(images)} from {model.title} by {SAMPLERS[sampler]}")
    return Drawing(drawn, f"{listing(alts)}.")


def _rows(view: View, count: int) -> float:
    """Inches of square tiles, as many as the interpolations have."""
    pairs, steps = view.having("interpolations")[0].array("interpolations").shape[:2]
    width = 7.3 / count - 0.35
    return float(pairs * width / steps * view.image_size[0] / view.image_size[1] + 0.4)


@per_model("interpolations", "Interpolations", SECTION, "interpolations", height=_rows)
def interpolations(view: View, model: Model, ax: Axes) -> str:
    """Each row interpolates linearly between the codes of two test images, in equal steps, with
    the same pairs for every model. In a good latent space every step is a plausible digit; in a
    poor one, one image fades out while the other fades in.
    """
    images = model.array("interpolations")
    pairs, steps = images.shape[:2]
    show(ax, images.reshape(pairs * steps, -1), steps, view.image_size)
    fit(ax, steps, pairs)
    labelled = model.has("interpolation_labels")
    ends = np.asarray(model.array("interpolation_labels") if labelled else [], int)
    names = [f"{view.label(a)}→{view.label(b)}" for a, b in ends]
    for row, name in enumerate(names):
        left(ax, row + 0.5, name, MUTED)
    return f"{pairs} interpolations of {steps} steps: {listing(names)}"
