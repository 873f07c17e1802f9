"""The lab notebook: it has no outputs in the repository, and it runs, with its solutions."""

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


NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
#: The rounding of another machine moves a number by less than 5%, and a difference, which may be
#: near zero, by less than its interval is wide.
TOLERANCE = 0.05


def assert_same_output(kept: str, new: str) -> None:
    """The same words, and the same numbers as far as another machine has them."""
    shapes = [re.sub(NUMBER, "#", re.sub(r" +", " ", text)).split(" \n") for text in (kept, new)]
    assert shapes[0] == shapes[1], "run make docs"
    estimate = rf"({NUMBER}) \[({NUMBER}), ({NUMBER})\]|({NUMBER})"
    for old, now in zip(re.findall(estimate, kept), re.findall(estimate, new), strict=True):
        before, after = ([float(part) for part in found if part] for found in (old, now))
        width = before[2] - before[1] if len(before) == 3 else TOLERANCE * abs(before[0])
        assert all(abs(a - b) <= width for a, b in zip(before, after, strict=True)), (old, now)


def test_outputs_are_compared_by_words_and_to_a_tolerance() -> None:
    kept = "Error   0.0171   B − A +0.02 [+0.004, +0.038]"
    assert_same_output(kept, "Error   0.01718  B − A -0.001 [-0.02, +0.018]")
    for other in (
        "Errors  0.0171   B − A +0.02 [+0.004, +0.038]",
        "Error   0.0195   B − A +0.02 [+0.004, +0.038]",
        "Error   0.0171   B − A -0.02 [-0.038, -0.004]",
        "Error   not defined B − A +0.02 [+0.004, +0.038]",
    ):
        with pytest.raises(AssertionError):
            assert_same_output(kept, other)


def test_it_runs_and_the_rendered_copy_and_the_solutions_say_what_it_prints(
    tool: ModuleType,
) -> None:
    pytest.importorskip("nbclient", reason="needs nbclient")
    notebook = tool.read()
    count = len(notebook.cells)
    hidden = [
        block
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for block in re.findall(
            r"<details>(?:(?!</details>).)*?```python\n(.*?)```", cell.source, re.S
        )
    ]
    assert len(hidden) == 4
    notebook.cells += [tool.nbformat.v4.new_code_cell(block) for block in hidden]
    # The numbers are those of d = 16; d = 2 is for the reader, in the explorer.
    [compared] = [cell for cell in notebook.cells if "latent_dim=(16, 2)" in cell.source]
    source = compared.source
    compared.source = source.replace("(16, 2)", "(16,)")
    tool.execute(notebook)
    compared.source = source
    solutions = ["".join(out.get("text", "") for out in c.outputs) for c in notebook.cells[count:]]
    notebook.cells = notebook.cells[:count]
    new, images = tool.markdown(notebook)
    kept = tool.PAGE.read_text(encoding="utf-8")
    assert set(images) == {path.name for path in tool.IMAGES.glob("*.png")}
    outputs = r"(?<=```text\n)(.*?)(?=\n```)"
    pieces = [re.split(outputs, page, flags=re.S) for page in (kept, new)]
    assert pieces[0][::2] == pieces[1][::2], "run make docs"
    for old, now in zip(pieces[0][1::2], pieces[1][1::2], strict=True):
        assert_same_output(old, now)
    # What the text of the solutions says of their numbers.
    unused = [len(re.findall(r"\b0\.0\d?\b", line)) for line in solutions[2].split("KL")[1:]]
    reconstruction = [float(n) for n in re.findall(r"reconstruction ([\d.]+)", solutions[2])]
    assert unused[0] == 0
    assert unused[1] >= 2
    assert reconstruction[1] > 1.05 * reconstruction[0]
    sure, *unsure = (float(n) for n in re.findall(r": ([-+][\d.]+)", solutions[3]))
    assert sure > 5
    assert all(abs(n) < 2.5 for n in unsure)
