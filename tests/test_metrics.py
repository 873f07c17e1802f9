"""Metrics against outside oracles and closed forms, over both registries, on tiny data."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from aelab.config.evaluation import EvaluationSettings
from aelab.data.dataset import Data, Split
from aelab.errors import AelabError
from aelab.losses import bernoulli_nll
from aelab.metrics import (
    METRICS,
    Context,
    Estimate,
    evaluate,
    evaluate_baseline,
    health,
    latent,
    metric,
    paired_differences,
)
from aelab.metrics.base import RESAMPLES, Array, bootstrap_means, estimate_means
from aelab.metrics.reconstruction import MAX_PSNR, structural_similarity
from aelab.models import MODELS, Capability, Variational
from aelab.randomness import stream
from tests.measured import evaluated, layers, make, per_image

# --- the registries -------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", METRICS)
def test_every_metric_of_every_model(tiny_data: Data, name: str, model: str) -> None:
    evaluation = evaluated(model, tiny_data)
    estimate = evaluation.metrics[name]
    undefined = not METRICS[name].applies_to(MODELS[model].capabilities | {"labels"})
    if undefined or not METRICS[name].asked(EvaluationSettings()):
        assert estimate is None, "what is not defined has no number"
        assert name not in evaluation.per_image
        return
    assert estimate is not None
    assert np.isfinite(estimate.value)
    assert estimate.n > 0
    if name in evaluation.per_image:
        values = evaluation.per_image[name]
        assert estimate.n == len(tiny_data.test)
        assert values.shape == (estimate.n,)
        assert values.dtype == np.float32
        assert estimate.value == values.mean(dtype=np.float64)
        assert estimate.low is not None
    if estimate.low is not None:
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_what_it_is(name: str) -> None:
    item = METRICS[name]
    assert item.name == name
    assert item.title
    assert item.description.endswith((".", ")"))


@pytest.mark.parametrize("model", MODELS)
def test_evaluating_twice_gives_the_same_bits(tiny_data: Data, model: str) -> None:
    first, second = evaluated(model, tiny_data), evaluate(make(model, tiny_data))
    assert first.metrics == second.metrics
    assert first.arrays.keys() == second.arrays.keys()
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[name], err_msg=name)


def test_a_metric_is_named_once_and_described() -> None:
    def new(_: Context) -> float:
        """A new one."""
        return 0.0

    with pytest.raises(AelabError, match=r"already is a metric named mse \(aelab.metrics.recons"):
        metric("mse", title="MSE", family="reconstruction")(new)
    with pytest.raises(AelabError, match="no docstring"):
        metric("new", title="New", family="latent")(lambda _: 0.0)
    with pytest.raises(AelabError, match="family speed: choose from reconstruction, "):
        metric("new", title="New", family="speed")(new)  # type: ignore[arg-type]
    with pytest.raises(AelabError, match="needs magic: choose from codes, pixels, "):
        metric("new", title="New", family="latent", needs="magic")(new)  # type: ignore[arg-type]
    assert "new" not in METRICS


def test_a_metric_applies_where_all_that_it_needs_is_there() -> None:
    assert METRICS["knn_accuracy"].applies_to({"codes", "labels"})
    assert not METRICS["knn_accuracy"].applies_to({"codes"})
    assert METRICS["mse"].applies_to({"codes", "pixels"})
    assert not METRICS["reconstruction_nll"].applies_to({"codes", "pixels"})
    assert not METRICS["kl"].applies_to(MODELS["ae"].capabilities)
    assert METRICS["kl"].applies_to(MODELS["vae"].capabilities)


# --- intervals ------------------------------------------------------------------------------


def test_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(1).normal(5, 2, 1_500)
    [estimate] = estimate_means(values[:, None], seed=0)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_a_resample_has_as_many_images_as_the_sample() -> None:
    means = bootstrap_means(np.stack([np.ones(37), np.arange(37)], axis=1), seed=0)
    assert means.shape == (RESAMPLES, 2)
    np.testing.assert_allclose(means[:, 0], 1)
    assert means[:, 1].std() == pytest.approx(np.arange(37).std() / np.sqrt(37), rel=0.05)


def test_pairs_narrow_the_interval_of_a_difference() -> None:
    generator = np.random.default_rng(2)
    a = generator.normal(0, 10, 400).astype(np.float32)
    b = a + generator.normal(1, 0.1, 400).astype(np.float32)
    estimate, nothing = paired_differences(np.stack([a, a], 1), np.stack([b, a], 1), seed=0)
    assert estimate.value == pytest.approx(1, abs=0.02)
    assert estimate.low is not None
    assert 0.98 < estimate.low < estimate.value
    assert nothing == Estimate(0, 0, 0, 400)
    with pytest.raises(AssertionError):
        paired_differences(a[:, None], b[:-1, None], seed=0)


# --- reconstruction -------------------------------------------------------------------------


def test_ssim_is_the_formula_of_the_paper() -> None:
    a, b = np.random.default_rng(0).random((2, 3, 14, 17))
    offset = np.arange(-5, 6)
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()

    def local(image: Array) -> Array:
        places = np.lib.stride_tricks.sliding_window_view(image, (11, 11), axis=(1, 2))
        return np.asarray((places * window).sum(axis=(-2, -1)))

    mean_a, mean_b = local(a), local(b)
    variance_a, variance_b = local(a**2) - mean_a**2, local(b**2) - mean_b**2
    covariance = local(a * b) - mean_a * mean_b
    expected = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
    expected /= (mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4)
    found = structural_similarity(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(found.numpy(), expected.mean(axis=(1, 2)), rtol=1e-9)


@pytest.mark.parametrize("size", [(28, 28), (11, 30), (6, 9), (2, 2)])
def test_ssim_is_one_for_a_copy_symmetric_and_falls_with_noise(size: tuple[int, int]) -> None:
    generator = stream(0, "ssim")
    image = torch.rand(4, *size, generator=generator)
    noise = torch.randn(4, *size, generator=generator)
    np.testing.assert_allclose(structural_similarity(image, image).numpy(), 1, rtol=1e-5)
    near, far = image + 0.1 * noise, image + 0.5 * noise
    there, back = structural_similarity(image, near), structural_similarity(near, image)
    np.testing.assert_allclose(there.numpy(), back.numpy(), rtol=1e-4)
    assert bool((structural_similarity(image, far) < there).all())


def test_pixel_metrics_are_their_definitions(tiny_data: Data) -> None:
    context = make("ae", tiny_data)
    x = tiny_data.test.images / 255
    with torch.inference_mode():
        shown = context.model.reconstruct(torch.from_numpy(x).float()).double().numpy()
    error = ((shown - x) ** 2).mean(axis=1)
    np.testing.assert_allclose(per_image("mse", context), error, rtol=1e-5)
    np.testing.assert_allclose(per_image("psnr", context), -10 * np.log10(error), rtol=1e-5)


def test_a_perfect_copy_has_the_largest_psnr(tiny_data: Data) -> None:
    # With as many components as images, PCA copies what it was fitted to.
    data = replace(tiny_data, test=tiny_data.train)
    evaluation = evaluate_baseline("pca", 200, data, seed=0)
    assert evaluation.metrics["psnr"] == Estimate(MAX_PSNR, MAX_PSNR, MAX_PSNR, 200)


# --- likelihood and latent use --------------------------------------------------------------


def test_kl_and_elbo_against_torch_distributions(tiny_data: Data) -> None:
    context = make("vae", tiny_data)
    assert isinstance(context.model, Variational)
    with torch.inference_mode():
        posterior = context.model.posterior(context.x)
    assert posterior.variance is not None
    q = torch.distributions.Normal(posterior.mean, posterior.variance.sqrt())
    p = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    kl = torch.distributions.kl_divergence(q, p).sum(-1)
    np.testing.assert_allclose(per_image("kl", context), kl.numpy(), rtol=1e-4, atol=1e-6)

    torch.manual_seed(0)
    with torch.inference_mode():
        draws = [bernoulli_nll(context.model.decode(q.sample()), context.x) for _ in range(400)]
    reconstruction = per_image("elbo_reconstruction", context)
    assert reconstruction.mean() == pytest.approx(float(torch.stack(draws).mean()), rel=2e-3)
    total = per_image("negative_elbo", context)
    np.testing.assert_allclose(total, reconstruction + kl.numpy(), rtol=1e-5)


def test_a_posterior_without_width_reconstructs_as_its_mean(tiny_data: Data) -> None:
    context = make("vae", tiny_data)
    last = layers(context.model.encoder)[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight[3:] = 0
        last.bias[3:] = -60
    drawn, mean = (
        per_image(name, context) for name in ("elbo_reconstruction", "reconstruction_nll")
    )
    np.testing.assert_allclose(drawn, mean, rtol=1e-5)


def test_a_dimension_that_ignores_the_image_is_not_active(tiny_data: Data) -> None:
    context = make("vae", tiny_data)
    last = layers(context.model.encoder)[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight[[0, 2]] *= 30
        last.weight[1] = 0
    np.testing.assert_array_equal(latent.active(context), [True, False, True])
    assert METRICS["active_units"].function(context) == 2


# --- representation -------------------------------------------------------------------------


def test_neighbours_vote_as_counted_by_hand(tiny_data: Data) -> None:
    context = make("ae", tiny_data)
    distance = ((context.codes("test")[:, None] - context.codes("train")) ** 2).sum(-1)
    votes = tiny_data.train.labels[np.argsort(distance, axis=1)[:, :5]]
    predicted = [np.bincount(row, minlength=10).argmax() for row in votes]
    hits = per_image("knn_accuracy", context)
    np.testing.assert_array_equal(hits, predicted == tiny_data.test.labels)
    assert 0.1 < hits.mean() <= 1


@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes_are_enough_for_a_probe(tiny_data: Data, classes: int) -> None:
    def few(split: Split) -> Split:
        kept = split.labels < classes
        return Split(split.images[kept], split.labels[kept])

    train, validation, test = map(few, (tiny_data.train, tiny_data.validation, tiny_data.test))
    data = replace(tiny_data, train=train, validation=validation, test=test, classes=classes)
    evaluation = evaluate_baseline("pixels", None, data, seed=0)
    for name in ("knn_accuracy", "probe_accuracy"):
        estimate = evaluation.metrics[name]
        assert estimate is not None
        assert estimate.value == 1, "these classes are separable"


def test_a_probe_has_no_use_for_a_constant_dimension(tiny_data: Data) -> None:
    images = tiny_data.train.images.copy()
    images[:, :20] = 7
    data = replace(tiny_data, train=Split(images, tiny_data.train.labels))
    estimate = evaluate_baseline("pixels", None, data, seed=0).metrics["probe_accuracy"]
    assert estimate is not None
    assert estimate.value > 0.9


# --- degenerate data ------------------------------------------------------------------------


def some(split: Split, index: slice | list[int], classes: int = 10) -> Split:
    return Split(split.images[index], split.labels[index] % classes)


def degenerate(data: Data, case: str) -> tuple[Data, set[str]]:
    """Data at an edge, and metrics of a VAE that are not defined there."""
    small = replace(
        data, train=some(data.train, slice(60)), validation=some(data.validation, slice(20))
    )
    labels = {"interpolation_consistency", "knn_accuracy", "probe_accuracy",
              *(f"few_labels_{count}" for count in (1, 10, 100))}  # fmt: skip
    clusters, pairs = {"kmeans_nmi", "kmeans_ari"}, {"interpolation_consistency", "arc_chord"}
    balls = {"hole_share", *(
        f"{name}_{sampler}"
        for name in ("coverage", "precision", "recall", "density")
        for sampler in ("prior", "gaussian", "mixture")
    )}  # fmt: skip
    distances = {f"{name}_{sampler}" for name in ("frechet", "kernel")
                 for sampler in ("prior", "gaussian", "mixture")}  # fmt: skip
    normality = {"mmd2", "mmd2_null"}
    if case == "one test image":
        few = balls | distances | normality | clusters | pairs | {"silhouette", "active_units"}
        return replace(small, test=some(data.test, [3])), few
    if case == "two test images":
        return replace(small, test=some(data.test, [3, 13])), balls | clusters | {"silhouette"}
    if case == "one test image a class":
        return replace(small, test=some(data.test, slice(10))), clusters | pairs | {"silhouette"}
    if case == "four training images":
        return replace(small, train=some(data.train, slice(4))), {"knn_accuracy"}
    if case == "one class":
        train, validation, test = (
            some(split, slice(None), 1) for split in (small.train, small.validation, small.test)
        )
        small = replace(small, train=train, validation=validation, test=test, classes=1)
        return small, labels | clusters | {"silhouette"}
    black = Split(np.zeros((30, 784), np.uint8), data.test.labels[:30])
    return replace(small, test=black), balls | distances | normality | {"arc_chord"}


@pytest.mark.parametrize(
    "case",
    ["one test image", "two test images", "one test image a class", "four training images",
     "one class", "black test images"],
)  # fmt: skip
def test_degenerate_data_give_numbers_or_nothing(tiny_data: Data, case: str) -> None:
    data, undefined = degenerate(tiny_data, case)
    context = make("vae", data)
    evaluation = evaluate(context)
    asked = {name for name, item in METRICS.items() if item.asked(EvaluationSettings())}
    assert {name for name in asked if evaluation.metrics[name] is None} == undefined
    for name, estimate in evaluation.metrics.items():
        if estimate is not None:
            assert abs(estimate.value) < 1e4, name
            assert estimate.n > 1 or estimate.low is None, "one value has no interval"
    for name, array in evaluation.arrays.items():
        assert name == "error_by_label" or np.isfinite(array).all(), name
    for name in ("pixels", "pca"):
        baseline = evaluate_baseline(name, 3, data, seed=0).metrics
        has: set[Capability] = {"codes", "pixels"} if name == "pca" else {"codes"}
        has |= {"labels"} if case != "one class" else set()
        given = {k for k in asked if METRICS[k].applies_to(has)}
        assert {k for k in given if baseline[k] is None} == given & undefined
    checks = {finding["check"] for finding in health(context, evaluation.metrics, [])}
    assert ("unused dimensions" in checks) == (case != "one test image")


def test_many_classes_of_one_image_are_no_regression_target(tiny_data: Data) -> None:
    labels = np.arange(50) % 25
    train, test = (Split(split.images[:50], labels) for split in (tiny_data.train, tiny_data.test))
    data = replace(tiny_data, train=train, validation=test, test=test, classes=25)
    hits = per_image(
        "few_labels_1", make("ae", data)
    )  # scikit-learn warns, and warnings are errors
    assert hits.shape == (50,)
