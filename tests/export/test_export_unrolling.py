"""Notebooks that a notebook runs by `%run`: as IPython runs them, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from exported import exported, python, write_notebook

from nbproof.cli.main import carry_out
from nbproof.errors import NotExported
from nbproof.export.draft import draft
from nbproof.export.reading import read
from nbproof.notebook import document

SETUP = (
    "# Setup",
    "import math\nscale = 2\nscale",
    ("def scaled(number):\n    return number * scale * math.pi", ["skip-execution"]),
)


def test_the_cells_stand_where_they_are_run(tmp_path: Path) -> None:
    """In order, without their tags, silent, and named by their own notebook; what stands around them stays around."""
    write_notebook(tmp_path / "setup.ipynb", *SETUP)
    own = write_notebook(tmp_path / "own.ipynb", "a = 1", "b = a\n%run setup.ipynb\nc = scaled(b)\nc", "d = c")

    reading = read(document.read(own))

    assert reading.refusals == ()
    assert [(reading.place(step.number), step.source.split("\n")[0], step.is_silenced) for step in reading.steps] == [
        ("cell 1", "a = 1", False),
        ("cell 2", "b = a", True),
        ("cell 2 of setup.ipynb", "import math", True),
        ("cell 3 of setup.ipynb", "def scaled(number):", True),
        ("cell 2", "c = scaled(b)", False),
        ("cell 3", "d = c", False),
    ]
    assert reading.steps[4].lines == (3, 4)
    assert [step.id for step in reading.steps if step.id in ("c1", "c2", "c3")] == ["c1", "c2", "c3"]
    assert len({step.id for step in reading.steps}) == 6


def shown_by_a_shell(folder: Path, own: Path) -> dict[str, object]:
    """What IPython itself makes of a notebook: its names that are numbers or texts."""
    code = (
        "import json, sys, IPython.terminal.interactiveshell as i\n"
        "shell = i.TerminalInteractiveShell.instance()\n"
        f"for cell in json.load(open({str(own)!r}))['cells']:\n"
        "    if cell['cell_type'] == 'code':\n"
        "        shell.run_cell(cell['source'], store_history=True).raise_error()\n"
        "left = {n: v for n, v in shell.user_ns.items() if type(v) in (int, float, str, list) and n[0] != '_'}\n"
        "sys.stderr.write(json.dumps({n: v for n, v in left.items() if n not in ('In', 'Out')}))"
    )
    ended = python("-c", code, folder=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told: dict[str, object] = json.loads(ended.stderr.splitlines()[-1])
    return told


RUNNING: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "functions and values": ((*SETUP[1:2], SETUP[2][0]), ("%run setup.ipynb", "scale = 3\nx = scaled(1)\nx")),
    "twice": (("rows = []\nrows.append(1)",), ("%run setup.ipynb", "rows.append(2)\n%run 'setup.ipynb'\nn = rows[0]")),
    "quoted, with an option": (("x = 5",), ('%run -i "./setup.ipynb"  # once', "y = x")),
    "magics inside": (("%matplotlib inline\n%time x = 5\n!echo hello",), ("%run setup.ipynb\ny = x",)),
    "where a name is bound anew": (("x = x + 1\ny = [x]",), ("x = 1\n%run setup.ipynb\nx = x * 10", "y.append(x)")),
    "as the main program": (("if __name__ == '__main__':\n    x = 1",), ("%run setup.ipynb", "x")),
    "adds to the path": (
        ("import os, sys\nplace = 'lib'\nif place not in sys.path:\n    sys.path.insert(0, place)\nimport own_part",),
        ("%run setup.ipynb", "x = own_part.x"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if at > 2 else ()) for at, case in enumerate(RUNNING)]
)
def test_it_gives_what_ipython_gives(tmp_path: Path, case: str) -> None:
    """Held against a shell that knows nothing of the exporter."""
    theirs, own_cells = RUNNING[case]
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/own_part.py").write_text("x = 9\n")
    write_notebook(tmp_path / "setup.ipynb", *theirs)
    own = write_notebook(tmp_path / "own.ipynb", *own_cells)

    made = draft(own, timeout_s=100)

    assert made.equivalence.holds
    wanted = {name: repr(value) for name, value in shown_by_a_shell(tmp_path, own).items()}
    assert {name: value.text for name, value in made.first.values.items() if name in wanted} == wanted


def test_figures_end_with_the_cell_that_drew_them(tmp_path: Path) -> None:
    """Also within the notebook that is run: each cell of it begins with no figure, as IPython has it."""
    write_notebook(tmp_path / "setup.ipynb", "import matplotlib.pyplot as plt\nplt.plot([1])", "plt.plot([2])")
    own = write_notebook(tmp_path / "own.ipynb", "%run setup.ipynb", "plt.plot([3]);")

    made = draft(own, timeout_s=100)

    assert [len(cell.figures) for cell in made.first.cells] == [1, 1, 1]
    assert made.equivalence.holds


def test_one_runs_another(tmp_path: Path) -> None:
    """However deep, as long as none runs itself; names are looked up from where the first one works."""
    (tmp_path / "more").mkdir()
    write_notebook(tmp_path / "more/inner.ipynb", "x = 1")
    write_notebook(tmp_path / "setup.ipynb", "%run more/inner.ipynb\ny = x + 1")
    own = write_notebook(tmp_path / "own.ipynb", "%run setup.ipynb\nz = y + 1")

    made = draft(own, timeout_s=100)

    assert made.first.values["z"].text == "3"
    assert {each.path for each in made.needed.data} == {"setup.ipynb", "more/inner.ipynb"}


SCRIPT = "import math\nscale = 2\n\ndef scaled(number):\n    return number * scale\n\nif scale > 5:\n    more = 1\n"
SCRIPTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "by itself": (
        SCRIPT,
        ("scale, more = 7, 0\n%run own.py\na = scale", "scale = 10\nx = scaled(1)\ny = math.floor(2.5)"),
    ),
    "among the names": ("x = x + 1\ndef f():\n    return x", ("x = 1\n%run -i own.py", "x = 5\ny = f()")),
    "as the main program": ("if __name__ == '__main__':\n    x = 1\ny = 2", ("%run 'own.py'  # now\nz = y + x",)),
    "a name that is gone": ("for i in range(3):\n    pass\ndel i\nk = 1", ("i = 9\n%run own.py\nz = i + k",)),
    "one that fails halfway": (
        "try:\n    x = 1 / 0\nexcept ZeroDivisionError as e:\n    y = str(e)",
        ("%run own.py", "z = y"),
    ),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if at > 1 else ()) for at, case in enumerate(SCRIPTS)]
)
def test_a_script_gives_what_it_gives_in_ipython(tmp_path: Path, case: str) -> None:
    """Its functions keep names of their own unless it runs among those of the notebook."""
    text, own_cells = SCRIPTS[case]
    (tmp_path / "own.py").write_text(text)
    own = write_notebook(tmp_path / "own.ipynb", *own_cells)

    made = draft(own, timeout_s=100)

    assert made.equivalence.holds
    wanted = {name: repr(value) for name, value in shown_by_a_shell(tmp_path, own).items()}
    assert {name: value.text for name, value in made.first.values.items()} == wanted
    assert [each.path for each in made.needed.data] == ["own.py"]


def test_a_script_may_lie_elsewhere(tmp_path: Path) -> None:
    """Near by, where it imports nothing of what lies beside it, and nothing there hides what others import."""
    place = tmp_path / "trees"
    place.mkdir()
    (place / "tree.py").write_text("import math\n\nclass Tree:\n    size = math.floor(2.5)\n")
    (place / "other.py").write_text("")
    (tmp_path / "own").mkdir()
    own = write_notebook(tmp_path / "own/own.ipynb", "%run ../trees/tree.py", "x = Tree().size")

    made = draft(own, timeout_s=100)

    assert made.first.values["x"].text == "2"
    assert made.equivalence.holds
    (place / "random.py").write_text("")
    assert len(read(document.read(own)).refusals) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import sys\nx = sys.argv[0]", "%run own.py"),
        ("from math import *", "%run own.py"),
        ("x = __file__", "%run -i own.py"),
        ("x = len(globals())", "%run own.py"),
        ("x = 1", "%run own.py 3"),
        ("x = 1", "if 1:\n    %run own.py"),
        ("x = 1", "import os\nos.chdir('lib')\n%run own.py"),
        ("import beside", "%run lib/own.py"),
        ("x = (", "%run own.py"),
    ],
)
def test_a_script_that_would_find_something_else_is_refused(tmp_path: Path, text: str, line: str) -> None:
    """What it is told, where it lies, and which names it leaves have to be known."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/beside.py").write_text("")
    for place in ("own.py", "lib/own.py"):
        (tmp_path / place).write_text(text)
    own = write_notebook(tmp_path / "own.ipynb", line)

    told = [str(each) for each in read(document.read(own)).refusals]

    assert len(told) == 1
    assert "brings names that nobody can see here" in told[0]


