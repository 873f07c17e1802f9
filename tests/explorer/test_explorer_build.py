"""How the explorer is built: bundled modules, packed arrays, embedded content, and its server."""

import contextlib
import http.client
import json
import re
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from aelab.data.dataset import Data
from aelab.data.sources import load_data
from aelab.errors import AelabError
from aelab.explorer import build_explorer
from aelab.explorer.build import modules
from aelab.explorer.bundle import bundle
from aelab.explorer.content import radii, root
from aelab.explorer.pack import ALPHABET, SMALL, pack, pack_tensor, shortened
from aelab.explorer.precision import kind_for
from aelab.explorer.serve import make_server
from aelab.metrics import Context
from aelab.models import MODELS, Architecture
from aelab.report.build import render
from aelab.report.results import load
from aelab.report.svg import Inliner
from aelab.runs.run import Run
from tests.explorer.pages import page_of, small
from tests.fake_run import FakeRun, make_run


@pytest.fixture(scope="module")
def run(tiny_data: Data, tmp_path_factory: pytest.TempPathFactory) -> FakeRun:
    models = {f"{name}-{d}": small(name, d) for d in (16, 2) for name in ("ae", "vae")}
    return page_of(tmp_path_factory.mktemp("page"), models, tiny_data)


@pytest.fixture(scope="module")
def html(run: FakeRun) -> str:
    assert run.explorer is not None
    return run.explorer.read_text(encoding="utf-8")


def test_the_page_stands_alone_under_a_strict_policy(html: str) -> None:
    assert "http://" not in html
    assert "https://" not in html
    policy = unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', html)[0])
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert policy.count("sha256-") == 3
    assert not re.search(r"<[^>]*\sstyle=", html)
    assert not re.search(r"<[^>]*\son[a-z]+=", html)
    assert "innerHTML" not in html


def test_report_and_explorer_link_to_each_other(run: FakeRun, html: str) -> None:
    assert 'href="report.html"' in html
    results = load(cast(Run, run))
    for there in (True, False):
        report = render(results, [], Inliner(), explorer=there)
        assert ('href="explorer.html"' in report) == there


def test_building_twice_gives_the_same_page(html: str, tiny_data: Data, tmp_path: Path) -> None:
    models = {f"{name}-{d}": small(name, d) for d in (16, 2) for name in ("ae", "vae")}
    again = page_of(tmp_path / Path("page0"), models, tiny_data)
    assert again.explorer is not None
    assert again.explorer.read_text(encoding="utf-8").replace("page0", "") == html.replace(
        "page0", ""
    )


def test_the_default_run_stays_under_ten_megabytes(mnist_folder: Path, tmp_path: Path) -> None:
    data = load_data(str(mnist_folder), train_size=500)
    models = {}
    for name in ("ae", "vae"):
        for d in (16, 2):
            model = MODELS[name](Architecture(latent_dim=d), MODELS[name].Config(), seed=0)
            models[f"{name}-{d}"] = model
    page = page_of(tmp_path, models, data).explorer
    assert page is not None
    assert len(data.test) == 10_000
    assert 5e6 < page.stat().st_size < 10e6


