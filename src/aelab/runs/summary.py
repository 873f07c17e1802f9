"""The main metrics of a run as a table, for the terminal and for notebooks."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

# The measures in this table; the report has all of them.
SHOWN = ("reconstruction_nll", "mse", "ssim", "negative_elbo", "kl", "active_units",
         "knn_accuracy", "probe_accuracy")  # fmt: skip


def summary(metrics: Mapping[str, Any]) -> Table:
    """A block of rows for each latent size, the better of a pair in bold."""
    data = metrics["data"]
    entries = {**metrics["models"], **metrics["baselines"]}
    titles = list(dict.fromkeys(entry["title"] for entry in entries.values()))
    table = Table(
        title=Text(  # a string could hold markup: rich's own console shows it in notebooks
            f"{data['name']}: {data['counts']['test']:,} test images, {metrics['protocol']} pixels",
            "table.title",
        ),
        caption="Two fixed models of one seed: this compares the models, not the methods.",
    )
    table.add_column("d", justify="right")
    table.add_column("metric")
    for title in titles:
        table.add_column(title, justify="right")
    for d in dict.fromkeys(entry["latent_dim"] for entry in metrics["models"].values()):
        columns = {e["title"]: e for e in entries.values() if e["latent_dim"] in (d, None)}
        for name in (n for n in SHOWN if n in metrics["measures"]):
            measure = metrics["measures"][name]
            estimates = {title: entry["metrics"].get(name) for title, entry in columns.items()}
            values = {title: e["value"] for title, e in estimates.items() if e is not None}
            models = [value for title, value in values.items() if "model" in columns[title]]
            leading = best(models, measure["better"])
            cells = [
                Text(f"{values[title]:.4g}", "bold" if values[title] == leading else "")
                if title in values
                else Text("not defined", "dim")
                for title in titles
            ]
            unit = f" ({measure['unit']})" if measure["unit"] == "nats" else ""
            table.add_row(str(d), measure["title"] + unit, *cells)
        table.add_section()
    return table


def best(values: list[float], better: str | None) -> float | None:
    """The best of several different values, if they have a direction."""
    if better is None or len(set(values)) < 2:
        return None
    return (min if better == "lower" else max)(values)
