"""Generated images against real ones: each distance against an outside implementation."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from aelab.data.dataset import Data, Split
from aelab.errors import RunError
from aelab.metrics import METRICS, Context, Estimate, evaluation, generation, neighbours
from aelab.metrics.classifier import Classifier, build, key, obtain
from aelab.metrics.generation import compare, facts, nearest_distance, reference
from aelab.metrics.interpolation import interpolate_pairs, same_class_pairs
from aelab.metrics.reconstruction import structural_similarity
from aelab.randomness import stream
from aelab.runs.folder import CacheFolder
from tests.measured import make


def samples(n: int, m: int, width: int) -> tuple[Tensor, Tensor]:
    """Two overlapping clouds."""
    generator = stream(0, "clouds")
    a = torch.randn(n, width, generator=generator, dtype=torch.float64)
    b = 0.8 * torch.randn(m, width, generator=generator, dtype=torch.float64) + 0.3
    return a, b


# --- distances ------------------------------------------------------------------------------


def compared(real: Tensor, generated: Tensor) -> dict[str, Tensor]:
    """Everything that two samples have in common."""
    return neighbours.compare(neighbours.cloud(real), neighbours.cloud(generated))


def test_balls_are_those_of_the_definitions() -> None:
    real, generated = samples(70, 60, 3)
    within = [np.sort(cdist(s, s), axis=1)[:, 5] for s in (real, generated)]
    np.testing.assert_allclose(neighbours.cloud(real).radii_N, within[0] ** 2)
    distance = cdist(real, generated)
    found = compared(real, generated)
    inside = distance < within[0][:, None]
    np.testing.assert_array_equal(found["precision"], inside.any(axis=0))
    np.testing.assert_array_equal(found["recall"], (distance < within[1]).any(axis=1))
    np.testing.assert_allclose(found["density"], inside.sum(axis=0) / 5)
    np.testing.assert_array_equal(found["coverage"], distance.min(axis=1) < within[0])
    assert 0 < float(found["precision"].mean()) < 1


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated = samples(70, 60, 3)
    whole = compared(real, generated)
    monkeypatch.setattr(neighbours, "BLOCK", 7)
    for name, values in compared(real, generated).items():
        np.testing.assert_allclose(values, whole[name])


def test_a_sample_covers_itself_and_copies_have_no_radius() -> None:
    real, _ = samples(30, 1, 2)
    found = compared(real, real)
    assert float(found["coverage"].mean()) == float(found["precision"].mean()) == 1
    assert float(neighbours.cloud(real[:1].repeat(6, 1)).radii_N.max()) < 1e-12
    assert bool(neighbours.cloud(real[:5]).radii_N.isnan().all())  # no five others


def test_float32_decides_on_features_as_float64_does() -> None:
    real, generated = (cloud.abs().float() for cloud in samples(900, 800, 64))  # as after a ReLU
    exact, found = compared(real.double(), generated.double()), compared(real, generated)
    for name in ("precision", "recall", "density", "coverage"):
        assert int((found[name] != exact[name]).sum()) <= 1  # at the edge of a ball
    assert float(found["kernel"]) == pytest.approx(float(exact["kernel"]), abs=1e-7)


@pytest.mark.parametrize("columns", [7, 64, 650, 1_000])
def test_the_smallest_of_each_row_are_those_of_a_sort(columns: int) -> None:
    values = torch.randn(9, columns, generator=stream(0, "rows"))
    found, where = neighbours.smallest(values, 6)
    expected = values.sort(dim=1)
    assert torch.equal(found, expected.values[:, :6])
    assert torch.equal(where, expected.indices[:, :6])


def test_the_nearest_are_those_of_the_differences_also_far_from_zero() -> None:
    samples_NF, queries_MF = (each.float() + 100 for each in samples(500, 40, 2))
    found = neighbours.nearest(queries_MF, samples_NF, 5)
    expected = np.argsort(cdist(queries_MF, samples_NF), axis=1)[:, :5]
    np.testing.assert_array_equal(found, expected)


def test_frechet_distance_is_that_of_the_matrix_square_root() -> None:
    real, generated = samples(200, 150, 6)
    (mean, other_mean), (covariance, other) = (
        [s.mean(0).numpy() for s in (real, generated)],
        [np.cov(s.numpy(), rowvar=False) for s in (real, generated)],
    )
    root = np.real(sqrtm(covariance @ other))
    expected = ((mean - other_mean) ** 2).sum() + np.trace(covariance + other - 2 * root)
    assert neighbours.frechet(real, generated) == pytest.approx(expected, rel=1e-9)
    assert neighbours.frechet(real, real) == pytest.approx(0, abs=1e-9)
    moments = [
        f(s) for s in (real, generated) for f in (lambda s: s.mean(0), lambda s: torch.cov(s.T))
    ]
    assert neighbours.frechet(real, generated) == pytest.approx(
        float(_compute_fid(*moments)), rel=1e-6
    )


def test_kernel_distance_is_that_of_torchmetrics() -> None:
    real, generated = samples(90, 90, 5)
    expected = float(poly_mmd(real, generated))
    assert float(compared(real, generated)["kernel"]) == pytest.approx(expected, rel=1e-9)


def test_ssim_is_that_of_torchmetrics() -> None:
    generator = stream(0, "ssim")
    a = torch.rand(4, 28, 28, generator=generator, dtype=torch.float64)
    b = (a + 0.2 * torch.randn(4, 28, 28, generator=generator, dtype=torch.float64)).clamp(0, 1)
    _, everywhere = structural_similarity_index_measure(
        b[:, None], a[:, None], data_range=1.0, return_full_image=True
    )
    # Theirs is averaged over a padded image; the paper's over the places where the window fits.
    expected = everywhere[..., 5:-5, 5:-5].mean((1, 2, 3))
    np.testing.assert_allclose(structural_similarity(a, b), expected, rtol=1e-6)


def test_the_nearest_training_image_is_found_and_a_copy_is_at_0() -> None:
    generator = np.random.default_rng(0)
    training = generator.integers(0, 256, (40, 9), dtype=np.uint8)
    images = torch.from_numpy(generator.random((8, 9), dtype=np.float32))
    images[3] = torch.from_numpy(training[21]).float() * (1 / 255)
    found = nearest_distance(images, training).numpy()
    expected = pairwise_distances(images.double().numpy(), training / 255).min(axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[3] == 0


# --- of a model -----------------------------------------------------------------------------


def test_every_sampler_has_every_metric(tiny_data: Data) -> None:
    context = make("vae", tiny_data)
    context.settings = context.settings.model_copy(update={"flow": True})
    for name, item in METRICS.items():
        if item.panel == "samplers":
            assert name.endswith(f"_{item.sampler}")
            assert item.function(context) is not None
    assert compare(make("ae", tiny_data), "prior") == {}


def test_fewer_generated_than_test_images_have_no_value_an_image(tiny_data: Data) -> None:
    context = make("vae", tiny_data)
    context.settings = context.settings.model_copy(update={"draws": 20})
    estimate = METRICS["coverage_prior"].function(context)
    assert not isinstance(estimate, np.ndarray)
    assert estimate is not None
    assert estimate.n == 20  # type: ignore[union-attr]
    assert facts(context)["drawn"] == 20


def test_the_reference_is_what_real_images_get(tiny_data: Data) -> None:
    context = make("ae", replace(tiny_data, validation=tiny_data.test))
    found = reference(context)
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    assert found["frechet"] == pytest.approx(0, abs=1e-6)
    assert found["class_entropy"] == pytest.approx(math.log(10), abs=0.5)
    told = facts(make("ae", tiny_data))
    assert told["real"] == told["drawn"] == told["validation"] == 50
    assert 0.9 < told["classifier"]["accuracy"] <= 1


def test_the_reference_is_computed_once_for_all_models(
    tiny_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_CACHE", str(tmp_path))
    said: list[str] = []

    def of(context: Context) -> dict[str, float | None]:
        context.report = said.append
        return reference(context)

    first = of(make("ae", tiny_data))
    assert "comparing validation images with test images" in said
    before = len(said)
    assert of(make("vae", tiny_data)) == first
    assert len(said) == before
    other = replace(tiny_data, validation=tiny_data.test)
    assert of(make("ae", other))["frechet"] == pytest.approx(0, abs=1e-6)
    assert first["frechet"] is not None
    assert first["frechet"] > 0.01
    fewer = make("ae", tiny_data)
    fewer.settings = fewer.settings.model_copy(update={"draws": 20})
    assert of(fewer) != first
    [*kept] = (tmp_path / "floors").glob("*/floor.json")
    assert len(kept) == 3
    for file in kept:  # damaged: computed again
        file.write_text("{}", encoding="utf-8")
    assert of(make("ae", tiny_data)) == first


def test_the_features_of_real_images_are_computed_once_for_all_models(
    tiny_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_CACHE", str(tmp_path))
    classified: list[int] = []
    whole = generation.classify

    def counting(context: Context, batches: list[Tensor]) -> generation.Sample:
        classified.append(sum(map(len, batches)))
        return whole(context, batches)

    monkeypatch.setattr(generation, "classify", counting)
    first = compare(make("ae", tiny_data), "gaussian")
    assert classified == [50, 50]  # generated and real
    again = compare(make("ae", tiny_data), "gaussian")
    assert len(classified) == 3
    assert first.keys() == again.keys()
    for name, value in first.items():
        np.testing.assert_equal(again[name], value)


def test_holes_are_what_precision_leaves(tiny_data: Data) -> None:
    context = make("ae", tiny_data)
    precision = METRICS["precision_gaussian"].function(context)
    holes = METRICS["hole_share"].function(context)
    assert isinstance(precision, Estimate)
    assert holes.value == pytest.approx(1 - precision.value)  # type: ignore[union-attr]


# --- interpolations -------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [1, 3, 10])
def test_pairs_are_different_images_of_one_class(classes: int) -> None:
    labels = np.random.default_rng(0).permutation(np.arange(60) % classes)
    pairs = same_class_pairs(labels, 3_000, seed=1)
    assert (labels[pairs[:, 0]] == labels[pairs[:, 1]]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    # Every ordered pair of a class is as likely as any other.
    counts = np.bincount(pairs[:, 0] * 60 + pairs[:, 1], minlength=3_600)
    possible = 60 * (60 // classes - 1)
    assert (counts > 0).sum() > 0.95 * possible * (1 - math.exp(-3_000 / possible))


def test_an_only_child_is_in_no_pair() -> None:
    pairs = same_class_pairs(np.array([0, 1, 1, 2]), 50, seed=0)
    assert set(pairs.ravel().tolist()) == {1, 2}
    assert same_class_pairs(np.array([0, 1, 2]), 50, seed=0).shape == (0, 2)


def test_interpolation_by_a_decoder_that_copies(
    tiny_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A linear decoder makes straight paths; pairs on the training data keep their class."""
    context = make("ae", tiny_data)
    kept, ratio = interpolate_pairs(context)
    assert len(kept) == 100
    assert ratio.min() >= 1 - 1e-6  # a path is never shorter than the chord

    class Copy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))  # says which device it is on

        def forward(self, z: Tensor) -> Tensor:
            return z

    identity = make("ae", tiny_data, latent_dim=784)
    identity.model.encoder = torch.nn.Sequential(Copy())
    identity.model.decoder = torch.nn.Sequential(Copy())
    monkeypatch.setattr(identity.model, "pixels", lambda z: z.clamp(0, 1))
    kept, ratio = interpolate_pairs(identity)
    np.testing.assert_allclose(ratio, 1, rtol=1e-5)
    assert kept.mean() > 0.8


