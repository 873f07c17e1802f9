"""The report: figures for every shape of run, honest sentences, one strict page on its own."""

import copy
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from aelab.errors import RunError
from aelab.report import FIGURES, Drawing, FigureKind, View, build_report
from aelab.report.comparison import sampler_table
from aelab.report.conclusions import findings, summary
from aelab.report.embed import draw_all, nothing
from aelab.report.figures.latent import apart
from aelab.report.numbers import decimals, duration, number
from aelab.report.results import Results, load
from aelab.report.style import class_colors, png, svg
from aelab.runs.run import Run
from tests.fake_run import FakeRun, make_run

CHROMIUM = Path("/usr/bin/chromium")
HERE = Path("unused")
# The pair of two sizes is drawn by the pages below.
SHAPES: dict[str, dict[str, Any]] = {
    "one epoch": {"epochs": 1, "dims": (16,)},
    "collapsed": {"collapsed": True, "dims": (16,)},
    "one model": {"models": ("vae",), "dims": (2,)},
    "one model without a prior": {"models": ("ae",), "dims": (5,)},
    "three sizes": {"dims": (1, 2, 3)},
    "letters": {"classes": 26, "dims": (2,)},
}


def results(**shape: Any) -> Results:
    return load(cast(Run, make_run(HERE, **shape)))


def drawings(found: Results, kind: FigureKind[View]) -> Iterator[Drawing]:
    for latent_dim in found.latent_dims:
        if drawing := kind.draw(View(found, latent_dim)):
            yield drawing


@pytest.fixture(scope="module", params=SHAPES)
def shaped(request: pytest.FixtureRequest) -> Results:
    return results(**SHAPES[request.param])


@pytest.mark.parametrize("kind", FIGURES.values(), ids=FIGURES)
def test_every_figure_draws_every_shape_of_run(kind: FigureKind[View], shaped: Results) -> None:
    for drawing in drawings(shaped, kind):
        assert isinstance(drawing.figure, Figure)
        assert len(drawing.alt) > 20
        assert "nan" not in drawing.alt
        drawing.figure.draw_without_rendering()  # warnings are errors
    assert kind.title
    assert kind.reading.endswith(".")


@pytest.mark.parametrize("kind", FIGURES.values(), ids=FIGURES)
def test_missing_arrays_and_metrics_leave_a_figure_out(kind: FigureKind[View]) -> None:
    run = make_run(HERE, epochs=0)
    run.measured |= {"measures": {}}
    run.saved = {key: {"labels": arrays["labels"]} for key, arrays in run.saved.items()}
    assert list(drawings(load(cast(Run, run)), kind)) == []


@pytest.mark.parametrize("name", ["loss", "plane", "samples"])
def test_the_same_arrays_give_the_same_bytes(name: str) -> None:
    """Also under a style of the user's."""

    def files() -> tuple[bytes, bytes]:
        figure = next(drawings(results(dims=(2,)), FIGURES[name])).figure
        return svg(figure), png(figure)

    first = files()
    with mpl.rc_context({"text.usetex": True, "axes.facecolor": "red", "image.origin": "lower"}):
        assert files() == first


