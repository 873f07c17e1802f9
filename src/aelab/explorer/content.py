"""What the explorer shows: networks, codes, images and samplers, as plain JSON types.

Shape legend: N test images, D pixels, Z latent dimensions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from aelab.data.binarize import to_unit
from aelab.errors import AelabError
from aelab.explorer.pack import Kind, pack, pack_tensor
from aelab.explorer.precision import MAX_INPUTS, kind_for
from aelab.export import LayerList, describe, has_gaussian_head, networks
from aelab.metrics import Context
from aelab.metrics.base import Array
from aelab.metrics.classifier import Classifier
from aelab.metrics.likelihood import kl_per_dimension
from aelab.metrics.sampling import components
from aelab.models import StandardNormal
from aelab.report.figures.latent import class_positions
from aelab.report.results import Model, Results
from aelab.report.style import VARIABLES, class_colors, model_color

NEIGHBOURS = 5  # a point is near the codes if some code's 5-NN ball contains it


def content(
    results: Results, contexts: Mapping[str, Context], classifier: Classifier
) -> dict[str, Any]:
    """Everything that the page's script reads; ``contexts`` by the model's key.

    ``missing`` names the models that the page cannot run, and says why. Raises AelabError if it can
    run none.
    """
    models, missing = [], []
    for model in results.models:
        try:
            models.append(_model(results, model, contexts[model.key]))
        except AelabError as error:
            missing.append({"key": model.key, "why": str(error)})
    if not models:
        raise AelabError(" ".join(dict.fromkeys(item["why"] for item in missing)))
    first = next(iter(contexts.values()))
    names = [str(name) for name in results.label_names]
    return {
        "run": results.name,
        "sample": results.sample(),
        "size": list(results.image_size),
        "names": names,
        "colors": class_colors(len(names)),
        "inverted": inverted(first.images("train"), first.data.image_size),
        "binary": results.protocol != "grey",
        "images": pack(first.images("test"), "uint8"),
        "labels": pack(first.data.test.labels, "uint8"),
        "classifier": classifier.facts() | _network(_from_rows(classifier)),
        "models": models,
        "missing": missing,
    }


def inverted(images_ND: Array, size: tuple[int, int]) -> bool:
    """Whether uint8 images are dark on bright: decided by the mean grey of their border pixels."""
    border = np.ones(size, bool)
    border[1:-1, 1:-1] = False
    return bool(images_ND[:, border.ravel()].mean() > 255 / 2)


def _from_rows(classifier: Classifier) -> LayerList:
    """The classifier's layers for an image that comes as a row of pixels."""
    described = describe(classifier.network)
    first = {"kind": "reshape", "shape": [1, *classifier.image_size]}
    return LayerList([first, *described.layers], described.tensors)


def _network(network: LayerList, large: Kind = "float16") -> dict[str, Any]:
    return {
        "layers": network.layers,
        "tensors": {name: pack_tensor(tensor, large) for name, tensor in network.tensors.items()},
    }


