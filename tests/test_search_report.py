"""The page of a search: every figure, honest sentences, one strict page on its own."""

import dataclasses
import re
from typing import Any

import pytest
from tools.best import page

from aelab.report.search import build_search_report
from aelab.report.search.conclusions import important, selection_bias, summary
from aelab.report.search.drawing import KINDS
from aelab.report.style import svg
from aelab.runs.records import Estimate, MetricInfo
from aelab.runs.search import SearchFolder
from aelab.runs.search_results import (
    Contender,
    Dimension,
    Luck,
    Proof,
    SearchResults,
    Trial,
    load,
)
from tests.processes import aelab_here
from tests.test_report import CHROMIUM

NATS = MetricInfo("likelihood", "−ELBO", "nats", "lower", "", "")


def trial(number: int, value: float | None, rate: float, state: str = "complete") -> Trial:
    curve = tuple((epoch, (value or 150) + 10 / epoch) for epoch in (1, 2, 3))
    return Trial(
        number, state, value,
        {"learning_rate": rate, "schedule": "cosine" if number % 2 else "constant"},
        curve[:1] if state == "pruned" else () if state == "fail" else curve, 12.5,
        "The kl is not finite." if state == "fail" else None,
    )  # fmt: skip


def results(**changes: Any) -> SearchResults:
    trials = (
        trial(0, 120.3, 1e-4), trial(1, 104.0, 1e-3), trial(2, None, 9e-3, "fail"),
        trial(3, None, 3e-4, "pruned"), trial(4, 101.5, 2e-3), trial(5, 110.0, 5e-3),
    )  # fmt: skip
    made = SearchResults(
        name="search", model="vae", key="vae-16", model_title="VAE", latent_dim=16, trial_epochs=3,
        goal=NATS,
        dimensions=(
            Dimension("learning_rate", "0.0001 to 0.01, log", low=1e-4, high=1e-2, log=True),
            Dimension("schedule", "constant, cosine", options=("constant", "cosine")),
        ),
        trials=trials, best=(4, 1, 5, 0), importances={"learning_rate": 0.93, "schedule": 0.07},
        proof=None, search={}, experiment={}, manifest={}, data={"name": "MNIST"},
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def proof(best: Luck, start: Luck | None = None) -> Proof:
    def contender(name: str, title: str, number: int | None, mean: float) -> Contender:
        values = (mean - 0.2, mean, mean + 0.2)
        return Contender(
            name, title, number, 50, {}, values, Estimate(mean, mean - 0.3, mean + 0.3), 90.0
        )

    rows = (
        contender("trial-0004", "trial 4", 4, 98.2), contender("trial-0001", "trial 1", 1, 98.04),
        contender("recipe", "original recipe", None, 105.1),
    )  # fmt: skip
    return Proof((1, 2, 3), rows, "trial-0001", (), best, start, {}, {}, {})


@pytest.mark.parametrize("name", KINDS)
def test_every_figure_draws_what_there_is(name: str) -> None:
    made = results(proof=proof(Luck(4, 3, 101.5, Estimate(102.0, 101, 103), 0.5)))
    drawing = KINDS[name].draw(made)
    assert drawing is not None
    assert len(drawing.alt) > 20
    assert svg(drawing.figure).startswith(b"<?xml")


@pytest.mark.parametrize("name", KINDS)
def test_a_search_without_an_end_leaves_no_figure_of_values(name: str) -> None:
    failed = results(trials=(trial(0, None, 1e-2, "fail"),), best=(), importances=None)
    assert KINDS[name].draw(failed) is None


def test_selection_bias_has_its_sign() -> None:
    unlucky = Luck(4, 3, 101.5, Estimate(102.25, 101, 103), 0.75)
    start = Luck(0, 3, 120.0, Estimate(120.5, 120, 121), 0.5)
    text = selection_bias(proof(unlucky, start), NATS)
    assert "a selection bias of 0.750 nats" in text
    assert "better than the start by 18.5 nats in the search and by 18.2 nats with" in text
    lucky = Luck(4, 3, 101.5, Estimate(101.0, 100, 102), -0.5)
    assert "no selection bias, but a gain of 0.500 nats" in selection_bias(proof(lucky), NATS)
    broken = dataclasses.replace(proof(lucky), best=None)
    assert "cannot be trained with every fresh seed" in selection_bias(broken, NATS)


def test_the_summary_says_what_was_searched_found_and_proved() -> None:
    made = results(proof=proof(Luck(4, 3, 101.5, Estimate(102.0, 101, 103), 0.5)))
    text = " ".join(finding.lead for finding in summary(made))
    assert "6 trials of 3 epochs searched the settings of the VAE at d = 16 on MNIST" in text
    assert "1 pruned and 1 failed" in text
    assert "trial 4, reaches 101.5 nats; the settings of the start reach 120.3 nats" in text
    assert "3 fresh seeds, trial 1 is the best on validation: 98.04 nats" in text
    assert "against 105.1 nats with the original recipe" in text
    assert "learning rate (93%). Schedule explains little" in text
    assert important(results(importances=None)) == ""


def test_a_trial_that_was_left_has_its_last_value_only() -> None:
    assert trial(3, None, 1e-3, "pruned").last == 160
    assert trial(2, None, 1e-3, "fail").last is None


@pytest.fixture(scope="module")
def html(proved: SearchFolder) -> str:
    return (proved.path / "report.html").read_text(encoding="utf-8")


def test_the_page_stands_alone(html: str, proved: SearchFolder) -> None:
    assert "http://" not in html
    assert "https://" not in html
    assert "unsafe" not in html.split("<style>")[0]
    assert not re.search(r"<[^>]*\sstyle=", html)
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', html)) <= set(ids)
    drawn = {path.stem for path in (proved.path / "figures").glob("*.svg")}
    assert drawn == KINDS.keys() - {"importances"}  # five trials tell no importances
    assert len(re.findall(r'<svg [^>]*aria-label="[^"]{20,}"', html)) == len(drawn)


def test_the_page_holds_the_numbers_of_the_proof(html: str, proved: SearchFolder) -> None:
    found = load(proved)
    assert found.proof is not None
    chosen = found.proof.contender(found.proof.chosen)
    assert f"{chosen.title} is the best on validation" in html
    assert "original recipe" in html
    assert "PyTorch defaults" in html
    mean = found.proof.test[chosen.name]["negative_elbo"].value
    assert f"{mean:.1f}" in html


def test_the_published_page_holds_what_was_found_and_proved(proved: SearchFolder) -> None:
    found = load(proved)
    assert found.proof
    written = page([found])
    assert f"| **{found.proof.contender(found.proof.chosen).title}** |" in written
    for text in (*(finding.lead for finding in summary(found)),
                 *(m.label for m in found.proof.metrics.values()),
                 *(d.text for d in found.dimensions)):  # fmt: skip
        assert text in written


def test_the_published_page_keeps_the_searches_that_it_was_not_given(proved: SearchFolder) -> None:
    found = load(proved)
    other = dataclasses.replace(found, latent_dim=found.latent_dim + 1)
    both = page([found, other])
    assert page([], both) == both
    assert page([found], both) == both
    assert page([found], page([other])).count("\n## ") == 2


def test_building_again_gives_the_same_page(
    html: str, proved: SearchFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    done = aelab_here(capsys, "report", proved.path)
    assert done.returncode == 0, done.stderr
    assert (proved.path / "report.html").read_text(encoding="utf-8") == html
    build_search_report(proved)
    assert (proved.path / "report.html").read_text(encoding="utf-8") == html


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium")
def test_the_page_fits_a_phone_and_both_themes(proved: SearchFolder, html: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        tab = browser.new_page(viewport={"width": 390, "height": 844})
        problems: list[str] = []
        tab.on("console", lambda message: problems.append(message.text))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.goto((proved.path / "report.html").as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        before = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        tab.locator(".theme").click()
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != before
        assert problems == []
        browser.close()
