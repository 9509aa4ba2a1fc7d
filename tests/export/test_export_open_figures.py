"""Figures that a notebook keeps open from cell to cell: a package, which closes them, is no other without a word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from exported import write_notebook

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
