"""Models, an explorer page and a browser that the explorer's tests share."""

from collections.abc import Iterator
from typing import Any

import pytest

import aelab
from aelab.data.dataset import Data
from aelab.models import Autoencoder
from tests.explorer.pages import chromium, page_of, trained
from tests.fake_run import FakeRun


@pytest.fixture(scope="module")  # one instance of Playwright at a time
def browser() -> Iterator[Any]:
    pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def data() -> Data:
    return aelab.load_data("bundled")


@pytest.fixture(scope="session")
def models(data: Data) -> dict[str, Autoencoder]:
    return trained(data)


@pytest.fixture(scope="session")
def run(data: Data, models: dict[str, Autoencoder], tmp_path_factory: Any) -> FakeRun:
    return page_of(tmp_path_factory.mktemp("explorer") / "a run", models, data)
