"""Figures that a notebook keeps open from cell to cell: a package, which closes them, is no other without a word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest
from exported import exported, python, write_notebook
from nbclient import NotebookClient

from nbproof.errors import NotExported
from nbproof.export.draft import draft

KEEPING = ["%matplotlib notebook", "%matplotlib", "import matplotlib\nmatplotlib.use('Agg')",
           "%config InlineBackend.close_figures = False"]  # fmt: skip
GOING_ON = {
    "draws on": "plt.title('later')",
    "asks for": "current = plt.gcf().get_size_inches().tolist()",
    "saves": "plt.savefig('it.png')",
    "by pandas": "import pandas as pd\npd.Series([1, 2]).plot();",
    "by its number": "plt.figure(1)\nplt.plot([3]);",
}


BEGUN = ("import matplotlib.pyplot as plt", "plt.figure(1)\nplt.plot([1, 2]);")


@pytest.mark.parametrize(
    ("keeping", "how"), [(KEEPING[0], how) for how in GOING_ON] + [(keeping, "draws on") for keeping in KEEPING[1:]]
)
def test_a_figure_that_a_notebook_keeps_open_is_not_silently_another(tmp_path: Path, keeping: str, how: str) -> None:
    """A package would draw on an empty one."""
    line = re.escape(keeping.split("\n")[-1])

    with pytest.raises(NotExported, match=f"cell 4: it goes on with a figure of a cell above, which `{line}` keeps"):
        draft(write_notebook(tmp_path / "kept.ipynb", keeping, *BEGUN, GOING_ON[how]))


def test_without_such_a_line_a_kernel_begins_another_figure(tmp_path: Path) -> None:
    """So does the package."""
    made = draft(write_notebook(tmp_path / "plain.ipynb", "%matplotlib inline", *BEGUN, *GOING_ON.values()))

    assert made.equivalence.holds
    assert made.equivalence.count("equal") >= len(GOING_ON)


def test_a_figure_of_each_cell_is_exported_whatever_is_kept_open(tmp_path: Path) -> None:
    """Cells that begin one, or draw on axes that they name, go on with none."""
    made = draft(
        write_notebook(
            tmp_path / "own.ipynb",
            "%matplotlib notebook",
            "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.plot([1, 2]);",
            "plt.figure()\nplt.plot([1])\nplt.show()",
            "plt.close('all')\naxes.set_title('later');",
        )
    )

    assert made.equivalence.holds


SHOWING = {
    "twice": "plt.plot([1, 2])\nplt.show()\nplt.plot([2, 1])\nplt.show()",
    "in a loop": "for n in range(3):\n    plt.plot([n, 1])\n    plt.title(str(n))\n    plt.show()",
    "and more behind": "plt.plot([1, 2])\nplt.show()\nplt.plot([3, 1]);",
    "in a function": "def drawn(n):\n    plt.plot([n])\n    plt.show()\ndrawn(1)\ndrawn(2)",
    "under another name": "from matplotlib.pyplot import show as s, plot\nplot([1])\ns()\nplot([2])\ns()",
    "two at once": "plt.figure()\nplt.plot([1])\nplt.figure()\nplt.plot([2])\nplt.show()",
    "and closed": "plt.plot([1])\nplt.show()\nplt.plot([2])\nplt.close()",
    "and saved": "plt.plot([1])\nplt.show()\nplt.savefig('blank.png')",
    "changed behind": "figure, axes = plt.subplots()\naxes.plot([1])\nplt.show()\naxes.set_title('late');",
    "none": "plt.show()",
}


def test_figures_that_are_shown_are_those_of_a_kernel(tmp_path: Path) -> None:
    """`pyplot.show` closes what it shows: as many figures as a real kernel puts below each cell, in their order."""
    head = "%matplotlib inline\nimport matplotlib.pyplot as plt"
    notebook = write_notebook(tmp_path / "notebooks/shown.ipynb", head, *SHOWING.values(), "drawn(3)")
    there = {"metadata": {"path": str(notebook.parent)}}
    read = nbformat.read(notebook, as_version=4)
    ran = NotebookClient(read, timeout=120, kernel_name="python3", resources=there).execute()
    # Of an empty one there is no picture, but a word.
    below = {
        cell.id: sum("<Figure" in output.get("data", {}).get("text/plain", "") for output in cell.outputs)
        for cell in ran.cells
    }
    script = (
        "import json, shown_draft\nfigures = shown_draft.run().figures\n"
        "print(json.dumps({cell: len(drawn) for cell, drawn in figures.items()}))\n"
        "print([figure.axes[0].get_title() for figure in figures['c3']])"
    )

    package = exported(notebook)
    counted, titles = python("-c", script, folder=tmp_path, path=package / "src").stdout.splitlines()
    tested = python("-m", "pytest", "-q", "tests", folder=package)

    assert json.loads(counted) == {cell: number for cell, number in below.items() if number}
    assert titles == "['0', '1', '2']"
    assert tested.returncode == 0, tested.stdout
