"""The arrays of a run folder: their names and shapes, what they show, and where it comes from."""

import numpy as np
import pytest
import torch
from torch import nn

from aelab.data.dataset import Data
from aelab.metrics import arrays, embedding, flow, sampling
from aelab.metrics.base import Array
from aelab.models import MODELS
from tests.measured import evaluated, make, per_image

N, D = 50, 784  # of the tiny data


def contract(model: str, d: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name, shape and type of every array, as docs/run-folder.md has them."""
    image, real = "uint8", "float"
    expected: dict[str, tuple[tuple[int, ...], str]] = {
        "labels": ((N,), "int64"),
        "codes": ((N, d), "float32"),
        "code_variance": ((d,), real),
        "originals": ((20, D), image),
        "reconstructions": ((20, D), image),
        "shown_labels": ((20,), "int64"),
        "interpolations": ((6, 11, D), image),
        "interpolation_labels": ((6, 2), "int64"),
        "error_by_label": ((10, 3), real),
        "samples_gaussian": ((64, D), image),
        "samples_mixture": ((64, D), image),
    }
    for sampler, k in (("gaussian", 1), ("mixture", 10)):
        expected |= {
            f"{sampler}_weights": ((k,), real),
            f"{sampler}_means": ((k, d), real),
            f"{sampler}_covariances": ((k, d, d), real),
        }
    for kind in ("best", "worst"):
        expected[f"{kind}_originals"] = expected[f"{kind}_reconstructions"] = ((8, D), image)
        expected[f"{kind}_error"] = ((8,), real)
    if variational := "likelihood" in MODELS[model].capabilities:
        expected |= {
            "posterior_std": ((N, d), real),
            "kl_per_dimension": ((d,), real),
            "active": ((d,), "bool"),
            "samples_prior": ((64, D), image),
        }
    if d == 2:
        expected |= {
            "manifold": ((400, D), image),
            "manifold_extent": ((4,), real),
        }
    if d > 2:
        expected |= {
            "embedding_index": ((N,), "int64"),
            "pca": ((N, 2), real),
            "tsne": ((N, 2), real),
        }
        if variational:
            expected["pca_prior_std"] = ((2,), real)
    return expected


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("model", MODELS)
def test_arrays_are_those_of_the_contract(tiny_data: Data, model: str, d: int) -> None:
    found = evaluated(model, tiny_data, d).arrays
    expected = contract(model, d)
    assert found.keys() == expected.keys()
    for name, (shape, kind) in expected.items():
        assert found[name].shape == shape, name
        assert str(found[name].dtype).startswith(kind), name
        if kind == "float":
            assert np.isfinite(found[name]).all(), name


def test_every_model_shows_the_same_images(tiny_data: Data) -> None:
    first, *others = (evaluated(model, tiny_data).arrays for model in MODELS)
    for other in others:
        for name in ("originals", "shown_labels", "interpolation_labels", "embedding_index"):
            np.testing.assert_array_equal(first[name], other[name], err_msg=name)


@pytest.mark.parametrize("classes", [1, 2, 3, 10, 26])
def test_shown_images_and_pairs(classes: int) -> None:
    labels = np.random.default_rng(0).permutation(np.arange(8 * classes) % classes)
    shown = labels[arrays.shown_images(labels, seed=3)].reshape(2, -1)
    assert shown.shape[1] == min(classes, 10)
    np.testing.assert_array_equal(shown[0], shown[1])
    assert len(np.unique(shown[0])) == shown.shape[1]

    index = arrays.interpolation_pairs(labels, seed=3)
    assert (index[:, 0] != index[:, 1]).all()
    pairs = labels[index]
    assert pairs[-1, 0] == pairs[-1, 1]
    if classes > 1:
        assert (pairs[:-1, 0] != pairs[:-1, 1]).all()
    if classes >= 10:
        assert len(np.unique(pairs[:-1])) == 10
    assert not np.array_equal(index, arrays.interpolation_pairs(labels, seed=4))


def test_a_class_with_one_image_can_be_shown() -> None:
    labels = np.array([0, 1])
    assert len(arrays.shown_images(labels, seed=0)) == 4
    assert arrays.interpolation_pairs(labels, seed=0).shape == (6, 2)


def test_interpolations_end_at_the_reconstructions(tiny_data: Data) -> None:
    context = make("vae", tiny_data)
    pairs = arrays.interpolation_pairs(tiny_data.test.labels, context.seed)
    ends = evaluated("vae", tiny_data).arrays["interpolations"][:, [0, -1]].astype(int)
    expected = arrays.as_bytes(context.reconstructions.numpy()[pairs.ravel()]).reshape(6, 2, D)
    assert np.abs(ends - expected).max() <= 1  # of 255, where float32 rounds the other way


def test_best_and_worst_are_by_the_reconstruction_term(tiny_data: Data) -> None:
    evaluation = evaluated("ae", tiny_data)
    ranked = np.sort(evaluation.per_image["reconstruction_nll"])
    np.testing.assert_array_equal(evaluation.arrays["best_error"], ranked[:8])
    np.testing.assert_array_equal(evaluation.arrays["worst_error"], ranked[::-1][:8])


def test_error_by_label_leaves_an_absent_class_empty() -> None:
    errors, labels = np.array([1, 3, 5, 5], dtype=np.float32), np.array([0, 0, 2, 2])
    table = arrays.error_by_label(errors, labels, classes=3, seed=0)
    np.testing.assert_array_equal(table[0], [2, 1, 3])
    np.testing.assert_array_equal(table[2], [5, 5, 5])
    assert np.isnan(table[1]).all()


def test_the_manifold_lies_as_the_plane_is_drawn(tiny_data: Data) -> None:
    context = make("ae", tiny_data, latent_dim=2)
    decoder = nn.Linear(2, D)
    with torch.no_grad():
        decoder.weight.zero_()
        decoder.bias.zero_()
        decoder.weight[0, 0] = decoder.weight[1, 1] = 20  # pixel 0 shows x, pixel 1 shows y
    context.model.decoder = nn.Sequential(decoder)
    found = arrays.collect_arrays(
        context, {"reconstruction_nll": per_image("reconstruction_nll", context)}
    )
    x, y = found["manifold"][:, 0].reshape(20, 20), found["manifold"][:, 1].reshape(20, 20)
    assert (np.diff(x.astype(int), axis=1) >= 0).all(), "x grows to the right"
    assert (np.diff(y.astype(int), axis=0) <= 0).all(), "y grows upwards"
    assert x[0, 0] < x[0, -1]
    assert y[-1, 0] < y[0, 0]
    x0, x1, y0, y1 = found["manifold_extent"]
    codes = context.codes("test")
    inside = (codes > [x0, y0]).all(axis=1) & (codes < [x1, y1]).all(axis=1)
    assert 0.9 < inside.mean() <= 1


def test_the_principal_plane_has_its_origin_at_the_code_zero() -> None:
    generator = np.random.default_rng(0)
    codes = generator.normal([10, 0, 0, 0], [5, 0.1, 3, 0.1], (2_000, 4))
    plane = embedding.principal_plane(codes.astype(np.float32))
    assert plane.mean(axis=0) == pytest.approx([10, 0], abs=0.5)
    assert plane.std(axis=0) == pytest.approx([5, 3], rel=0.05)


def by_mixture(codes_NZ: Array, count: int, seed: int) -> Array:
    return sampling.mixture(sampling.fit_mixture(codes_NZ, seed), count, seed)


def by_flow(codes: Array, count: int, seed: int) -> Array:
    return flow.draws(codes, codes[:500], count, seed)


def test_a_flow_comes_closer_than_a_gaussian_and_leaves_the_generator_alone() -> None:
    angles = np.random.default_rng(0).uniform(0, np.pi, 4_000)
    ring = 10 * np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    state = torch.get_rng_state()
    off = [np.abs(np.linalg.norm(sample(ring, 2_000, 0), axis=1) - 10).mean()
           for sample in (by_flow, sampling.gaussian)]  # fmt: skip
    assert off[0] < off[1] / 2
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(by_flow(ring, 50, 1), by_flow(ring, 50, 1))


def test_samplers_follow_the_codes_they_are_fitted_to() -> None:
    generator = np.random.default_rng(0)
    codes = generator.normal(0, 1, (3_000, 3)) @ generator.normal(0, 1, (3, 3)) + [4, 0, -2]
    for sampler in (sampling.gaussian, by_mixture, by_flow):
        drawn = sampler(codes.astype(np.float32), 20_000, 0)
        np.testing.assert_allclose(drawn.mean(axis=0), codes.mean(axis=0), atol=0.1)
        np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), rtol=0.15, atol=0.1)


def test_a_mixture_finds_what_a_gaussian_cannot() -> None:
    centres = np.repeat([[-50.0, 0.0], [50.0, 0.0]], 500, axis=0)
    codes = (centres + np.random.default_rng(0).normal(0, 1, centres.shape)).astype(np.float32)
    off_centre = [np.abs(sample(codes, 500, 0)[:, 0]) for sample in (by_mixture, sampling.gaussian)]
    assert off_centre[0].min() > 40
    assert off_centre[1].min() < 10


@pytest.mark.parametrize("d", [1, 4])
@pytest.mark.parametrize("sampler", [sampling.gaussian, by_mixture, by_flow])
def test_codes_that_never_vary_can_be_sampled(sampler: object, d: int) -> None:
    assert callable(sampler)
    drawn = sampler(np.full((30, d), 2.0, dtype=np.float32), 64, 0)
    assert drawn.shape == (64, d)
    np.testing.assert_allclose(drawn, 2, atol=1e-4)
