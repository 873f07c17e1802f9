"""Generated pages of the documentation agree with the code."""

from pathlib import Path

from tools.metrics import PAGE, filled
from tools.results import page

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
