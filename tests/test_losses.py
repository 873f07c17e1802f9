import pytest
import torch
from torch.distributions import Bernoulli, ContinuousBernoulli, Normal, kl_divergence

from aelab.losses import (
    Loss,
    bernoulli_nll,
    continuous_bernoulli_mean,
    continuous_bernoulli_nll,
    gaussian_kl,
)
from aelab.randomness import stream


def logits_and_pixels() -> tuple[torch.Tensor, torch.Tensor]:
    generator = stream(0, "test")
    return 4 * torch.randn(5, 30, generator=generator), torch.rand(5, 30, generator=generator)


def test_bernoulli_nll_is_the_log_probability_summed_over_pixels() -> None:
    logits, pixels = logits_and_pixels()
    x = pixels.round()
    expected = -Bernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(bernoulli_nll(logits, x), expected)


def test_continuous_bernoulli_nll_is_torchs_density_also_near_zero_logits() -> None:
    logits, x = logits_and_pixels()
    logits = torch.cat([logits, 0.03 * logits, 0 * logits])
    x = torch.cat([x, x, x])
    expected = -ContinuousBernoulli(logits=logits.double()).log_prob(x.double()).sum(-1)
    torch.testing.assert_close(
        continuous_bernoulli_nll(logits.double(), x.double()), expected, rtol=1e-5, atol=1e-5
    )


def test_continuous_bernoulli_mean_keeps_float32s_digits_near_zero_logits() -> None:
    logits, _ = logits_and_pixels()
    logits = torch.cat([scale * logits for scale in (0, 1e-6, 1e-3, 0.03, 0.1, 1)])
    expected = ContinuousBernoulli(logits=logits.double()).mean.float()
    torch.testing.assert_close(continuous_bernoulli_mean(logits), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-4, 1.0])
def test_continuous_bernoulli_gradients_are_finite_where_its_formula_is_0_over_0(
    scale: float,
) -> None:
    logits, x = logits_and_pixels()
    logits = (scale * logits).requires_grad_()
    continuous_bernoulli_nll(logits, x).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_gaussian_kl_is_the_divergence_from_the_standard_normal() -> None:
    mean, log_variance = torch.randn(2, 7, 3, generator=stream(1, "test"))
    expected = kl_divergence(
        Normal(mean, torch.exp(0.5 * log_variance)), Normal(torch.zeros(3), torch.ones(3))
    )
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)


def test_total_is_the_weighted_sum_of_the_mean_terms() -> None:
    loss = Loss({"a": torch.tensor([1.0, 3.0]), "b": torch.tensor([10.0, 20.0])}, {"b": 0.5})
    assert loss.total.item() == 2 + 0.5 * 15


def test_streams_differ_by_label_and_repeat() -> None:
    draws = [torch.rand(3, generator=stream(*key)) for key in [(0, "a"), (0, "b"), (1, "a")]]
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(draws[0], torch.rand(3, generator=stream(0, "a")))
    assert not torch.equal(
        torch.rand(3, generator=stream(0, "a", "bc")), torch.rand(3, generator=stream(0, "ab", "c"))
    )
