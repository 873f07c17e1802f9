"""Matrix products by either of torch's libraries."""

import pytest
import torch
from torch import Tensor, nn

from aelab.nets import matmul as products
from aelab.nets.matmul import Dense, linear, product
from aelab.randomness import stream
from aelab.training.arithmetic import arithmetic


@pytest.fixture(params=[True, False], ids=["onednn", "mkl"])
def by_onednn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways; the operator serves on any processor for which torch has oneDNN."""
    if request.param and not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(products, "by_onednn", lambda: request.param)


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=stream(0, "numbers", *shape))


@pytest.mark.usefixtures("by_onednn")
@pytest.mark.parametrize("sides", [(64, 784, 400), (7, 16, 400), (1, 784, 32), (784, 64, 400)])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_products_are_those_of_float64(
    sides: tuple[int, int, int], turned: tuple[bool, bool]
) -> None:
    m, k, n = sides
    left = numbers(k, m).t() if turned[0] else numbers(m, k)
    right = numbers(n, k).t() if turned[1] else numbers(k, n)
    bias, out = numbers(n), torch.full((m, n), torch.nan)
    for added in (None, bias):
        product(left, right, out, added)
        expected = left.double() @ right.double() + (0 if added is None else added.double())
        torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.usefixtures("by_onednn")
def test_a_layer_is_pytorchs_with_and_without_a_gradient() -> None:
    layer, twin = Dense(30, 20), nn.Linear(30, 20)
    twin.load_state_dict(layer.state_dict())
    for shape in ((5, 30), (2, 5, 30), (0, 30)):
        x = numbers(*shape)
        with torch.no_grad():
            torch.testing.assert_close(layer(x), twin(x))
        with torch.inference_mode():
            torch.testing.assert_close(layer(x), twin(x))
        ours, theirs = (
            torch.autograd.grad(each(x).square().sum(), list(each.parameters()))
            for each in (layer, twin)
        )
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b)
    x = numbers(5, 30).requires_grad_()
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    torch.testing.assert_close(gradient, layer.weight.sum(0).expand(5, -1))
    assert layer.double()(x.detach().double()).dtype == torch.float64
    assert linear(numbers(3, 4), numbers(2, 4)).shape == (3, 2)


def test_what_another_processor_has_is_left_to_mkl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    products.by_onednn.cache_clear()
    assert not products.by_onednn()
    assert products.library() in ("MKL", "torch")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    for name, there in (("AMD EPYC", True), ("Intel Xeon", False)):  # MKL has AVX-512 for Intel
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=name: {"cpu_name": name})
        products.by_onednn.cache_clear()
        assert products.by_onednn() == (there and torch.backends.mkldnn.is_available())
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    products.by_onednn.cache_clear()
    assert not products.by_onednn()
    products.by_onednn.cache_clear()


@pytest.mark.parametrize("sides", [(64, 784, 400), (64, 400, 16)])
def test_in_bfloat16_only_large_products_are_rounded(
    sides: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the conversion here, which any processor can do; AMX rounds the factors alike."""
    if not torch.backends.mkldnn.is_available():
        pytest.fail("this torch has no oneDNN")
    monkeypatch.setattr(products, "by_onednn", lambda: True)
    m, k, n = sides
    left, right, out = numbers(m, k), numbers(k, n), torch.empty(m, n)
    with arithmetic("bfloat16"):
        product(left, right, out, numbers(n))
        assert products.BACKEND.fp32_precision == "bf16"
    exact = torch.addmm(numbers(n).double(), left.double(), right.double())
    off = ((out - exact).norm() / exact.norm()).item()
    assert 1e-3 < off < 1e-2 if m * k * n > products.WORTH_ROUNDING else off < 1e-6
