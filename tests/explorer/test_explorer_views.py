"""The explorer's views in a browser: PyTorch's numbers, pointer, keyboard and touch."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aelab.data.dataset import Data, Split
from aelab.metrics import obtain_classifier
from aelab.models import Autoencoder, Variational
from tests.explorer.pages import CHROMIUM, SIZES, Tab, explorer, page_of, settle, small, untrained
from tests.fake_run import FakeRun

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium")
SEVEN = [(0.25, 0.22), (0.76, 0.2), (0.7, 0.34), (0.55, 0.58), (0.45, 0.85)]


@pytest.mark.parametrize("which", ["dense", "others"])
def test_the_page_computes_what_pytorch_does(
    which: str, browser: Any, run: FakeRun, models: dict[str, Autoencoder], data: Data,
    tmp_path: Path,
) -> None:  # fmt: skip
    if which == "others":
        models = untrained()
        run = page_of(tmp_path, models, data)
    tab = Tab(browser, explorer(run))
    page = tab.go()
    x = torch.from_numpy(data.test.images[:100]).float() / 255
    for key, model in models.items():
        with torch.inference_mode():
            z, logits = model.encode(x), model.decode(model.encode(x))
            wanted = {"codes": z, "pixels": model.pixels(logits.double())}
            loss = model.reconstruction(logits, x)
            if isinstance(model, Variational):
                variance = model.posterior(x).variance
                assert variance is not None
                wanted["deviations"] = variance.sqrt()
        found = page.evaluate(
            """([key, codes]) => {
              const model = aelab.models.find((one) => one.key === key);
              const images = codes.map((_, i) => aelab.data.image(i));
              const seen = images.map((x) => model.encode(x));
              return {
                codes: seen.map((one) => [...one.mean]),
                deviations: seen.map((one) => [...(one.deviation ?? [])]),
                pixels: codes.map((z) => [...model.decode(z)]),
                loss: codes.map((z, i) => model.reconstructionLoss(images[i], z)),
              };
            }""",
            [key, z.tolist()],
        )
        scale = {"codes": float(z.std())}
        for name, values in wanted.items():
            away = np.abs(np.array(found[name]) - values.numpy()).max()
            assert away < 1e-3 * max(1, scale.get(name, 1)), (key, name)
        np.testing.assert_allclose(found["loss"], loss.numpy(), rtol=1e-3, atol=0.02)
    tab.check()


def test_the_page_classifies_as_the_classifier_does(browser: Any, run: FakeRun, data: Data) -> None:
    tab = Tab(browser, explorer(run))
    found = tab.go().evaluate(
        "() => [...Array(200).keys()].map((i) => aelab.classifier.classify(aelab.data.image(i)))"
    )
    classifier = obtain_classifier(data, lambda _: None)
    _, probabilities = classifier(torch.from_numpy(data.test.images[:200]).float() / 255)
    assert [one["label"] for one in found] == probabilities.argmax(-1).tolist()
    np.testing.assert_allclose(
        [one["probability"] for one in found], probabilities.amax(-1).numpy(), atol=1e-3
    )
    tab.check()


def test_the_plane_by_keyboard(browser: Any, run: FakeRun) -> None:
    tab = Tab(browser, explorer(run))
    page = tab.go("view=plane")
    position = page.locator(".readout .position").first
    page.locator(".planes canvas").first.focus()
    seen = {position.inner_text()}
    for key in ("ArrowRight", "Shift+ArrowUp", "+", "ArrowLeft", "-", "ArrowDown"):
        page.keyboard.press(key)
        settle(page)
        seen.add(position.inner_text())
    assert len(seen) == 5  # zooming keeps the position
    page.keyboard.press("Enter")
    settle(page, 900)
    assert "pin=1" in page.url
    assert page.locator("#status").inner_text().startswith("AE at")
    page.keyboard.press("Escape")
    page.keyboard.press("0")
    settle(page, 500)
    assert "pin=1" not in page.url
    assert "zoom=" not in page.url
    page.locator(".filter button").nth(4).press("Enter")
    page.get_by_role("button", name="Holes").press("Space")
    settle(page, 500)
    assert "only=3" in page.url
    assert "holes=0" in page.url
    tab.check()


def test_pointing_decodes_in_both_planes(
    browser: Any, run: FakeRun, models: dict[str, Autoencoder]
) -> None:
    tab = Tab(browser, explorer(run))
    page = tab.go("view=plane")
    box = page.locator(".planes canvas").last.bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
    settle(page)
    cursors = page.evaluate("() => aelab.views.plane.planes.map((p) => [...p.cursor])")
    for key, place, tile in zip(
        ("ae-2", "vae-2"), cursors, page.locator(".readout").all(), strict=True
    ):
        shown = tile.locator("canvas").first.evaluate(
            """(c) => [...c.getContext("2d").getImageData(0, 0, 28, 28).data]
              .filter((_, i) => i % 4 === 3)"""
        )
        with torch.inference_mode():
            z = torch.tensor([place], dtype=torch.float32)
            wanted = models[key].pixels(models[key].decode(z))[0].numpy()
        assert np.abs(np.array(shown) / 255 - wanted).max() < 0.01, key
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    settle(page)
    assert page.evaluate("() => aelab.views.plane.planes.map((p) => [...p.cursor])") == cursors
    tab.check()


def test_fingers_pan_and_zoom(browser: Any, run: FakeRun) -> None:
    tab = Tab(browser, explorer(run), "phone", has_touch=True)
    page = tab.go("view=plane")
    before, after = page.evaluate(
        """async () => {
          const [plane] = aelab.views.plane.planes, box = plane.canvas.getBoundingClientRect();
          plane.canvas.setPointerCapture = () => {};
          const send = (kind, id, x, y) => plane.canvas.dispatchEvent(new PointerEvent(kind, {
            pointerId: id, pointerType: "touch", clientX: box.left + x, clientY: box.top + y }));
          const before = plane.relativeView();
          send("pointerdown", 1, 100, 100); send("pointerdown", 2, 200, 100);
          send("pointermove", 2, 300, 100); send("pointermove", 1, 60, 140);
          send("pointerup", 1, 60, 140); send("pointerup", 2, 300, 100);
          return [before, plane.relativeView()];
        }"""
    )
    assert before == pytest.approx([0, 0, 1])
    assert after[2] == pytest.approx(np.hypot(240, 40) / 100)
    tab.check()


def test_sliders(browser: Any, run: FakeRun) -> None:
    tab = Tab(browser, explorer(run))
    page = tab.go("view=sliders&model=vae-16")
    assert page.locator(".slider").count() == 16
    use = [float(t.split()[0]) for t in page.locator(".slider .use").all_inner_texts()]
    assert use == sorted(use, reverse=True)
    first = page.locator(".slider input").first
    before = first.input_value()
    first.focus()
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    settle(page)
    assert float(first.input_value()) > float(before)
    assert page.locator(".decoded p").inner_text().startswith("classified as")
    seen = {page.url}
    for name in ("prior", "gaussian", "mixture"):
        page.get_by_role("button", name=f"Sample a code from the {name}").press("Enter")
        settle(page)
        seen.add(page.url)
    assert len(seen) == 4
    page.locator(".neighbour-button").first.press(
        "Enter"
    )  # the code of a real digit is its own nearest
    settle(page)
    assert page.locator(".neighbour-button").first.inner_text().endswith("0.0")
    page.get_by_role("button", name="AE d = 2", exact=True).press("Enter")
    assert page.locator(".slider").count() == 2
    assert not page.get_by_role("button", name="Sample a code from the prior").is_visible()
    tab.check()


def test_samples_have_the_moments_of_the_codes(
    browser: Any, run: FakeRun, models: dict[str, Autoencoder], data: Data
) -> None:
    tab = Tab(browser, explorer(run))
    drawn = tab.go("view=sliders&model=ae-2").evaluate(
        """() => {
          const model = aelab.models.find((one) => one.key === "ae-2");
          const codes = (name) => Array.from({ length: 4000 },
            () => [...aelab.sampleFrom(model.samplers[name])]);
          return [codes("gaussian"), codes("mixture")];
        }"""
    )
    with torch.inference_mode():
        codes = models["ae-2"].encode(torch.from_numpy(data.train.images).float() / 255).numpy()
    for sample in np.array(drawn):
        np.testing.assert_allclose(sample.mean(0), codes.mean(0), atol=0.1 * codes.std())
        np.testing.assert_allclose(
            np.cov(sample.T), np.cov(codes.T), atol=0.1 * np.trace(np.cov(codes.T))
        )
    tab.check()


@pytest.mark.parametrize("how", ["mouse", "keys"])
@pytest.mark.parametrize("size", SIZES)
def test_a_drawn_7_is_a_7(browser: Any, run: FakeRun, size: str, how: str) -> None:
    tab = Tab(browser, explorer(run), size)
    page = tab.go("view=draw")
    canvas = page.locator(".drawing")
    canvas.scroll_into_view_if_needed()
    if how == "mouse":
        box = canvas.bounding_box()
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=8)
        page.mouse.up()
    else:
        canvas.focus()
        page.keyboard.press("Delete")
        for keys in ("ArrowLeft" * 4, "Space", "ArrowRight" * 8):
            for key in keys.replace("Arrow", " Arrow").replace("Space", " Space").split():
                page.keyboard.press(key)
        for _ in range(3):
            for key in ("ArrowDown", "ArrowDown", "ArrowLeft", "ArrowDown"):
                page.keyboard.press(key)
        page.keyboard.press("Space")
    settle(page, 600)
    cards = page.locator(".reconstruction").all()
    facts = [card.inner_text().split("classified as")[1].split()[0] for card in cards[:2]]
    assert facts == ["7", "7"]
    assert "KL" in cards[1].inner_text()
    assert "KL" not in cards[0].inner_text()
    again = Tab(browser, explorer(run), size)
    shared = again.go(page.url.split("#")[1])
    assert shared.locator(".reconstruction").first.inner_text() == cards[0].inner_text()
    page.get_by_role("button", name="Clear").press("Enter")
    settle(page)
    assert "classified as" not in page.locator(".reconstructions").inner_text()
    tab.check()
    again.check()


def test_data_that_are_dark_on_bright_are_drawn_so(
    browser: Any, tiny_data: Data, tmp_path: Path
) -> None:
    train, validation, test = (
        Split(255 - split.images[:50], split.labels[:50])
        for split in (tiny_data.train, tiny_data.validation, tiny_data.test)
    )
    data = dataclasses.replace(tiny_data, train=train, validation=validation, test=test)
    models = {f"{name}-{d}": small(name, d) for d in (16, 2) for name in ("ae", "vae")}
    run = page_of(tmp_path, models, data)
    tab = Tab(browser, explorer(run))
    page = tab.go("view=draw")
    alpha = """(c) => {
      const copy = new OffscreenCanvas(28, 28).getContext("2d");
      copy.drawImage(c, 0, 0);
      return [...copy.getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 3);
    }"""
    seen = page.locator(".model-input canvas")
    digit = np.array(seen.evaluate(alpha))
    copied = page.evaluate("() => [...aelab.drawing.pixels()]")
    np.testing.assert_allclose(digit, 255 * (1 - np.array(copied)), atol=0.6)
    page.get_by_role("button", name="Clear").press("Enter")
    settle(page)
    assert not np.any(seen.evaluate(alpha))
    assert "classified as" not in page.locator(".reconstructions").inner_text()
    assert page.evaluate("() => Math.min(...aelab.drawing.pixels())") == 1
    box = page.locator(".drawing").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.6 * box["height"], steps=8)
    page.mouse.up()
    settle(page)
    drawn = np.array(page.evaluate("() => [...aelab.drawing.pixels()]")).reshape(28, 28)
    assert drawn[0, 0] == 1
    assert drawn.min() == 0
    rows, columns = np.nonzero(drawn < 0.5)
    assert (rows.mean(), columns.mean()) == pytest.approx((13.5, 13.5), abs=0.5)
    np.testing.assert_allclose(seen.evaluate(alpha), 255 * (1 - drawn.ravel()), atol=0.6)
    assert "classified as" in page.locator(".reconstructions").inner_text()
    tab.check()


def test_interpolation(
    browser: Any, run: FakeRun, models: dict[str, Autoencoder], data: Data
) -> None:
    tab = Tab(browser, explorer(run))
    page = tab.go("view=interpolate")
    rows = [row for row in page.locator(".path").all() if row.is_visible()]
    assert len(rows) == 4
    keys = page.evaluate(
        "() => aelab.models.filter((one) => one.d === aelab.models[0].d).map((one) => one.key)"
    )
    ends = [int(np.flatnonzero(data.test.labels == digit)[0]) for digit in (4, 9)]
    x = torch.from_numpy(data.test.images[ends]).float() / 255
    classifier = obtain_classifier(data, lambda _: None)
    for row, key in zip(rows, np.repeat(keys, 2), strict=True):  # linear and spherical
        labels = row.locator(".step .label").all_inner_texts()
        assert len(labels) == 11
        model = models[str(key)]
        with torch.inference_mode():
            _, probabilities = classifier(model.pixels(model.decode(model.encode(x))))
        assert [int(labels[0]), int(labels[-1])] == probabilities.argmax(-1).tolist()
        assert "arc / chord" in row.inner_text().replace("\xa0", " ")
    page.get_by_label("To: class").select_option(label="1")
    page.get_by_role("button", name="From: next of the class").press("Enter")
    page.get_by_role("button", name="d = 2", exact=True).press("Enter")
    settle(page, 600)
    rows = [row for row in page.locator(".path").all() if row.is_visible()]
    assert len(rows) == 4
    assert all("d = 2" in row.inner_text().replace("\xa0", " ") for row in rows)
    page.get_by_role("button", name="Swap").press("Enter")
    settle(page, 600)
    assert page.get_by_label("From: class").input_value() == "1"
    page.get_by_label("To: class").select_option(label="my drawing")
    settle(page, 600)
    assert "to=drawing" in page.url
    tab.check()


def test_kl(browser: Any, run: FakeRun, models: dict[str, Autoencoder], data: Data) -> None:
    tab = Tab(browser, explorer(run))
    page = tab.go("view=kl&model=vae-16&i=7")
    rows = page.locator(".kl-row")
    vae = models["vae-16"]
    assert isinstance(vae, Variational)
    with torch.inference_mode():
        found = vae.posterior(torch.from_numpy(data.test.images[7:8]).float() / 255)
        assert found.variance is not None
        prior = torch.distributions.Normal(0, 1)
        posterior = torch.distributions.Normal(found.mean, found.variance.sqrt())
        kl = torch.distributions.kl_divergence(posterior, prior)[0].sort(descending=True).values
    shown = [float(text.split()[0]) for text in rows.locator(".value").all_inner_texts()]
    np.testing.assert_allclose(shown, kl.numpy(), atol=0.006)
    rows.first.press("Space")
    settle(page, 500)
    assert rows.first.get_attribute("aria-checked") == "false"
    assert "off=" in page.url
    assert f"Saves {shown[0]:.1f} nats" in page.locator(".kl-columns").inner_text()
    page.locator("#kept").focus()
    page.keyboard.press("Home")
    settle(page)
    assert page.locator(".kl-row[aria-checked=true]").count() == 0
    tab.check()
