"""Importance sampling and annealing against a model whose likelihood is known in closed form."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aelab.data.binarize import freeze
from aelab.data.dataset import Data
from aelab.errors import AelabError
from aelab.metrics import METRICS
from aelab.metrics.annealing import Annealing, ais_check, powers
from aelab.metrics.base import Array, estimate_means
from aelab.metrics.importance import (
    bound,
    differences_from_control,
    effective_samples,
    facts,
    importance,
    log_weights,
)
from aelab.models import DiagonalNormal, StandardNormal
from aelab.randomness import stream
from aelab.runs.models import ModelFolder
from aelab.runs.records import Estimate
from aelab.search.goals import as_number
from tests.measured import make, per_image

D, Z, N = 6, 3, 40
NOISE = 0.7  # the standard deviation of x given z


class LinearGaussian:
    """z ~ N(0, I), x = W z + b + noise: x and z given x are Gaussian, so everything is known."""

    def __init__(self) -> None:
        generator = stream(0, "linear-Gaussian")
        self.w = torch.randn(D, Z, generator=generator, dtype=torch.float64)
        self.b = torch.randn(D, generator=generator, dtype=torch.float64)
        self.z = torch.randn(N, Z, generator=generator)
        noise = torch.randn(N, D, generator=generator, dtype=torch.float64)
        self.x = self.z.double() @ self.w.T + self.b + NOISE * noise

    def log_likelihood(self, z: Tensor) -> Tensor:
        mean = z.double() @ self.w.T + self.b
        density: Tensor = torch.distributions.Normal(mean, NOISE).log_prob(self.x).sum(-1)
        return density

    def log_evidence(self) -> Tensor:
        covariance = self.w @ self.w.T + NOISE**2 * torch.eye(D, dtype=torch.float64)
        law = torch.distributions.MultivariateNormal(self.b, covariance)
        density: Tensor = law.log_prob(self.x)
        return density

    def posterior(self) -> tuple[Tensor, Tensor]:
        """Mean and covariance of z given x."""
        precision = self.w.T @ self.w / NOISE**2 + torch.eye(Z, dtype=torch.float64)
        covariance = torch.linalg.inv(precision)
        return (self.x - self.b) @ self.w @ covariance / NOISE**2, covariance


MODEL, PRIOR = LinearGaussian(), StandardNormal(Z)


def weights(scale: float, samples: int) -> Tensor:
    """Log weights from the diagonal of the posterior, its standard deviation times ``scale``."""
    mean, covariance = MODEL.posterior()
    log_variance = (covariance.diagonal() * scale**2).log().expand_as(mean)
    posterior = DiagonalNormal(mean.float(), log_variance.float())
    return log_weights(MODEL.log_likelihood, posterior, PRIOR, samples, stream(0, "q"))


def test_a_large_k_reaches_the_exact_likelihood() -> None:
    found = bound(weights(1.2, 3_000), 3_000)
    np.testing.assert_allclose(found.numpy(), MODEL.log_evidence().numpy(), atol=0.05)


def test_one_sample_is_the_elbo() -> None:
    mean, covariance = MODEL.posterior()
    q = torch.distributions.MultivariateNormal(mean, torch.diag(covariance.diagonal()))
    p = torch.distributions.MultivariateNormal(mean, covariance)
    # log p(x) − ELBO = KL(q ‖ p(z|x)).
    expected = MODEL.log_evidence() - torch.distributions.kl_divergence(q, p)
    found = bound(weights(1.0, 2_000), 1)
    assert float((found - expected).mean()) == pytest.approx(0, abs=0.02)


def test_a_tighter_bound_for_every_k() -> None:
    log_w = weights(1.0, 2_000)
    bounds = [float(bound(log_w, size).mean()) for size in (1, 50, 500, 2_000)]
    assert bounds == sorted(bounds)
    assert bounds[-1] < float(MODEL.log_evidence().mean()) + 0.01


def test_groups_of_samples_are_averaged_and_the_rest_is_left_out() -> None:
    log_w = torch.tensor([[0.0, 1.0, 2.0, 3.0, 50.0]], dtype=torch.float64)
    first, second = (math.log((math.exp(a) + math.exp(a + 1)) / 2) for a in (0, 2))
    assert float(bound(log_w, 2)) == pytest.approx((first + second) / 2)
    assert float(bound(log_w - 5_000, 2)) == pytest.approx((first + second) / 2 - 5_000)


def test_effective_samples_of_known_weights() -> None:
    log_w = torch.tensor([[0.0] * 4, [0.0, -900.0, -900.0, -900.0]]) - 800
    np.testing.assert_allclose(effective_samples(log_w), [4, 1])
    unequal = torch.tensor([[3.0, 1.0]]).log()
    assert float(effective_samples(unequal)) == pytest.approx(16 / 10)


# --- of a model -----------------------------------------------------------------------------


def test_nll_is_of_the_binarised_images_whatever_the_protocol(tiny_data: Data) -> None:
    grey, static = (make("vae", tiny_data, protocol=p) for p in ("grey", "static"))
    nll_1 = per_image("nll_1", static)
    np.testing.assert_array_equal(per_image("nll_1", grey), nll_1)
    frozen = freeze(tiny_data.test.images, 0, "test")
    np.testing.assert_array_equal(static.images("test"), frozen)
    # K = 1 is −ELBO of the same images; 500 draws against 10.
    assert nll_1.mean() == pytest.approx(per_image("negative_elbo", static).mean(), rel=2e-3)


def test_5000_samples_are_measured_only_when_asked_for(tiny_data: Data) -> None:
    usual = make("vae", tiny_data)
    assert METRICS["nll_5000"].function(usual) is None
    few = make("vae", tiny_data)
    few.settings = few.settings.model_copy(update={"samples": 5000})
    values = [per_image(f"nll_{size}", few).mean() for size in (1, 50, 500, 5000)]
    assert values == sorted(values, reverse=True)
    assert 1 <= per_image("effective_samples", few).min() <= 5_000


@pytest.mark.parametrize("samples", [500, 5000])
def test_a_subset_gives_the_bounds_of_all_images_in_their_order(
    tiny_data: Data, monkeypatch: pytest.MonkeyPatch, samples: int
) -> None:
    monkeypatch.setattr("aelab.metrics.importance.SAMPLED", 20)
    full, few = (make("vae", tiny_data) for _ in range(2))
    full.settings = full.settings.model_copy(update={"samples": samples, "effort": "full"})
    few.settings = few.settings.model_copy(update={"samples": samples})
    whole, found = importance(full), importance(few)
    assert facts(full) == {"images": 50, "importance_sampled": 50, "samples": samples}
    assert facts(few) == {"images": 50, "importance_sampled": 20, "samples": samples}
    assert whole.keys() == found.keys()
    assert np.asarray(found["nll_1"]).shape == (50,)
    bounds = [as_number(value) for name, value in found.items() if name != "effective_samples"]
    assert bounds == sorted(bounds, reverse=True)
    for name, value in found.items():
        if isinstance(value, Estimate):
            assert value.low is not None
            assert value.high is not None
            assert value.low < as_number(whole[name]) < value.high


def test_a_control_variate_leaves_the_error_of_the_gap() -> None:
    """Over many subsets the estimates scatter about the mean of all by less than subsets do."""
    generator = np.random.default_rng(0)
    values = generator.normal(100, 25, 2_000)
    control = values + generator.normal(2, 1, 2_000)
    gaps, means, covered = control - values, [], 0
    for _ in range(40):
        chosen = generator.permutation(2_000)[:200]
        [estimate] = differences_from_control(control, gaps[chosen, None], 0)
        means.append(estimate.value)
        low, high = estimate.interval or (0.0, 0.0)
        covered += low < 100 < high
    assert np.mean(means) == pytest.approx(values.mean(), abs=0.05)
    assert np.std(means) == pytest.approx(1 / np.sqrt(200), rel=0.3)
    assert covered >= 38
    # The interval is wider than that of all images by the variance of the gap.
    [whole] = estimate_means(values[:, None], 0)
    width = np.ptp(whole.interval or (0, 0))
    assert high - low == pytest.approx(width, rel=0.1)


def test_an_interrupted_estimate_goes_on_from_its_blocks(
    tiny_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aelab.metrics.importance.BATCH", 20)  # 50 images: three blocks
    whole = importance(make("vae", tiny_data))
    folder = ModelFolder(tmp_path)
    kept: list[str] = []

    class Stopping(ModelFolder):
        def keep_block(self, name: str, values: Array) -> None:
            super().keep_block(name, values)
            kept.append(name)
            if len(kept) == 2:
                raise KeyboardInterrupt

    first = make("vae", tiny_data)
    first.folder = Stopping(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        importance(first)
    said: list[str] = []
    second = make("vae", tiny_data)
    second.folder, second.report = folder, said.append
    resumed = importance(second)
    assert said == ["importance sampling, 40 of 50 images"]
    for name, values in whole.items():
        np.testing.assert_array_equal(resumed[name], values)
    assert folder.block(kept[0]) is not None
    folder.drop_blocks()
    assert folder.block(kept[0]) is None
    assert not list(tmp_path.rglob("*.npy"))


# --- annealing ------------------------------------------------------------------------------


def test_annealing_brackets_the_exact_likelihood() -> None:
    annealing = Annealing(MODEL.log_likelihood, PRIOR, 120)
    steps = annealing.tune((4, N), stream(0, "pilot"))
    assert float(annealing.powers[0]) == 0
    assert float(annealing.powers[-1]) == 1
    up = annealing.forward(steps, (8, N), stream(0, "up"))
    start = MODEL.z.expand(8, -1, -1)
    down = annealing.backward(steps, start, stream(0, "down"))
    exact = float(MODEL.log_evidence().mean())
    low, high = float(bound(up.T, 8).mean()), -float(bound(-down.T, 8).mean())
    assert low == pytest.approx(exact, abs=0.15)
    assert high == pytest.approx(exact, abs=0.15)
    assert low < high + 0.05  # each holds in expectation


def test_annealing_without_steps_is_plain_sampling_from_the_prior() -> None:
    np.testing.assert_array_equal(powers(1), [0, 1])
    annealing = Annealing(MODEL.log_likelihood, PRIOR, 1)
    steps = annealing.tune((1, N), stream(0, "pilot"))
    found = annealing.forward(steps, (1, N), stream(0, "up"))
    z = torch.randn((1, N, Z), generator=stream(0, "up"))
    np.testing.assert_allclose(found, MODEL.log_likelihood(z))


def test_hamiltonian_steps_keep_the_posterior() -> None:
    mean, covariance = MODEL.posterior()
    exact = torch.distributions.MultivariateNormal(mean, covariance)
    torch.manual_seed(0)
    z = exact.sample((400,)).float()
    generator, rates = stream(0, "hmc"), []
    annealing = Annealing(MODEL.log_likelihood, PRIOR, 1)
    for _ in range(15):
        z, accepted = annealing.hmc(z, 1.0, 0.3, generator)
        rates.append(accepted)
    assert 0.5 < np.mean(rates) < 0.999
    assert float((z.double() - mean).mean()) == pytest.approx(0, abs=0.01)
    spread = torch.stack([torch.cov(z[:, i].T.double()) for i in range(N)]).mean(0)
    np.testing.assert_allclose(spread, covariance, atol=0.01)


def test_the_check_of_a_model_brackets_its_own_images(tiny_data: Data) -> None:
    found = ais_check(make("vae", tiny_data), images=20, chains=4, distributions=20)
    # The posterior of an untrained network is nearly the prior, so little separates the three.
    assert found["lower"] - 0.1 < found["upper"] < found["lower"] + 0.5
    assert found["importance"] == pytest.approx(found["upper"], abs=0.5)
    with pytest.raises(AelabError, match="AE has no likelihood"):
        ais_check(make("ae", tiny_data))