@pytest.mark.parametrize(("backend", "kept"), [("gone", "None"), ("svg", "svg")])
def test_the_backend_is_for_others(backend: str, kept: str) -> None:
    """A notebook passes the name of its own on, which need not be installed here."""
    probe = (
        "import os, aelab.report, matplotlib\n"
        "print(os.environ['MPLBACKEND'], matplotlib.get_backend(auto_select=False))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], env=os.environ | {"MPLBACKEND": backend},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == (f"{backend} {kept}", "")


def test_explanations_appear_only_where_it_happened() -> None:
    happened = next(drawings(results(), FIGURES["loss"])).notes
    assert "Why the KL rises while the loss falls" in happened
    collapsed = next(drawings(results(collapsed=True), FIGURES["loss"])).notes
    assert collapsed == {}  # which the section Health says
    assert any("blurrier" in n for n in next(drawings(results(), FIGURES["reconstructions"])).notes)
    run = make_run(HERE)
    for key in ("ae-16", "vae-16"):
        run.saved[key]["reconstructions"] = run.saved[key]["originals"]
    equal = next(drawings(load(cast(Run, run)), FIGURES["reconstructions"]))
    assert equal.notes == {}


def test_text_outside_the_frame_is_drawn() -> None:
    found = results(models=("ae",), dims=(2,))
    drawn = svg(next(drawings(found, FIGURES["extremes"])).figure).decode()
    worst = found.models[0].array("worst_error")
    assert all(f">{number(float(error), 0)}<" in drawn for error in worst)


def test_labels_that_coincide_move_apart() -> None:
    moved = apart(np.zeros((2, 2)), 1.0)
    assert np.hypot(*(moved[0] - moved[1])) == pytest.approx(1.0)
    far = np.array([[0.0, 0.0], [5.0, 0.0]])
    assert (apart(far, 1.0) == far).all()


@pytest.mark.parametrize("count", [2, 10, 26, 47])
def test_every_class_has_its_own_color(count: int) -> None:
    assert len(set(class_colors(count))) == count


def test_numbers() -> None:
    assert number(-0.00004, 3) == "0.000"
    assert number(-12.5, 1) == "−12.5"
    assert number(0.25, 2, sign=True) == "+0.25"
    assert [decimals([v]) for v in (0.01234, 103.21, 14.0, 0.0)] == [5, 1, 0, 0]
    assert [duration(s) for s in (2.5, 75, 7300)] == ["2.5 s", "1 min 15 s", "2 h 1 min"]


def leads(found: Results) -> str:
    return " ".join(f.lead for d in found.latent_dims for f in findings(found, d))


def test_opposite_numbers_give_opposite_conclusions() -> None:
    assert "the AE reconstructs better" in leads(results())
    assert "the VAE reconstructs better" not in leads(results())
    assert "the VAE reconstructs better" in leads(results(vae_better=True))
    assert "the AE reconstructs better" not in leads(results(vae_better=True))


def test_an_interval_over_zero_or_none_decides_nothing() -> None:
    assert "no representation metric shows a significant difference" in leads(results())
    run = make_run(HERE)
    for row in run.measured["differences"].values():
        for gap in row.values():
            gap["low"] = gap["high"] = None
    found = load(cast(Run, run))
    assert "At d = 16 no reconstruction metric shows a significant difference." in leads(found)
    first = summary(found, 16)[1]
    assert first.lead == "At d = 16 no reconstruction metric shows a significant difference."
    assert first.evidence == ()


def test_the_summary_quotes_only_what_bears_its_verdict_out() -> None:
    run = make_run(HERE)
    gaps = run.measured["differences"]["16"]
    gaps["mse"] = {"value": -0.0001, "low": -0.0003, "high": 0.0001}
    found = summary(load(cast(Run, run)), 16)[1]
    assert found.lead == "At d = 16 the AE reconstructs better by 1 of 2 metrics:"
    assert [e.text.partition(":")[0] for e in found.evidence] == ["SSIM"]
    gaps["mse"] = {"value": -0.0004, "low": -0.0006, "high": -0.0002}  # the VAE's
    found = summary(load(cast(Run, run)), 16)[1]
    assert "disagree" in found.lead
    assert {e.text.partition(":")[0] for e in found.evidence} == {"SSIM", "MSE per pixel"}


def test_a_baseline_is_better_or_worse_only_by_intervals() -> None:
    def told(low: float = 0.0, high: float = 0.0) -> str:
        run = make_run(HERE, dims=(16,), models=("ae",))
        gap = run.measured["baseline_differences"]["ae-16"]["pca-16"]["mse"]
        gap |= {"low": gap["low"] + low, "high": gap["high"] + high}
        [found] = [f for f in findings(load(cast(Run, run)), 16) if "than PCA" in f.lead]
        return f"{found.lead} {found.evidence[0].text}"

    lead = "At d = 16 the AE is better than PCA by {} and worse by 0 of 1 reconstruction metric: "
    mse = "MSE per pixel: PCA 0.02680, AE 0.01120; AE\u00a0−\u00a0PCA −0.0156 [−0.0160, {}]"
    assert told() == (lead + mse).format(1, "−0.0152")
    assert told(high=0.0162) == (lead + mse).format(0, "0.0010")


def test_metrics_that_disagree_are_said_to() -> None:
    run = make_run(HERE)
    run.measured["differences"]["16"]["ssim"] = {"value": 0.03, "low": 0.02, "high": 0.04}
    text = leads(load(cast(Run, run)))
    assert "disagree on which model reconstructs better: 1 for the AE and 1 for the VAE" in text


def test_what_is_not_defined_leaves_no_sentence() -> None:
    run = make_run(HERE)
    for key in ("vae-16", "vae-2"):
        run.measured["models"][key]["metrics"]["negative_elbo"] = None
    text = str([findings(load(cast(Run, run)), d) for d in (16, 2)])
    assert "ELBO" not in text
    assert "ELBO" in str(findings(results(), 16))


def test_a_reference_value_that_is_not_defined_says_so() -> None:
    found = load(Run(Path(__file__).parent / "golden" / "format-2"))
    facts = copy.deepcopy(dict(found.models[0].facts))
    facts["generation"]["floor"]["coverage"] = None
    changed = replace(found.models[0], facts=facts)
    table = sampler_table(replace(found, models=(changed, *found.models[1:])), 2)
    assert table is not None
    assert table.heads[-1].title == "Real images (reference)"
    without = {
        row.head.title for _, rows in table.groups for row in rows if not row.cells[-1].defined
    }
    assert without == {"Coverage"}


def test_the_summary_is_short_and_says_what_one_run_is_worth() -> None:
    sentences = summary(results(), 16)
    assert 3 <= len(sentences) <= 5
    assert "5,000 bundled digits" in sentences[0].lead
    assert "does not compare the methods" in sentences[-1].lead
    assert 1 <= len(summary(results(models=("ae",)), 16)) <= 5


def page(run: FakeRun) -> str:
    return build_report(cast(Run, run)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> FakeRun:
    run = make_run(tmp_path_factory.mktemp("run"))
    build_report(cast(Run, run))
    return run


@pytest.fixture(scope="module")
def html(built: FakeRun) -> str:
    return (built.path / "report.html").read_text(encoding="utf-8")


def test_worker_processes_draw_the_same_bytes(built: FakeRun, html: str, tmp_path: Path) -> None:
    run, done = make_run(tmp_path / built.path.name), [False]

    def meanwhile() -> None:
        done[0] = True

    assert build_report(cast(Run, run), 2, meanwhile).read_text(encoding="utf-8") == html
    assert run.figures == built.figures
    assert done == [True]


def test_a_figure_of_a_notebook_is_drawn_in_its_own_process(built: FakeRun) -> None:
    def local(view: View) -> Drawing | None:
        return FIGURES["loss"].draw(view)

    kind = FigureKind("local", "Local", "", "", local)
    view = View(load(cast(Run, built)), 16)
    first, second = draw_all([(kind, view), (FIGURES["loss"], view)], 2, nothing)
    assert first is not None
    assert first == second


def test_the_page_stands_alone_under_a_strict_policy(html: str) -> None:
    assert "http://" not in html
    assert "https://" not in html
    policy = unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', html)[0])
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r"<[^>]*\sstyle=", html)
    assert not re.search(r"<[^>]*\son[a-z]+=", html)


def test_every_figure_is_saved_and_shown_with_alt_text(built: FakeRun, html: str) -> None:
    names = {name.rsplit(".")[0] for name in built.figures}
    assert names == {
        *(
            f"{k}-{d}"
            for k in FIGURES
            if k not in ("plane", "manifold", "projections")
            for d in (16, 2)
        ),
        *("plane-2", "manifold-2", "projections-16"),
    }
    assert {name.rsplit(".")[1] for name in built.figures} == {"svg", "png"}
    assert all(f'id="f-{name}"' in html for name in names)
    assert len(re.findall(r'<svg [^>]*aria-label="[^"]{20,}"', html)) == len(names)


def test_ids_are_unique_and_links_lead_somewhere(html: str) -> None:
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'(?:href="#|url\(#)([^")]*)', html))
    assert {"m-16-mse", "summary"} <= targets
    assert targets <= set(ids)


