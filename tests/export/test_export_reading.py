"""A notebook as its exporter reads it: steps below headings, words beside them, and every refusal at once."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from nbproof.export.reading import Reading, read
from nbproof.notebook import document

ROOT = Path(__file__).parents[2]


def reading_of(folder: Path, *cells: str | tuple[str, str], language: str = "python") -> Reading:
    """A notebook of these cells: text is code, a pair is its kind and its text."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "k", "display_name": "k", "language": language}})
    for cell in cells:
        kind, source = ("code", cell) if isinstance(cell, str) else cell
        made.cells.append(getattr(nbformat.v4, f"new_{kind}_cell")(source))
    path = folder / "read.ipynb"
    nbformat.write(made, path)
    return read(document.read(path))


def test_steps_stand_below_their_headings(tmp_path: Path) -> None:
    """A heading names what follows, up to the next one; the words below it are kept with the first cell."""
    found = reading_of(
        tmp_path,
        "x = 1",
        ("markdown", "# Loading\n\nFrom a file.\n\n```\n# no heading\n```"),
        "y = 2",
        ("markdown", "More words."),
        "z = 3",
        ("raw", "not code"),
        ("markdown", "## Fitting ##"),
        "",
        "w = 4",
    )

    assert [(step.number, step.title, step.level, step.is_first_below) for step in found.steps] == [
        (1, "", 0, False), (3, "Loading", 1, True), (5, "Loading", 1, False), (9, "Fitting", 2, True)
    ]  # fmt: skip
    assert found.steps[1].words.startswith("From a file.")
    assert found.steps[2].words == "More words."
    assert found.refusals == ()


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Each refusal has its cell, its line in the cell as written, the reason, and what would help."""
    found = reading_of(
        tmp_path,
        "%matplotlib inline\nx = list(globals())",
        "name = input('who? ')",
        "%%bash\nls",
        "def f(:",
        "Out[1]",
        "for _ in range(2):\n    print(_)",
        "import getpass\ngetpass.getpass()",
    )

    assert [(refusal.cell, refusal.line) for refusal in found.refusals] == [
        (1, 2), (2, 1), (3, 1), (4, 1), (5, 1), (7, 2)
    ]  # fmt: skip
    assert all(refusal.reason and refusal.hint for refusal in found.refusals)
    assert str(found.refusals[0]) == (
        "cell 1, line 2: `globals`: it looks at all names of the notebook at once; say what it does in Python"
    )


def test_another_language_is_refused(tmp_path: Path) -> None:
    """One refusal is enough: nothing of it is read as Python."""
    (refusal,) = reading_of(tmp_path, "x <- 1", language="R").refusals

    assert "only Python" in refusal.hint


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebooks_of_the_engagement_are_read_whole(path: Path) -> None:
    """None of their cells is refused, and every code cell is a step below a heading."""
    found = read(document.read(path))

    assert found.refusals == ()
    assert len(found.steps) == sum(cell.kind == "code" and bool(cell.source.strip()) for cell in found.document.cells)
    assert all(step.title for step in found.steps)


def test_headings_may_be_written_as_html(tmp_path: Path) -> None:
    """As many do to colour them; other tags within are no part of the title."""
    found = reading_of(
        tmp_path, ("markdown", "<h2 style='color:blue'>Load <i>all</i> data</h2>\nFrom a file."), "x = 1"
    )

    assert [(step.title, step.level, step.words) for step in found.steps] == [("Load all data", 2, "From a file.")]


def test_what_is_only_loaded_into_a_cell_has_to_be_there(tmp_path: Path) -> None:
    """`%load` runs nothing, and yet a notebook fails where it finds nothing."""
    (tmp_path / "there.py").write_text("x = 1\n")

    found = reading_of(tmp_path, "%load there.py", "y = 1\n%load not_there.py", "%load 3-5")

    assert [str(each).partition(";")[0] for each in found.refusals] == [
        "cell 2, line 2: `%load not_there.py`: there is no such file",
        "cell 3, line 1: `%load` of what is no file beside the notebook",
    ]
    assert found.steps[0].source == "y = 1\n"
