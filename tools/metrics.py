"""Write the tables of docs/metrics.md from the registered metrics: make docs."""

from pathlib import Path

from aelab.metrics import METRICS
from aelab.metrics.base import FAMILIES, Family, Metric
from aelab.models import MODELS

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"


def defined_for(metric: Metric) -> str:
    """The models and baselines that have all that a metric requires."""
    if metric.applies_to({"codes", "labels"}):
        return "any codes"
    if metric.applies_to({"codes", "pixels"}):
        return "AE, VAE, PCA"
    return "AE, VAE" if metric.applies_to({*MODELS["ae"].capabilities, "labels"}) else "VAE"


def table(family: Family) -> str:
    """A row for each metric of a family; metrics that share a quantity share a row."""
    groups: dict[str, list[Metric]] = {}
    for metric in METRICS.values():
        if metric.family == family:
            groups.setdefault(metric.quantity or metric.title, []).append(metric)
    rows = [
        "| metric | name | unit | better | defined for | description |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for title, group in groups.items():
        one = group[-1]
        ends = (m.name.rpartition("_")[-1] for m in group[1:])
        names = ", ".join([f"`{group[0].name}`", *(f"`_{end}`" for end in ends)])
        what = one.description if one.at is None else one.description.replace(f"{one.at:g}", "…")
        cells = [title, names, one.unit, one.better or "", defined_for(one), what]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def filled(page: str) -> str:
    """The page with the table of each family between its two markers."""
    for family in FAMILIES:
        begin, end = f"<!-- {family} -->\n", f"<!-- end of {family} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = before + begin + table(family) + "\n" + end + after
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