def _model(results: Results, model: Model, context: Context) -> dict[str, Any]:
    codes_NZ = context.codes("test").astype(np.float64)
    # The page computes the KL itself, to N(0, I).
    posterior = has_gaussian_head(context.model) and isinstance(context.prior(), StandardNormal)
    encoder, decoder = networks(context.model)
    deviation_Z = torch.from_numpy(codes_NZ.std(axis=0)).float().clamp_min(1e-6)
    for_codes = kind_for(
        context.model.encoder,
        to_unit(torch.from_numpy(context.images("test")[:MAX_INPUTS])),
        lambda y: y[:, : codes_NZ.shape[1]] / deviation_Z,
    )
    for_pixels = kind_for(
        context.model.decoder,
        torch.from_numpy(context.codes("test")),
        # In float64: the mean of a continuous Bernoulli is a difference of large numbers near 1/2.
        lambda logits: context.model.pixels(logits.double()),
    )
    variance_Z = codes_NZ.var(axis=0)
    weight_Z = variance_Z
    if posterior:  # folders of old versions lack it
        saved = model.has("kl_per_dimension")
        weight_Z = model.array("kl_per_dimension") if saved else kl_per_dimension(context)
    reconstruction = model.metrics.get("reconstruction_nll")
    found: dict[str, Any] = {
        "key": model.key,
        "title": model.title,
        "role": VARIABLES[model_color(model.name, results.model_names)],
        "d": codes_NZ.shape[1],
        "posterior": posterior,
        "beta": getattr(context.model.config, "beta", None),
        "likelihood": context.model.architecture.likelihood,
        "encoder": _network(encoder, for_codes),
        "decoder": _network(decoder, for_pixels),
        "codes": pack(codes_NZ, "float16"),
        "low": _numbers(codes_NZ.min(axis=0)),
        "high": _numbers(codes_NZ.max(axis=0)),
        "mean": _numbers(codes_NZ.mean(axis=0)),
        "deviation": _numbers(deviation_Z.numpy()),
        "weight": _numbers(weight_Z),
        "samplers": samplers(model, context),
        "reconstruction": reconstruction.value if reconstruction else None,
    }
    if codes_NZ.shape[1] == 2:
        found["radius"] = pack(radii(codes_NZ), "float16")
        found["positions"] = positions(codes_NZ, context.data.test.labels)
    return found


def samplers(model: Model, context: Context) -> dict[str, Any]:
    """What new codes are drawn from: weights, and mean and root of the covariance of each part.

    A draw is mean + root · ε with ε from N(0, I), of a part that is drawn by its weight. Gaussian
    and mixture are fitted to the codes of training images, as in the metrics of generation.
    """
    # Folders of old versions lack them.
    saved = model.arrays if model.arrays and model.has("mixture_weights") else components(context)
    found = {
        name: _sampler(
            saved[f"{name}_weights"], saved[f"{name}_means"], saved[f"{name}_covariances"]
        )
        for name in ("gaussian", "mixture")
    }
    prior = context.prior().components() if "prior" in context.capabilities else None
    if prior is not None:  # a prior of another form is not sampled in the page
        weights, means, variances = (part.double().numpy() for part in prior)
        found["prior"] = _sampler(weights, means, [np.diag(part) for part in variances])
    return found


def _sampler(
    weights: Array, means: Array | list[Array], covariances: Array | list[Array]
) -> dict[str, Any]:
    return {
        "weights": _numbers(np.asarray(weights)),
        "means": [_numbers(mean) for mean in means],
        "roots": [_numbers(root(covariance)) for covariance in covariances],
    }


def root(covariance_ZZ: Array) -> Array:
    """R with R Rᵀ = covariance, rows first; a singular one has a root too."""
    values, vectors = np.linalg.eigh(covariance_ZZ)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)))


def radii(codes_NZ: Array) -> Array:
    """Of each code the distance to its fifth nearest neighbour, ``(N,)``.

    The union of these balls estimates where codes live (Kynkäänniemi et al., 2019); the
    page marks the rest as holes.
    """
    k = min(NEIGHBOURS + 1, len(codes_NZ))  # the nearest one is the code itself
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(codes_NZ).query(codes_NZ, k=k)
    return np.asarray(distances).reshape(len(codes_NZ), k)[:, -1]


def _numbers(values: Array) -> Any:
    return [float(f"{value:.6g}") for value in np.asarray(values, float).ravel()]


def positions(codes_N2: Array, labels_N: Array) -> dict[str, Any]:
    """Where the plane names each class; the plane leaves out codes that are far from all others."""
    spread = np.percentile(codes_N2, [1, 99], axis=0)
    found = class_positions(codes_N2, labels_N, 0.05 * float(np.ptp(spread, axis=0).max()))
    return {str(label): _numbers(position) for label, position in found.items()}
