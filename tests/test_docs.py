"""Generated pages and docstrings agree with the code."""

import inspect
from pathlib import Path

import pytest
from tools.metrics import PAGE, filled
from tools.results import page

import aelab
from aelab.report.study.results import load
from tests.fake_study import make_study


def test_the_metrics_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page) == page, "run make docs"


def test_the_page_of_results_follows_the_study(tmp_path: Path) -> None:
    for name, opposite in (("study", False), ("other", True)):
        study = make_study(tmp_path / name, vary={"vae.beta": [0.5, 4]}, opposite=opposite)
        found = load(study)
        written = page(study, "results", ["aelab study"])
        for item in found.claims:
            assert f"| {item.says} |" in written
        verdicts = [line.rsplit("|", 2)[1].strip() for line in written.splitlines()
                    if line.startswith(("| 1 |", "| 3 |"))]  # fmt: skip
        assert verdicts == ["refuted" if opposite else "supported"] * 2
        assert "|  | 0.5 | **1** | 4 |" in written
        assert "| VAE | 0.0001 | 64 | constant | 3 | 102.50 | 2.50 |" in written


@pytest.mark.parametrize("name", sorted(aelab.__all__))
def test_a_public_function_documents_what_it_takes_and_gives(name: str) -> None:
    function = getattr(aelab, name)
    if not inspect.isfunction(function):
        assert inspect.getdoc(function), name
        return
    _, _, arguments = (inspect.getdoc(function) or "").partition("Args:\n")
    arguments, found, _ = arguments.partition(
        "Returns:\n" if "Returns:" in arguments else "Yields:"
    )
    assert found
    documented = [line[4:].partition(":")[0] for line in arguments.splitlines()
                  if line.startswith("    ") and line[4:5] != " "]  # fmt: skip
    assert documented == list(inspect.signature(function).parameters)
