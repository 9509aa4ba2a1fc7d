"""What public notebooks do and an export once got wrong: each as small as it can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from nbproof.errors import NotExported
from nbproof.export import draft as drafting
from nbproof.export.draft import Draft, draft
from nbproof.export.running import run_package

NOTEBOOKS: dict[str, tuple[str, ...]] = {
    "what is shown and changed later": (
        "rows = [1]\nrows",
        "# More",
        "rows.append(2)\nrows",
    ),
    "a frame that is shown and changed later": (
        "import pandas as pd\nimport numpy as np\nframe = pd.DataFrame({'a': [1, 2]})\nframe",
        "grid = np.zeros(2)\ngrid",
        "# More",
        "frame['b'] = 3\nframe.loc[0, 'a'] = 9\ngrid[0] = 1\nframe",
    ),
    "a figure that later cells draw on": (
        "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()",
        "# More",
        "axes.set_title('later');",
    ),
    "lines of a figure that are shown": (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])",
        "# More",
        "again = [1]\n[again, again, {'a': (again,)}]",
        "again.append(plt.hist([1, 2]))",
    ),
    "a display that is imported": (
        "from IPython.display import HTML, display\nimport IPython\nimport IPython.display as d",
        "# More",
        "display(HTML('<b>x</b>'))\nd.display(2)",
        "IPython.display.display([1])",
    ),
    "something shown in the place of something": (
        "from IPython.display import display\nhandle = display(1, display_id=True)",
        "# More",
        "handle.update(2)",
    ),
    "a function that counts": (
        "count = 0\ndef one_more():\n    global count, last\n    count += 1\n    last = count",
        "# More",
        "one_more()\none_more()",
        "# At last",
        "(count, last)",
    ),
    "an animation": (
        "import matplotlib.pyplot as plt\nfrom matplotlib.animation import FuncAnimation\n"
        "figure, axes = plt.subplots()\n(line,) = axes.plot([0, 1])\n"
        "moving = FuncAnimation(figure, lambda at: line.set_ydata([0, at]), frames=3)",
        "# More",
        "frames = 3",
    ),
    "a number that is imported": (
        "from math import pi, tau as turn",
        "# More",
        "turn / pi",
    ),
    "a lambda among values": (
        "double = lambda n: 2 * n\nby_name = {'double': double}",
        "# More",
        "by_name['double'](2)",
    ),
    "a named tuple": (
        "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')",
        "# More",
        "Point(1, 2)",
    ),
}


def drafted(folder: Path, cells: tuple[str, ...]) -> Draft:
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "k", "display_name": "k", "language": "python"}})
    for cell in cells:
        is_heading = cell.startswith("# ")
        made.cells.append((nbformat.v4.new_markdown_cell if is_heading else nbformat.v4.new_code_cell)(cell))
    path = folder / "notebook.ipynb"
    nbformat.write(made, path)
    return draft(path, timeout_s=300)


UNSEEDED = (
    "import random\nimport numpy as np",
    "# Draw",
    "few = [random.randrange(2) for _ in range(3)]\nmany = np.random.rand(3)",
    "# More",
    "coin = np.random.randint(2)\n(coin, few)",
    "# Of its own",
    "own = [np.random.default_rng().random() for _ in range(2)]",
)


def test_what_is_drawn_without_a_seed_is_compared_from_one_start(tmp_path: Path) -> None:
    """Chance makes no two runs agree, and lets no draft differ: what the package draws is what the notebook draws."""
    made = drafted(tmp_path, UNSEEDED)

    assert {row.name: row.verdict for row in made.equivalence.rows if row.what == "value"}["many"] == "not steady"
    left = run_package("again", made.sources, tmp_path)
    for name in ("few", "many", "coin", "own"):
        assert left["values"][name]["digest"] == made.first.values[name].digest
    assert made.first.values["many"].digest != made.second.values["many"].digest


def test_a_package_that_draws_in_another_order_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the notebook itself draws other numbers each time."""
    real = drafting.shaped

    def disordered(*given: object, **options: object) -> object:
        made = real(*given, **options)  # type: ignore[arg-type]
        steps = made.modules["steps.py"].replace("few = [", "random.random(); few = [")
        return replace(made, modules={**made.modules, "steps.py": steps})

    monkeypatch.setattr(drafting, "shaped", disordered)

    with pytest.raises(NotExported, match="its random numbers are others"):
        drafted(tmp_path, ("import random\nrandom.random()", "# Draw", "few = [random.random() for _ in range(3)]"))


@pytest.mark.parametrize("what", NOTEBOOKS)
def test_what_public_notebooks_do_is_exported(tmp_path: Path, what: str) -> None:
    """It gives what the notebook gives, and something of it could be compared."""
    made = drafted(tmp_path, NOTEBOOKS[what])

    assert made.equivalence.holds
    assert made.equivalence.count("equal") > 0
