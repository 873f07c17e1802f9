"""The lab as a notebook: without outputs in the repository, and it runs, solutions too."""

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    pytest.importorskip("nbformat", reason="needs nbformat")
    spec = importlib.util.spec_from_file_location("notebook", ROOT / "tools" / "notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_outputs_are_stripped(tool: ModuleType, tmp_path: Path) -> None:
    copy = tmp_path / "lab.ipynb"
    shutil.copy(tool.NOTEBOOK, copy)
    assert not tool.strip(copy), "run python tools/notebook.py strip"
    notebook = tool.read(copy)
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code.execution_count = 3
    tool.nbformat.write(notebook, copy)
    assert tool.strip(copy)
    assert copy.read_bytes() == tool.NOTEBOOK.read_bytes()


def test_it_uses_the_public_names_only(tool: ModuleType) -> None:
    source = "\n".join(cell.source for cell in tool.read().cells)
    assert not re.search(r"from aelab|import aelab\.", source)


def test_the_rendered_copy_is_of_this_notebook(tool: ModuleType) -> None:
    """Every cell stands in docs/lab.md as it is now; make docs renews it."""
    page = tool.PAGE.read_text(encoding="utf-8")
    for cell in tool.read().cells:
        assert cell.source in page, "run make docs"
    for name in re.findall(r"\]\((images/[^)]*)\)", page):
        assert (tool.PAGE.parent / name).is_file()


def test_it_runs_from_top_to_bottom_and_so_do_the_solutions(tool: ModuleType) -> None:
    pytest.importorskip("nbclient", reason="needs nbclient")
    notebook = tool.read()
    hidden = [
        block
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for block in re.findall(r"<details>.*?```python\n(.*?)```.*?</details>", cell.source, re.S)
    ]
    assert len(hidden) == 3
    notebook.cells += [tool.nbformat.v4.new_code_cell(block) for block in hidden]
    done = tool.execute(notebook)
    page, images = tool.markdown(done)
    assert len(images) >= 9
    assert "explorer.html" in page
    assert "VAE − AE" in page