def test_the_page_says_what_stands_where(html: str) -> None:
    for text in (
        "not defined",
        "learning rate (AE 0.001, VAE 0.0001)",
        "VAE − AE",
        "PCA",
        "Raw pixels",
    ):
        assert text in html
    assert all(
        "5,000 bundled digits" in c for c in re.findall(r"<caption>.*?</caption>", html, re.S)
    )
    # The interval of the 5-NN difference holds zero, so no value of it is marked as better.
    knn = html.split('id="m-16-knn-accuracy"')[1].split("</tr>")[0]
    assert "better:" not in knn
    assert "better:" in html.split('id="m-16-mse"')[1].split("</tr>")[0]


def test_building_twice_gives_the_same_files(tmp_path: Path) -> None:
    first, second = (make_run(tmp_path, models=("vae",), dims=(2,), epochs=2) for _ in range(2))
    assert page(first) == page(second)
    assert first.figures == second.figures


def test_markup_in_names_stays_text(tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    run = make_run(tmp_path / "<b>run", dims=(2,), epochs=2)
    run.measured = copy.deepcopy(run.measured)
    run.measured["data"] |= {"label_names": [evil, *"$23456789"], "name": evil, "why": evil}
    run.measured["measures"]["mse"] |= {"title": evil, "description": evil}
    run.settings["preset"] = evil
    text = page(run)
    assert "<img" not in text
    assert "<b>run" not in text
    assert text.count("</script>") == 1


@pytest.mark.parametrize(
    "shape", [{"models": ("ae",), "dims": (2,)}, {"models": ("vae",), "dims": (16,)}]
)
def test_a_single_model_makes_a_page(tmp_path: Path, shape: dict[str, Any]) -> None:
    text = page(make_run(tmp_path, epochs=2, **shape))
    assert "VAE − AE" not in text
    assert "Of the" in text


def test_a_run_without_metrics_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.measured["models"] = {}
    with pytest.raises(RunError, match="aelab evaluate"):
        build_report(cast(Run, run))


def test_results_of_another_shape_are_refused_in_a_sentence(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.measured["models"]["ae-16"]["metrics"]["mse"] = {"value": "small"}
    with pytest.raises(RunError, match=r"not written: mse\.value: .*, not 'small'"):
        build_report(cast(Run, run))


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium")
def test_in_a_browser_the_page_fits_and_loads_nothing(built: FakeRun) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    flags += ["--disable-component-update", "--disable-sync"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        for width, height in ((1280, 800), (390, 844)):
            tab = browser.new_page(viewport={"width": width, "height": height})
            problems: list[str] = []
            tab.on("console", lambda message, to=problems: to.append(message.text))
            tab.on("pageerror", lambda error, to=problems: to.append(str(error)))
            requests: list[str] = []
            tab.on("request", lambda request, to=requests: to.append(request.url))
            tab.goto(f"file://{built.path}/report.html")
            tab.locator(".theme").click()
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert problems == []
            assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
            tab.close()
        browser.close()
