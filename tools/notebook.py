"""The lab as a notebook: strip its outputs, or run it and render it to docs/lab.md.

python tools/notebook.py strip    (the pre-commit hook)
python tools/notebook.py render   (make docs)
"""

import base64
import sys
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "lab.ipynb"
PAGE = ROOT / "docs" / "lab.md"
IMAGES = ROOT / "docs" / "images" / "lab"
HEAD = "<!-- Rendered from notebooks/lab.ipynb by: make docs -->\n\n"


def read(path: Path = NOTEBOOK) -> Any:
    """The notebook."""
    return nbformat.read(path, as_version=4)


def strip(path: Path = NOTEBOOK) -> bool:
    """Remove outputs, counts and editor metadata from the file; returns whether there were any."""
    notebook = read(path)
    before = nbformat.writes(notebook)
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    changed = bool(nbformat.writes(notebook) != before)
    if changed:
        nbformat.write(notebook, path)
    return changed


def execute(notebook: Any, seconds: int = 600) -> Any:
    """Run every cell in the repository's root; raises if a cell raises."""
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook, timeout=seconds, kernel_name="python3", resources={"metadata": {"path": ROOT}}
    )
    client.create_kernel_manager().transport = "ipc"  # no port is opened
    client.execute()
    return notebook


def markdown(notebook: Any) -> tuple[str, dict[str, bytes]]:
    """The page of an executed notebook, and its images by file name."""
    parts, images = [], {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{len(images) + 1:02d}.png"
                images[name] = base64.b64decode(data["image/png"])
                parts.append(f"![Output of the cell above](images/lab/{name})")
            elif output.output_type != "display_data":  # progress bars
                text = output.get("text") or data.get("text/plain", "")
                parts.append(f"```text\n{text.rstrip()}\n```")
    return HEAD + "\n\n".join(parts) + "\n", images


def render() -> None:
    """Run the notebook and write the page and its images."""
    page, images = markdown(execute(read()))
    IMAGES.mkdir(parents=True, exist_ok=True)
    for old in IMAGES.glob("*.png"):
        old.unlink()
    for name, data in images.items():
        (IMAGES / name).write_bytes(data)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "render":
        render()
    else:
        sys.exit(strip())  # as a hook: changed files stop the commit
