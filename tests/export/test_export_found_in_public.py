"""What public notebooks do and an export once got wrong: each as small as it can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from exported import exported, python, write_notebook

from nbproof.cli.main import carry_out
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
    "a frame of a class of its own that is shown and changed later": (
        "import pandas as pd\n"
        "class Table(pd.DataFrame):\n"
        "    def __init__(self, hypotheses):\n"
        "        super().__init__(columns=['hypothesis', 'prior'])\n"
        "        self.hypothesis, self.prior = hypotheses, 1.0",
        "class Named(pd.Series):\n    pass",
        "table = Table(['a', 'b'])\nnamed = Named([1, 2])\nnamed.__dict__['unit'] = ['m']",
        "table",
        "named",
        "# More",
        "table.prior = [0.25, 0.75]\nnamed[0] = 9\ntable",
    ),
    "views that are shown and changed later": (
        "import numpy as np\nimport pandas as pd\ngrid = np.arange(12).reshape(3, 4)",
        "grid[:, ::2]",
        "# More",
        "grid[::-1, ::-1]",
        "np.broadcast_to(grid[0], (2, 4))",
        "table = pd.DataFrame(grid[:, ::-2])\ntable",
        "grid[0, 0] = 99",
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
    "a display and a print of its own": (
        "def display(value):\n    return [value]\ndef print(value):\n    return value",
        "# More",
        "display(1)",
        "print(2)",
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
    "headings that begin with a digit": (
        "x = 1",
        "# 2D vectors",
        "y = [x, x]\ny",
        "# 3rd try",
        "z = y + [x]\nz",
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


def test_what_is_the_same_twice_by_chance_does_not_depend_on_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coarse clock often tells the same: one more run finds out."""
    (tmp_path / "given.txt").write_text("given")
    told = iter("1001")
    real = drafting.watched

    def timed(*given: object, **options: object) -> object:
        monkeypatch.setenv("COARSE_CLOCK", next(told))
        return real(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(drafting, "watched", timed)

    made = drafted(tmp_path, ("import os\ntext = open('given.txt').read()", "now = os.environ['COARSE_CLOCK']"))

    assert {row.name: row.verdict for row in made.equivalence.rows if row.what == "value"} == {
        "text": "equal",
        "now": "not steady",
    }
    assert next(told, "all") == "all"


def test_what_is_another_in_each_clean_folder_depends_on_it(tmp_path: Path) -> None:
    """However often it is asked."""
    (tmp_path / "given.txt").write_text("given")

    with pytest.raises(NotExported, match="`found` depends on what lies in the notebook's folder"):
        drafted(tmp_path, ("import os", "found = os.path.exists('given.txt')"))


def test_what_a_library_displays_is_kept_for_the_cell_that_runs(tmp_path: Path) -> None:
    """Whether a module from beside the notebook displays it, or one that is installed."""
    place = tmp_path / "notebooks"
    notebook = write_notebook(
        place / "shown.ipynb",
        "import ipywidgets\nfrom beside import tell\ndef twice(text):\n    tell(text)\n    tell(text)",
        "twice('a')",
        "tell('b', 'c')\ntell('d')\n'last'",
        "ipywidgets.interact(lambda n: None, n=(0, 4))",
    )
    (place / "beside.py").write_text(
        "from IPython.display import Markdown, display\ndef tell(*texts):\n    display(*map(Markdown, texts))\n"
    )

    package = exported(notebook)

    asks = (
        "import shown_draft\nkept = shown_draft.run().displayed\n"
        "print([[getattr(each, 'data', str(each)) for each in held] for held in list(kept.values())[:2]])\n"
        "print([type(each).__name__ for each in list(kept.values())[2]])"
    )
    ran = python("-c", asks, folder=tmp_path, path=package / "src")
    assert ran.stdout.splitlines()[-2:] == ["[['a', 'a'], ['b', 'c', 'd', 'last']]", "['interactive', 'function']"], (
        ran.stderr
    )
    assert python("-m", "pytest", "-q", "tests", folder=package).returncode == 0


def test_what_plotly_shows_is_kept(tmp_path: Path) -> None:
    """In a kernel it hands its pictures to `display`; outside of one it would show nothing, or open a browser."""
    notebook = write_notebook(
        tmp_path / "notebooks/bars.ipynb",
        "import plotly.graph_objects as go\nbars = go.Figure(go.Bar(x=['a', 'b'], y=[1, 2]))",
        "bars.show()",
        "for n in range(2):\n    go.Figure(go.Scatter(y=[n, 1])).show()",
    )
    asks = (
        "import bars_draft\nkept = bars_draft.run().displayed\n"
        "print({cell: [sorted(shown) for shown in held] for cell, held in kept.items()})"
    )

    package = exported(notebook)
    ran = python("-c", asks, folder=tmp_path, path=package / "src")

    picture = ["application/vnd.plotly.v1+json"]
    assert ran.stdout.strip() == str({"c2": [picture], "c3": [picture, picture]}), ran.stderr
    assert python("-m", "pytest", "-q", "tests", folder=package).returncode == 0


def test_what_is_only_loaded_is_there_where_it_is_verified(tmp_path: Path) -> None:
    """Nobody reads the file, and yet the notebook is not what it was where it is gone."""
    notebook = write_notebook(tmp_path / "loads/loads.ipynb", "%load more.py", "x = 1\nx")
    (notebook.parent / "more.py").write_text("y = 2\n")

    package = exported(notebook)

    assert (package / "src/loads_draft/_data/more.py").is_file()
    assert carry_out(["verify", str(package)]) == 0


def test_a_file_that_may_have_changed_is_not_taken_for_its_text(tmp_path: Path) -> None:
    """Who writes a file in another way, or goes elsewhere, may run something else."""
    writes, runs = "%%writefile own.py\nx = 1", "%run -i own.py\ny = x"
    again = "open('own.py', 'w').write('x = 2')"

    for number, between in enumerate((again, "import os\nos.chdir('.')", "%cd .")):
        (folder := tmp_path / str(number)).mkdir()
        with pytest.raises(NotExported, match="brings names that nobody can see here"):
            drafted(folder, (writes, between, runs))
    # Now it is there before the notebook is, and is read as a script beside it.
    drafted(tmp_path, (writes, "z = 1", runs))
    with pytest.raises(NotExported, match=r"`%run own.py`: it is not as it was read"):
        drafted(tmp_path, (writes, again, runs))


def test_what_memory_happens_to_hold_proves_nothing(tmp_path: Path) -> None:
    """An array that nobody fills is another one each time, however alike two quick runs are; a filled one counts."""
    made = drafted(
        tmp_path,
        (
            "import numpy as np\nfor n in range(9):\n    few = np.arange(6.0)\nfew = None",
            "np.empty((2, 3))",
            "many = np.empty(5000)",
            "filled = np.ones((2, 3))\nfilled",
        ),
    )

    assert {row.name: row.verdict for row in made.equivalence.rows if row.what == "value"} == {
        "n": "equal",
        "few": "equal",
        "many": "not steady",
        "filled": "equal",
    }
    shown = [row.verdict for row in made.equivalence.rows if row.what == "displayed"]
    assert shown == ["not steady", "equal"]


def test_the_order_of_a_set_is_no_result_that_is_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hash seeds put these texts into one order, by chance, and a third one does not."""
    notebook = write_notebook(tmp_path / "notebooks/sets.ipynb", "pair = list({'a4', 'b4'})\nsize = len(pair)")

    package = exported(notebook)

    for seed in ("0", "1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        tested = python("-m", "pytest", "-q", "tests", folder=package)
        assert tested.returncode == 0, tested.stdout
    steps = package / "src/sets_draft/steps.py"
    steps.write_text(steps.read_text().replace("len(pair)", "len(pair) + 1"))
    assert "size: 3, expected 2" in python("-m", "pytest", "-q", "tests", folder=package).stdout


def test_scales_that_two_random_pictures_share_are_not_tested(tmp_path: Path) -> None:
    """What is drawn by chance is another one each time, and so are the ticks beside it, sooner or later."""
    notebook = write_notebook(
        tmp_path / "notebooks/random_pictures.ipynb",
        "import numpy as np\nimport matplotlib.pyplot as plt\nplt.plot(np.random.randn(50))\nplt.title('chance');",
    )

    package = exported(notebook)

    for _ in range(2):
        tested = python("-m", "pytest", "-q", "tests", folder=package)
        assert tested.returncode == 0, tested.stdout
    steps = next(path for path in package.rglob("steps.py"))
    steps.write_text(steps.read_text().replace('"chance"', '"Chance"'))
    assert "titles[1]: 'Chance', expected 'chance'" in python("-m", "pytest", "-q", "tests", folder=package).stdout
