"""What the terminal prints of searches."""

import json
from typing import Any

from rich.table import Table
from rich.text import Text

from aelab.cli.options import Output
from aelab.console.streams import console
from aelab.runs.search import SearchFolder


def print_search(folder: SearchFolder, output: Output) -> None:
    """The best trials of a search, then its folder; or all of it as JSON."""
    results, proof = folder.results(), folder.proof()
    if output.json_:
        print(json.dumps({"search": str(folder.path), "proof": proof} | results, indent=1))  # noqa: T201
        return
    if not output.quiet:
        _print_best(results)
        if proof:
            _print_proof(proof)
        print(f"Report: {folder.path / 'report.html'}")  # noqa: T201
    print(folder.path)  # noqa: T201


def _print_best(results: dict[str, Any]) -> None:
    states = [trial["state"] for trial in results["trials"]]
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    table = Table(
        title=f"{results['key']} on {results['data']['name']}: {len(states)} trials ({counts})",
        caption=f"On validation, with one seed, after {results['trial_epochs']} epochs: the best "
        "of many is lucky too.",
    )
    names = [dimension["name"] for dimension in results["dimensions"]]
    for title in ["trial", *(goal["title"] for goal in results["goals"])]:
        table.add_column(title, justify="right", no_wrap=True)
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    trials = {trial["number"]: trial for trial in results["trials"]}
    for number in results["best"][:10]:
        trial = trials[number]
        settings = (trial["settings"][name] for name in names)
        values = (f"{value:.5g}" for value in trial["values"])
        table.add_row(
            str(number),
            *values,
            *(f"{value:.3g}" if isinstance(value, float) else str(value) for value in settings),
        )
    console(100).print(table)


def _print_proof(proof: dict[str, Any]) -> None:
    table = Table(
        title=f"With {len(proof['seeds'])} fresh seeds, on validation: {proof['goal']['title']}",
        caption="Chosen by the mean; the choice beside the yardsticks on test is in the report.",
    )
    for title in ("setting", "epochs", "mean", "95% interval"):
        table.add_column(title, justify="left" if title == "setting" else "right")
    for row in proof["contenders"]:
        mean, style = row["mean"], "bold" if row["name"] == proof["chosen"] else ""
        ends = f"[{mean['low']:.5g}, {mean['high']:.5g}]"
        table.add_row(Text(row["title"], style), str(row["epochs"]), f"{mean['value']:.5g}", ends)
    for row in proof["failed"]:
        table.add_row(row["title"], str(row["epochs"]), "failed", "in the report")
    console(80).print(table)


def print_trials(done: list[dict[str, Any]]) -> None:
    """What a worker has done, and where the weights are."""
    out = console()
    out.print(f"{len(done)} trials were taken here.")
    for trial in done:
        where = f"  {trial['weights']}" if trial["weights"] else ""
        out.print(f"trial {trial['trial']}: {trial['state']}{where}", soft_wrap=True)