# --- the classifier -------------------------------------------------------------------------


def same(a: Classifier, b: Classifier) -> bool:
    pairs = zip(a.network.state_dict().values(), b.network.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_the_classifier_is_trained_once_and_kept(
    tiny_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_CACHE", str(tmp_path))
    said: list[str] = []
    first = obtain(tiny_data, said.append)
    assert said == ["training the digit classifier"]
    second = obtain(tiny_data, said.append)
    assert len(said) == 1
    assert same(first, second)
    assert (first.accuracy, first.sha256) == (second.accuracy, second.sha256)
    features, probabilities = second(torch.from_numpy(tiny_data.train.images / np.float32(255)))
    assert features.shape == (200, 64)
    assert float(features.square().mean()) == pytest.approx(1, rel=1e-4)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)

    folder = CacheFolder("classifiers", key(tiny_data))
    weights = folder.path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")  # damaged: trained again, the same bits
    third = obtain(tiny_data, said.append)
    assert len(said) == 2
    assert third.sha256 == first.sha256
    assert same(first, third)


def test_other_data_have_another_classifier(tiny_data: Data) -> None:
    images = tiny_data.train.images.copy()
    images[0, 0] ^= 1
    other = replace(tiny_data, train=Split(images, tiny_data.train.labels))
    assert key(other) != key(tiny_data)
    assert key(replace(tiny_data, name="renamed")) == key(tiny_data)


@pytest.mark.parametrize("size", [(28, 28), (8, 8), (5, 12), (2, 2)])
@pytest.mark.parametrize("classes", [1, 3, 26])
def test_the_classifier_fits_any_images(size: tuple[int, int], classes: int) -> None:
    pixels = size[0] * size[1]
    generator = np.random.default_rng(0)
    labels = np.arange(30) % classes
    images = generator.integers(0, 256, (30, pixels), dtype=np.uint8)
    split = Split(images, labels)
    data = Data(
        train=split, validation=split, test=split, name="any", source="folder", why="",
        image_size=size, classes=classes, label_names=(), sha256={}, split="",
    )  # fmt: skip
    features, probabilities = obtain(data, lambda _: None)(torch.rand(3, pixels))
    assert features.shape == (3, 64)
    assert probabilities.shape == (3, classes)
    assert bool(features.isfinite().all())
    assert build(size, classes)[-1].out_features == classes


@pytest.mark.parametrize("size", [(28, 28), (9, 14)])
def test_the_classifier_gives_what_its_network_gives(size: tuple[int, int]) -> None:
    network = build(size, 10).eval()
    images = torch.rand(3, math.prod(size), generator=stream(0, "images"))
    features, probabilities = Classifier(network, size, 1.0, "")(images)
    with torch.inference_mode():
        planes = images.unflatten(1, (1, *size))
        assert torch.equal(features, network[:-1](planes))
        assert torch.equal(probabilities, network(planes).softmax(-1))


def test_a_cache_that_cannot_be_written_is_told(
    tiny_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AELAB_CACHE", str(tmp_path / "file"))
    with pytest.raises(RunError, match="set AELAB_CACHE to a folder"):
        obtain(tiny_data, lambda _: None)


def test_the_metrics_that_another_classifier_changes_say_so(
    tiny_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = evaluation.evaluate_metrics(make("vae", tiny_data)).metrics
    other = Classifier(build(tiny_data.image_size, 10).eval(), tiny_data.image_size, 0.1, "cd")
    monkeypatch.setattr(generation, "obtain", lambda *_: other)
    found = evaluation.evaluate_metrics(make("vae", tiny_data)).metrics
    changed = {name for name, estimate in known.items() if found[name] != estimate}
    assert {"hole_share", "frechet_prior", "class_entropy_prior"} <= changed
    assert changed <= {name for name, metric in METRICS.items() if metric.classifier}
