"""What the terminal prints of runs, presets, data and this machine."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from aelab.cli.options import Output
from aelab.console.streams import console

if TYPE_CHECKING:
    from aelab.runs.run import Run
    from aelab.runs.search import SearchFolder
    from aelab.runs.study import Study


def say(text: str, error: bool = False) -> None:
    """Print a line, to stderr if it is an error."""
    print(text, file=sys.stderr if error else sys.stdout, flush=True)


def print_or_json(found: Any, output: Output, print_it: Callable[[Any], None]) -> None:
    """Print ``found`` as JSON or by ``print_it``, or nothing with ``--quiet``."""
    if output.json_:
        say(json.dumps(found, indent=1))
    elif not output.quiet:
        print_it(found)


def print_results(done: "Run | Study | SearchFolder", output: Output, tables: bool = True) -> None:
    """Print the main results of a run, study or search, its report and folder; or all as JSON."""
    if output.json_:
        say(json.dumps({done.kind: str(done.path)} | done.record(), indent=1))
        return
    if not output.quiet:
        if tables:
            from aelab.cli.tables import print_tables

            print_tables(done)
        say(f"Report: {done.path / 'report.html'}")
    say(str(done.path))


def print_presets(name: str | None) -> None:
    """Print the presets with a line each, or one of them as TOML."""
    from aelab.config.base import to_toml
    from aelab.experiment.presets import PRESET_HELP, preset

    if name is None:
        table = Table.grid(padding=(0, 2))
        for key, text in PRESET_HELP.items():
            table.add_row(Text(key, "bold"), text)
        console().print(table)
    else:
        say(to_toml(preset(name).model_dump(mode="json")).rstrip())


def print_data(found: list[dict[str, Any]]) -> None:
    """Print what each data source holds, or why it cannot be used."""
    out = console()
    for data in found:
        out.print(data["name"], style="bold")
        if "problem" in data:
            out.print(f"  {data['problem']}", soft_wrap=True)
            continue
        height, width = data["image_size"]
        labels = ", ".join(data["label_names"])
        lines = {
            "source": data["why"],
            "images": f"{height} × {width}, {data['classes']} classes: {labels}",
            "split": data["split"],
            **{f"SHA-256 {name}": digest for name, digest in data["sha256"].items()},
            **{f"file {name}": path for name, path in data["files"].items()},
        }
        widest = max(map(len, lines))
        for name, text in lines.items():
            out.print(f"  {name:<{widest}}  {text}", soft_wrap=True)


def print_examination(found: dict[str, Any]) -> None:
    """Print what the machine has, then its problems."""
    out = console()
    table = Table.grid(padding=(0, 2))
    if environment := found.get("environment"):
        table.add_row("aelab", f"{environment['aelab']}, Python {environment['python']}")
        table.add_row("machine", environment["platform"])
        table.add_row(
            "devices", ", ".join(f"{name} ({what})" for name, what in found["devices"].items())
        )
        table.add_row(
            "processors", f"{found['cpus'] or environment['cpus']}; torch takes {found['threads']} "
            f"threads, a worker of a run one; dense layers by {environment['matrix_products']}, "
            f"bfloat16 by {found['bfloat16'] or 'no unit of its own'}",
        )  # fmt: skip
    table.add_row("packages", ", ".join(f"{n} {v}" for n, v in found["packages"].items()))
    for extra, packages in found["extras"].items():
        missing = [name for name, there in packages.items() if there is None]
        table.add_row(
            f"extra {extra}",
            f"missing {', '.join(missing)}: pip install 'aelab[{extra}]'"
            if missing
            else "installed",
        )
    table.add_row("cache", found["cache"])
    table.add_row("folder", f"{found['folder']['path']}, {found['folder']['free_gb']:g} GB free")
    out.print(table)
    for problem in found["problems"]:
        out.print(Text.assemble(("problem", "red"), f"  {problem}"), soft_wrap=True)
    if not found["problems"]:
        out.print("Nothing is wrong.", style="green")
