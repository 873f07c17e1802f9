"""The explorer's page in a browser: accessibility, tour, links, images, names; no requests."""

import io
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from aelab.data.dataset import Data
from aelab.explorer import build_explorer
from aelab.metrics import Context
from aelab.models import Autoencoder
from aelab.runs.run import Run
from tests.explorer.pages import CHROMIUM, SIZES, VIEWS, Tab, explorer, page_of, settle
from tests.fake_run import FakeRun, make_run

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing(browser: Any, run: FakeRun, size: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe").Axe()
    # As a script of the page's own would be refused by its policy, axe comes by the debugger.
    tab = Tab(browser, explorer(run), size, color_scheme=scheme, bypass_csp=True)
    for view in VIEWS:
        page = tab.go(f"view={view}")
        if view == "plane":
            page.click("#tour-start")
        found = axe.run(page).response["violations"]
        assert found == [], [(one["id"], one["nodes"][0]["html"]) for one in found]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
    tab.check()


def test_every_control_can_be_reached_by_keyboard(browser: Any, run: FakeRun) -> None:
    tab = Tab(browser, explorer(run))
    for view in VIEWS:
        page = tab.go(f"view={view}")
        count = page.evaluate(
            """() => {
              const all = "a[href], button:enabled, input, select, [tabindex='0']";
              const seen = [...document.querySelectorAll(all)].filter((o) => o.checkVisibility());
              seen.forEach((one, k) => { one.dataset.k = k; });
              return seen.length;
            }"""
        )
        reached = set()
        for _ in range(count + 2):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.dataset.k"))
        assert {str(k) for k in range(count)} <= reached, view
    tab.check()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_the_tour_runs_to_its_end(browser: Any, run: FakeRun, size: str, motion: str) -> None:
    tab = Tab(browser, explorer(run), size, reduced_motion=motion)
    page = tab.go()
    page.locator("#tour-start").press("Enter")
    views = []
    for step in range(1, 7):
        settle(page)
        tour = page.locator(".tour")
        assert f"{step} of 6" in tour.inner_text()
        assert len(tour.locator(".tour-text").inner_text()) > 100
        assert page.evaluate("document.activeElement.tagName") == "H2"
        views.append(page.locator("[data-view]:not([hidden])").get_attribute("data-view"))
        tour.get_by_role("button").last.press("Enter")
    assert views == ["plane", "plane", "draw", "kl", "kl", "interpolate"]
    assert page.locator(".tour").is_hidden()
    assert page.evaluate("document.activeElement.id") == "tour-start"
    page.locator("#tour-start").press("Enter")
    page.keyboard.press("Escape")
    assert page.locator(".tour").is_hidden()
    tab.check()


@pytest.mark.parametrize("view", VIEWS)
def test_a_link_shows_the_same_again(browser: Any, run: FakeRun, view: str) -> None:
    tab = Tab(browser, explorer(run))
    page = tab.go(f"view={view}")
    settle(page, 600)
    section = page.locator("[data-view]:not([hidden])")
    before, state = section.inner_text(), page.url.split("#")[1]
    again = Tab(browser, explorer(run))
    shown = again.go(state)
    settle(shown, 600)
    assert shown.locator("[data-view]:not([hidden])").inner_text() == before
    assert shown.url.split("#")[1] == state
    tab.check()
    again.check()


@pytest.mark.parametrize(
    "state",
    ["view=nothing", "view=plane&at=x:1,2&zoom=a,b,c&only=99", "view=sliders&model=no&z=1,Infinity",
     "view=draw&strokes=zz!&copy=999999", "view=interpolate&from=-1&to=1e9&d=7",
     "view=kl&off=99,x"],
)  # fmt: skip
def test_a_broken_link_shows_the_view_as_it_begins(browser: Any, run: FakeRun, state: str) -> None:
    tab = Tab(browser, explorer(run))
    page = tab.go(state)
    assert page.locator("[data-view]:not([hidden])").count() == 1
    tab.check()


def test_the_saved_image_shows_the_page(browser: Any, run: FakeRun) -> None:
    tab = Tab(browser, explorer(run))
    page = tab.go("view=interpolate")
    with page.expect_download() as download:
        page.locator("#save").press("Enter")
    assert download.value.suggested_filename == "a-run-interpolate.png"
    picture = np.asarray(
        Image.open(io.BytesIO(Path(download.value.path()).read_bytes())).convert("L")
    )
    screen = np.asarray(Image.open(io.BytesIO(page.locator("#content").screenshot())).convert("L"))
    # The same part of the page, at twice the density and with a margin of 24 pixels.
    part = picture[48 : 48 + 2 * screen.shape[0] : 2, 48 : 48 + 2 * screen.shape[1] : 2]
    height = min(len(part), len(screen), 600)
    a, b = part[120:height].astype(float), screen[120:height].astype(float)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.8
    tab.check()


def test_the_theme_can_be_changed(browser: Any, run: FakeRun) -> None:
    tab = Tab(browser, explorer(run), color_scheme="light")
    page = tab.go("view=kl")
    ink = "() => getComputedStyle(document.body).color"
    before = page.evaluate(ink)
    page.locator(".theme").press("Enter")
    assert page.evaluate(ink) != before
    tab.check()


def test_odd_names_are_text(browser: Any, data: Data, models: Any, tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    names = [evil, "пять", "<b>2", *"3456789"]
    run = page_of(tmp_path / "<i>Läufe & 数字", models, data, label_names=names, name=evil)
    tab = Tab(browser, explorer(run))
    for view in VIEWS:
        page = tab.go(f"view={view}")
        assert page.locator("i, b, img").count() == 0
    assert evil in page.locator(".eyebrow").inner_text()
    assert "<i>Läufe & 数字" in page.title()
    options = page.locator("select").last.inner_text()
    assert evil in options
    assert "пять" in options
    tab.check()


@pytest.mark.parametrize("keys", [("ae-16",), ("vae-16",), ("ae-2",), ("vae-2", "ae-16")])
def test_a_run_with_fewer_models_has_fewer_views(
    browser: Any, data: Data, models: dict[str, Autoencoder], keys: tuple[str, ...], tmp_path: Path
) -> None:
    fake = make_run(tmp_path, epochs=1)
    fake.saved = {key: fake.saved[key] for key in keys}
    build_explorer(cast(Run, fake), {k: Context(model=models[k], data=data, seed=0) for k in keys})
    tab = Tab(browser, explorer(fake))
    page = tab.go()
    links = page.locator(".contents ol a").all_inner_texts()
    assert ("Plane" in links) == any(key.endswith("-2") for key in keys)
    assert ("KL" in links) == any(key.startswith("vae") for key in keys)
    for link in page.locator(".contents ol a").all():
        link.press("Enter")
        settle(page)
    page.locator("#tour-start").press("Enter")
    while page.locator(".tour").is_visible():
        page.locator(".tour").get_by_role("button").last.press("Enter")
        settle(page)
    tab.check()