REFUSED: dict[str, tuple[dict[str, tuple[str, ...]], tuple[str, ...], str]] = {
    "none": ({}, ("x = 1\n%run setup.ipynb",), "cell 1, line 2: `%run setup.ipynb`: there is no such notebook"),
    "itself": (
        {"setup": ("%run setup.ipynb",)},
        ("%run setup.ipynb",),
        "cell 1 of setup.ipynb, line 1: `%run setup.ipynb`: it is run by itself",
    ),
    "what it does": (
        {"setup": ("a = 1", "\nx = dir()")},
        ("%run setup.ipynb",),
        "cell 2 of setup.ipynb, line 2: `dir`",
    ),
    "its own file": ({"setup": ("here = __file__",)}, ("%run setup.ipynb",), "it asks for its own file"),
    "the path": ({"setup": ("import sys\nx = sys.path[0]",)}, ("%run setup.ipynb",), "where modules come from"),
    "modules beside it": (
        {"lib/setup": ("import own_part",)},
        ("%run lib/setup.ipynb",),
        "it lies in another folder, and may import what is there",
    ),
    "in a block": ({"setup": ("x = 1",)}, ("if True:\n    %run setup.ipynb",), "brings names that nobody can see"),
    "a name that is put together": ({"setup": ("x = 1",)}, ("a = 1\n%run {a}.ipynb",), "brings names that nobody"),
    "below a magic": ({"setup": ("x = 1",)}, ("%%time\n%run setup.ipynb",), "brings names that nobody can see"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_known_is_refused(tmp_path: Path, case: str) -> None:
    """With the notebook, the cell and the line."""
    notebooks, own_cells, reason = REFUSED[case]
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/own_part.py").write_text("x = 9\n")
    for name, cells in notebooks.items():
        write_notebook(tmp_path / f"{name}.ipynb", *cells)
    own = write_notebook(tmp_path / "own.ipynb", *own_cells)

    told = [str(each) for each in read(document.read(own)).refusals]

    assert len(told) == 1
    assert reason in told[0]


SEEN: dict[str, tuple[tuple[str, ...], str]] = {
    "another folder": (("import os\nos.makedirs('a', exist_ok=True)\nos.chdir('a')", "%run setup.ipynb"),
                       "is run from another folder"),
    "written by the notebook": (
        ("import pathlib\np = pathlib.Path('setup.ipynb')\np.write_text(p.read_text())\n1", "%run setup.ipynb"),
        "`setup.ipynb`",
    ),
    "a figure that it would draw on": (
        ("import matplotlib.pyplot as plt\nplt.plot([1])\n%run setup.ipynb",),
        "cell 1 draws, and then runs a notebook",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SEEN)
def test_what_is_seen_to_be_otherwise_is_refused(tmp_path: Path, case: str) -> None:
    """What nobody who only reads could know shows when it runs."""
    own_cells, reason = SEEN[case]
    write_notebook(tmp_path / "setup.ipynb", "x = 1")
    own = write_notebook(tmp_path / "own.ipynb", *own_cells)

    with pytest.raises(NotExported, match=reason):
        draft(own, timeout_s=100)


@pytest.mark.slow
def test_a_package_holds_the_notebook_that_was_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its hash; where it fails it names the cell, and verified anywhere it is read from what came along."""
    place = tmp_path / "notebooks"
    setup = write_notebook(place / "setup.ipynb", "def half(number):\n    return number // (number - 4) // 2")
    own = write_notebook(place / "own.ipynb", ("rows: int = 6", ["parameters"]), "%run setup.ipynb\nx = half(rows)\nx")

    package = exported(own)
    told = json.loads((package / "PROVENANCE.json").read_text())
    setup.unlink()

    assert told["notebook"]["runs"][0]["name"] == "setup.ipynb"
    assert told["notebook"]["runs"][0]["sha256"] in {each["sha256"] for each in told["working"]["data"]}
    assert carry_out(["verify", str(package)]) == 0
    failed = python("-m", package.name, "--rows", "4", folder=tmp_path, path=package / "src")
    assert "cell 1 of setup.ipynb, line 2" in failed.stderr
    held = package / "src" / package.name / "_data/setup.ipynb"
    held.chmod(0o644)
    held.write_text(held.read_text().replace("// 2", "// 3"))
    capsys.readouterr()
    assert carry_out(["verify", str(package)]) != 0
    assert "_data/setup.ipynb changed" in capsys.readouterr().err
