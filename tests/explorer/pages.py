"""Explorer pages of small models on the bundled digits, and a browser to open them."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch

import aelab
from aelab.data.dataset import Data
from aelab.explorer import build_explorer
from aelab.metrics import Context
from aelab.models import MODELS, Architecture, Autoencoder
from aelab.models.base import Likelihood
from aelab.nets.network import Network
from aelab.runs.run import Run
from tests.fake_run import FakeRun, make_run

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
EPOCHS = 10


VIEWS = ("plane", "sliders", "draw", "interpolate", "kl")
NETWORK = Network(kind="mlp", hidden=(12,), activation="tanh")


def small(name: str, d: int) -> Autoencoder:
    """An untrained model with one hidden layer of 12 units."""
    architecture = Architecture(network=NETWORK, latent_dim=d)
    return MODELS[name](architecture, MODELS[name].Config(), seed=0)


def trained(data: Data) -> dict[str, Autoencoder]:
    """An AE and a VAE of both latent sizes, trained for a few seconds: enough to classify a 7."""
    settings = {"epochs": EPOCHS, "learning_rate": 1e-3}
    experiment = aelab.preset("quick", network={"hidden": (100,)}, ae=settings, vae=settings)
    models = {}
    for key, (name, _) in experiment.by_key.items():
        models[key] = experiment.build(key)
        for _ in aelab.fit(models[key], data, experiment.training(name), seed=0):
            pass
    return models


def untrained() -> dict[str, Autoencoder]:
    """Models with every kind of layer, with weights as large as after training."""
    shapes: dict[str, tuple[Network, Likelihood]] = {
        "ae-16": (Network(kind="conv", hidden=(8, 16), activation="relu"), "bernoulli"),
        "vae-16": (Network(kind="conv", hidden=(6,), activation="gelu"), "continuous-bernoulli"),
        "ae-2": (Network(kind="mlp", hidden=(64, 32), activation="tanh"), "continuous-bernoulli"),
        "vae-2": (Network(kind="conv", hidden=(4, 8), activation="tanh"), "bernoulli"),
    }
    models = {}
    for key, (network, likelihood) in shapes.items():
        name, d = key.split("-")
        architecture = Architecture(network=network, latent_dim=int(d), likelihood=likelihood)
        model = MODELS[name](architecture, MODELS[name].Config(), seed=0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(2)
        models[key] = model
    return models


def page_of(folder: Path, models: Mapping[str, Autoencoder], data: Data, **names: Any) -> FakeRun:
    """A run with an explorer; ``names`` replace facts about its data."""
    run = make_run(folder, epochs=1)
    run.measured["data"] |= {"label_names": list(data.label_names), **names}
    contexts = {key: Context(model=model, data=data, seed=0) for key, model in models.items()}
    build_explorer(cast(Run, run), contexts)
    return run


def explorer(run: FakeRun) -> Path:
    """The path of a run's page."""
    assert run.explorer is not None
    return run.explorer


def settle(page: Any, milliseconds: int = 350) -> None:
    """Wait, by the page's clock, until debounced work is done."""
    page.evaluate(
        """async (milliseconds) => {
          await new Promise((done) => setTimeout(done, milliseconds));
          for (let k = 0; k < 12; k++) await new Promise(requestAnimationFrame);
        }""",
        milliseconds,
    )


class Tab:
    """A page in Chromium with its console messages and requests."""

    def __init__(self, browser: Any, path: Path, size: str = "desktop", **options: Any) -> None:
        width, height = SIZES[size]
        self.page = browser.new_page(
            viewport={"width": width, "height": height}, accept_downloads=True, **options
        )
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.address = path.resolve().as_uri()
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def go(self, state: str = "") -> Any:
        """Open the page in a state; changing only the fragment would not reload it."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#{state}")
        self.page.wait_for_selector("html[data-ready]")
        settle(self.page)
        return self.page

    def check(self) -> None:
        """Fail on any console message and on any request but for the file itself."""
        assert self.problems == []
        assert {url.split("#")[0] for url in self.requests} <= {self.address, "about:blank"}
        self.page.close()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()
