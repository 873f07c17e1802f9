"""The shape of the latent space, the clusters in it, damaged images, and what health says."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from aelab.data.dataset import Data
from aelab.metrics import METRICS, Estimate, health, latent, regularity, robustness
from aelab.metrics.base import Array
from aelab.metrics.health import input_effect
from aelab.metrics.regularity import mmd2_with_null, normality, sensitivity, whitened
from aelab.metrics.representation import labelled
from aelab.models import MODELS
from aelab.randomness import stream
from tests.measured import evaluated, layers, make, per_image

# --- MMD ------------------------------------------------------------------------------------


def naive_mmd2(a: Array, b: Array) -> float:
    """Gretton et al. (2012), eq. 3, term by term."""
    n, c = len(a), 2 * a.shape[1]

    def k(x: Array, y: Array) -> float:
        return float(c / (c + ((x - y) ** 2).sum()))

    within = sum(k(s[i], s[j]) for s in (a, b) for i in range(n) for j in range(n) if i != j)
    across = sum(k(x, y) for x in a for y in b)
    return within / (n * (n - 1)) - 2 * across / n**2


def test_mmd_is_the_double_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regularity, "BLOCK", 7)
    generator = np.random.default_rng(0)
    a, b = generator.normal(0, 1, (20, 3)), generator.normal(0.5, 1.5, (20, 3))
    value, _ = mmd2_with_null(a, b, seed=0)
    assert value == pytest.approx(naive_mmd2(a, b), rel=1e-10)


def test_the_null_is_that_of_all_regroupings() -> None:
    generator = np.random.default_rng(1)
    points = generator.normal(size=(8, 2))
    every = [
        naive_mmd2(points[list(chosen)], np.delete(points, chosen, axis=0))
        for chosen in combinations(range(8), 4)
    ]
    value, null = mmd2_with_null(points[:4], points[4:], seed=0)
    assert value == pytest.approx(every[0], rel=1e-9)
    for statistic in null:
        assert min(abs(statistic - other) for other in every) < 1e-12
    assert null.mean() == pytest.approx(
        np.mean(every), abs=3 * float(np.std(every)) / math.sqrt(200)
    )


def test_normal_codes_are_within_the_null_and_others_are_not(
    tiny_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(2)
    shapes = {
        "normal": generator.normal(3, 2, (600, 4)) @ generator.normal(size=(4, 4)),
        "two heaps": generator.choice([-1.0, 1.0], (600, 4)) + generator.normal(0, 0.1, (600, 4)),
    }
    found = {}
    for name, codes in shapes.items():
        context = make("ae", tiny_data)
        monkeypatch.setattr(context, "codes", {"test": codes}.get)
        found[name] = normality(context)
    (value, null, n), (other, other_null, _) = found["normal"], found["two heaps"]  # type: ignore[misc]
    assert n == 600
    assert value < null
    assert other > 2 * other_null


def test_whitened_codes_have_unit_covariance_and_no_dead_direction() -> None:
    generator = np.random.default_rng(3)
    codes = generator.normal(size=(500, 3)) @ generator.normal(size=(3, 3))
    codes = np.concatenate([codes, np.full((500, 1), 7.0), codes[:, :1]], axis=1)
    white = whitened(codes)
    assert white.shape == (500, 3)
    np.testing.assert_allclose(np.cov(white, rowvar=False), np.eye(3), atol=1e-9)
    assert whitened(np.ones((5, 2))).shape == (5, 0)


# --- the decoder ----------------------------------------------------------------------------


def test_smoothness_is_the_norm_of_the_whole_jacobian(tiny_data: Data) -> None:
    context = make("vae", tiny_data)
    covariance = np.cov(context.codes("train").astype(np.float64), rowvar=False)
    norms = []
    for z in torch.from_numpy(context.codes("test")):
        jacobian = (
            torch.func.jacrev(
                lambda code: context.model.pixels(context.model.decode(code[None]))[0]
            )(z)
            .detach()
            .double()
            .numpy()
        )
        norms.append(math.sqrt(np.trace(jacobian @ covariance @ jacobian.T)))
    found = sensitivity(context).square().sum(-1).sqrt()
    np.testing.assert_allclose(np.sort(found), np.sort(norms), rtol=1e-4)
    estimate = METRICS["decoder_smoothness"].function(context)
    assert isinstance(estimate, Estimate)
    assert estimate.value == pytest.approx(np.mean(norms), rel=1e-5)
    assert estimate.n == 50


def test_smoothness_does_not_depend_on_the_scale_of_the_code(tiny_data: Data) -> None:
    first, second = make("ae", tiny_data), make("ae", tiny_data)
    out, into = layers(second.model.encoder)[-1], layers(second.model.decoder)[0]
    assert isinstance(out, nn.Linear)
    assert isinstance(into, nn.Linear)
    with torch.no_grad():
        out.weight.mul_(8)
        out.bias.mul_(8)
        into.weight.div_(8)
    np.testing.assert_allclose(
        sensitivity(first).square().sum(-1), sensitivity(second).square().sum(-1), rtol=1e-4
    )


def test_aggregate_posterior_against_torch_distributions(tiny_data: Data) -> None:
    context = make("vae", tiny_data)
    aggregate, posterior = latent.aggregate(context), latent.posterior_variance(context)
    assert aggregate is not None
    assert posterior is not None
    mean, covariance = map(torch.from_numpy, aggregate)
    q = torch.distributions.MultivariateNormal(mean, covariance)
    p = torch.distributions.MultivariateNormal(torch.zeros_like(mean), torch.eye(3).double())
    expected = float(torch.distributions.kl_divergence(q, p))
    assert METRICS["prior_gap"].function(context) == pytest.approx(expected, rel=1e-6)
    # The moments are those of draws.
    means, deviations = torch.from_numpy(context.codes("test")), torch.from_numpy(posterior).sqrt()
    noise = torch.randn(2_000, *means.shape, generator=stream(0, "draws"))
    drawn = (means + deviations * noise).reshape(-1, 3).double()
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.02)
    np.testing.assert_allclose(torch.cov(drawn.T), covariance, atol=0.03)


# --- damage ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", robustness.DAMAGES)
def test_damage_is_what_it_is_called(name: str) -> None:
    damage, _, _, strengths = robustness.DAMAGES[name]
    x = torch.full((400, 20 * 10), 0.5)
    for strength in strengths:
        found = damage(x, strength, (20, 10), stream(0, "damage"))
        assert found.shape == x.shape
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
        if name == "gaussian":
            clipped = float((found - x).abs().clamp_max(0.5).std())
            assert clipped <= strength * 1.02
            assert float(found.mean()) == pytest.approx(0.5, abs=0.01)
        elif name == "salt_pepper":
            for value in (0, 1):
                assert float((found == value).float().mean()) == pytest.approx(
                    strength / 2, rel=0.1
                )
        else:
            hidden = (found == 0).view(400, 20, 10)
            area = round(strength * 20) * round(strength * 10)
            assert (hidden.sum((1, 2)) == area).all()
            assert hidden.any(0).float().mean() == 1  # it comes anywhere


def test_error_from_damage_grows_and_is_against_the_clean_image(tiny_data: Data) -> None:
    context = make("ae", tiny_data)
    undamaged = robustness.error_from_damaged(context, "gaussian", 0.0)
    np.testing.assert_allclose(undamaged, per_image("mse", context), rtol=1e-5)
    again = robustness.error_from_damaged(make("ae", tiny_data), "occlusion", 0.3)
    np.testing.assert_array_equal(again, per_image("mse_occlusion_0.3", context))


# --- representation -------------------------------------------------------------------------


def test_clusters_of_separate_classes_are_found(
    tiny_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make("ae", tiny_data)
    own = np.eye(10)[tiny_data.test.labels] + 1e-3 * np.arange(50)[:, None] / 50
    monkeypatch.setattr(context, "codes", {"test": own}.get)
    for name in ("kmeans_nmi", "kmeans_ari"):
        assert METRICS[name].function(context) == pytest.approx(1)
    estimate = METRICS["silhouette"].function(context)
    assert isinstance(estimate, Estimate)
    assert estimate.value > 0.99


def test_labelled_images_are_so_many_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [40, 7, 3])
    chosen = labelled(labels, 5, seed=0, draw=0)
    assert np.bincount(labels[chosen]).tolist() == [5, 5, 3]
    assert len(set(chosen.tolist())) == 13
    assert not np.array_equal(chosen, labelled(labels, 5, seed=0, draw=1))
    few = labelled(labels, 2, seed=0, draw=0)
    assert set(few.tolist()) <= set(chosen.tolist()), "fewer labels are some of the more"


def test_more_labels_do_not_hurt_where_classes_are_separable(tiny_data: Data) -> None:
    shares = [per_image(f"few_labels_{k}", make("ae", tiny_data, 1)).mean() for k in (1, 10)]
    assert shares[0] < shares[1]


# --- health ---------------------------------------------------------------------------------


def told(name: str, data: Data, **numbers: float) -> dict[str, dict[str, Any]]:
    """The findings by check, with some measures replaced."""
    context = make(name, data)
    metrics = dict(evaluated(name, data).metrics)
    metrics |= {key: Estimate(value, None, None, 50) for key, value in numbers.items()}
    row = {"train": {"total": 80.0}, "validation": {"total": 80.5}}
    return {finding["check"]: finding for finding in health(context, metrics, [row])}


def test_all_is_well_is_said_with_numbers(tiny_data: Data) -> None:
    found = told("vae", tiny_data, kl=20.0, prior_gap=0.2)
    assert found["posterior collapse"]["state"] == "fine"
    assert "20.00 nats" in found["posterior collapse"]["text"]
    assert found["overfitting"]["state"] == "fine"
    assert "+0.6%" in found["overfitting"]["text"]
    assert all(f["remedy"] == "" for f in found.values() if f["state"] == "fine")


@pytest.mark.parametrize("name", MODELS)
def test_an_ill_model_is_told_what_and_why_and_what_to_try(name: str, tiny_data: Data) -> None:
    found = told(name, tiny_data, **({"kl": 0.01, "prior_gap": 9.0} if name == "vae" else {}))
    if name == "vae":
        assert found["posterior collapse"]["state"] == "bad"
        assert "β" in found["posterior collapse"]["remedy"]
        assert found["aggregate posterior"]["number"] == 9
    for finding in found.values():
        assert finding["state"] in ("fine", "note", "bad")
        assert finding["text"].endswith(".")
        assert bool(finding["remedy"]) == (finding["state"] != "fine")


def test_dead_dimensions_are_counted_on_both_sides(tiny_data: Data) -> None:
    context = make("ae", tiny_data)
    out, into = layers(context.model.encoder)[-1], layers(context.model.decoder)[0]
    assert isinstance(out, nn.Linear)
    assert isinstance(into, nn.Linear)
    with torch.no_grad():
        out.weight[0] = 0
        into.weight[:, 2] = 0
    effect = input_effect(context)
    assert effect[1] > 0
    np.testing.assert_allclose(effect[[0, 2]], 0, atol=1e-12)
    found = {f["check"]: f for f in health(context, {}, [])}
    assert found["unused dimensions"]["number"] == 1
    assert "1 of 3 dimensions carries no information" in found["unused dimensions"]["text"]
    assert found["dead decoder inputs"]["number"] == 2
    assert "overfitting" not in found


def test_a_collapsed_vae_and_a_constant_code_are_never_praised(tiny_data: Data) -> None:
    """Its decoder reacts to the noise of the posteriors, but no image moves its code."""
    for name in ("vae", "ae"):
        context = make(name, tiny_data)
        out = layers(context.model.encoder)[-1]
        assert isinstance(out, nn.Linear)
        with torch.no_grad():
            out.weight.mul_(1e-6)  # codes differ by little more than the rounding of float32
            out.bias.copy_(torch.linspace(1, 2, len(out.bias)))
        metrics = {"kl": Estimate(1e-4, None, None, 50), "prior_gap": Estimate(0, None, None, 50)}
        found = {f["check"]: f for f in health(context, metrics if name == "vae" else {}, [])}
        assert found["dead decoder inputs"]["number"] == 3
        assert "does not change with 3 of 3 dimensions" in found["dead decoder inputs"]["text"]
        assert {finding["state"] for finding in found.values()} == {"bad"}, found
        assert not any("does no harm" in f["remedy"] for f in found.values())
        assert not any("harmless" in f["remedy"] for f in found.values())


def test_overfitting_is_the_gap_after_the_last_epoch(tiny_data: Data) -> None:
    context = make("ae", tiny_data)
    rows = [{"train": {"total": t}, "validation": {"total": v}} for t, v in ((90, 91), (70, 84))]
    finding = {f["check"]: f for f in health(context, {}, rows)}["overfitting"]
    assert finding["state"] == "bad"
    assert finding["number"] == pytest.approx(0.2)
