"""What the terminal prints of runs, presets, data and this machine."""

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from aelab.console.streams import console
from aelab.runs.summary import summary

if TYPE_CHECKING:  # torch is not imported here, so that aelab doctor can report its absence
    from aelab.runs.run import Run


def results_table(run: "Run") -> None:
    """Print the main metrics of a run."""
    console(80).print(summary(run.metrics()))


def print_presets(name: str | None) -> None:
    """Print the presets with a line each, or one of them as TOML."""
    from aelab.config.base import to_toml
    from aelab.experiment.presets import PRESET_HELP, PRESETS, preset

    out = console()
    if name is None:
        table = Table.grid(padding=(0, 2))
        for key in PRESETS:
            table.add_row(Text(key, "bold"), PRESET_HELP[key])
        out.print(table)
        return
    out.print(to_toml(preset(name).model_dump(mode="json")), end="", soft_wrap=True)


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
            f"threads, a worker of a run one; dense layers by {environment['matrix_products']}",
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