def test_a_model_that_is_more_than_its_networks_is_refused(
    tiny_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small("ae", 2)
    monkeypatch.setattr(model, "decode", lambda z: model.decoder(2 * z))
    with pytest.raises(AelabError, match="only Python"):
        build_explorer(
            cast(Run, make_run(tmp_path, dims=(2,), models=("ae",), epochs=1)),
            {"ae-2": Context(model=model, data=tiny_data, seed=0)},
        )


class Residual(nn.Module):
    """A layer with a skip connection."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.tanh(x)


def test_a_model_that_the_page_cannot_run_is_left_out(tiny_data: Data, tmp_path: Path) -> None:
    models = {f"{name}-{d}": small(name, d) for d in (16, 2) for name in ("ae", "vae")}
    encoder = models["vae-2"].encoder
    assert isinstance(encoder, nn.Sequential)
    encoder.insert(2, Residual())
    page = page_of(tmp_path, models, tiny_data).explorer
    assert page is not None
    html = page.read_text(encoding="utf-8")
    why = "A layer of type Residual cannot be exported."
    assert f"vae-2 is not on this page. {why}" in html
    found = json.loads(re.findall(r'id="content-data">(.*?)</script>', html, re.DOTALL)[0])
    assert [model["key"] for model in found["models"]] == ["ae-16", "vae-16", "ae-2"]
    assert found["missing"] == [{"key": "vae-2", "why": why}]


@pytest.mark.parametrize("kind", ["float16", "float24", "float32"])
def test_the_precision_of_a_packed_tensor(kind: Any) -> None:
    values = np.random.default_rng(0).normal(0, 0.1, (200, 100)).astype(np.float32)
    assert values.size > SMALL
    values[np.abs(values) < 1e-3] = 0  # float16 has fewer digits there
    digits = {"float16": 11, "float24": 16, "float32": 24}[kind]
    assert (np.abs(shortened(values, kind) - values) <= 2.0**-digits * np.abs(values)).all()
    few = values[:10]
    assert (shortened(few, kind) == few).all()
    assert pack_tensor(few, kind)["kind"] == "float32"


@given(st.binary(max_size=60))
def test_packed_text_needs_no_escape(data: bytes) -> None:
    text = pack(np.frombuffer(data, np.uint8), "uint8")["data"]
    assert set(text) <= set(ALPHABET)
    assert not set(ALPHABET) & set("\"'\\<>&/ ")
    assert len(set(ALPHABET)) == 85


def test_weights_are_float24_only_if_float16_is_not_precise_enough() -> None:
    network = nn.Sequential(nn.Linear(300, 100))
    x = torch.rand(50, 300, generator=torch.Generator().manual_seed(0))
    assert kind_for(network, x, lambda y: y) == "float16"
    assert kind_for(network, x, lambda y: 100 * y) == "float24"


def test_the_root_of_a_covariance_even_of_a_singular_one() -> None:
    a = np.random.default_rng(0).normal(size=(4, 3))
    covariance = a @ a.T
    np.testing.assert_allclose(root(covariance) @ root(covariance).T, covariance, atol=1e-12)


def test_the_radius_of_a_code_is_the_distance_to_its_fifth_neighbour() -> None:
    codes = np.arange(20.0)[:, None] * np.ones((1, 1))
    assert radii(codes)[0] == 5
    assert radii(codes)[10] == 3
    assert radii(codes[:3]).shape == (3,)


def test_the_modules_become_one_script() -> None:
    script = bundle(modules(), "main")
    assert not re.search(r"^(?:import|export) ", script, re.MULTILINE)
    assert script.count("const _inference = ") == 1
    assert script.index("const _inference") < script.index("const _model ")


def test_bundling_keeps_order_and_refuses_other_forms() -> None:
    sources = {
        "a": 'import { one, two } from "./b-c.js";\none(two);',
        "b-c": 'import { three } from "./d.js";\nexport function one() {}\n'
        "export const two = three;",
        "d": "export const three = 3;",
    }
    script = bundle(sources, "a")
    assert re.findall(r"const (_\w+) =", script) == ["_d", "_b_c", "_a"]
    assert "const { one, two } = _b_c;" in script
    assert "return { one, two };" in script
    with pytest.raises(AssertionError, match="circular"):
        bundle(sources | {"d": 'import { one } from "./b-c.js";'}, "a")
    for form in ('import x from "./d.js";', "export default 3;", "export { three };"):
        with pytest.raises(AssertionError, match="unsupported"):
            bundle(sources | {"d": form}, "a")


@pytest.fixture
def port(run: FakeRun) -> Iterator[int]:
    assert run.explorer is not None
    with make_server(run.explorer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def answer(port: int, path: str, host: str, method: str = "GET") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={"Host": host})
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def test_the_server_answers_its_own_host_only(port: int, html: str) -> None:
    for host in (f"127.0.0.1:{port}", "localhost:9999", "LOCALHOST", "LocalHost:1"):
        response = answer(port, "/", host)
        assert response.status == 200
        assert response.body == html.encode()  # type: ignore[attr-defined]
    assert answer(port, "/explorer.html", "localhost").status == 200
    assert answer(port, "/", "localhost", "HEAD").body == b""  # type: ignore[attr-defined]
    for host in (
        *("evil.example", f"evil.example:{port}", "localhost.evil.example", "", "[::1]:80"),
        *(f"127.0.0.1:{port}.evil.example", f"localhost:{port}:{port}", "localhost:http"),
        *("localhost:\u00b2", f"evil.example:{port}@localhost"),
    ):
        assert answer(port, "/", host).status == 421, host
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert b" 421 " in connection.makefile("rb").readline()
    for path in ("/report.html", "/../explorer.html", "//etc/passwd", "/explorer.html/", "/?x"):
        assert answer(port, path, "localhost").status == 404
    assert 400 <= answer(port, "/", "localhost", "POST").status < 600


def test_a_client_that_disconnects_or_is_idle_blocks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.modules[make_server.__module__], "IDLE_SECONDS", 0.2)
    page = tmp_path / "large.html"
    page.write_bytes(bytes(50_000_000))  # more than any socket's buffer
    with make_server(page) as server:
        server.daemon_threads = False  # so that server_close waits for every connection
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = ("127.0.0.1", server.server_port)
        for reset in (True, False):
            with socket.create_connection(address, timeout=10) as leaves:
                leaves.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
                assert leaves.recv(15) == b"HTTP/1.0 200 OK"
                if reset:  # closing sends a reset
                    leaves.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with socket.create_connection(address, timeout=10) as reads_nothing:
            reads_nothing.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            with socket.create_connection(address, timeout=10) as idle:
                assert idle.recv(1) == b""  # the server has closed it
            server.shutdown()
            thread.join()
            server.server_close()  # ends, although one client still keeps its connection open
    assert capsys.readouterr().err == ""


PIECES = (b"..", b"%2e%2e", b"%2E.", b"/", b"//", b"\\", b"\0", b"%00", b"%2f", b"etc/passwd",
          b"report.html", b"?", b"#", b"explorer.html", b"%c0%ae", b";", b"\xff",
          b"a" * 70_000)  # fmt: skip


def test_no_path_leads_to_another_file(port: int, html: str) -> None:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join))
    def attempt(path: bytes) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /" + path + b" HTTP/1.0\r\nHost: localhost\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):  # an answer before all was sent
                head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.0 4") or body == html.encode()

    attempt()


def test_a_port_in_use_is_an_error(run: FakeRun, port: int, tmp_path: Path) -> None:
    assert run.explorer is not None
    with pytest.raises(AelabError, match="--port"):
        make_server(run.explorer, port)
    with pytest.raises(AelabError, match="cannot be read"):
        make_server(tmp_path / "nothing.html")
