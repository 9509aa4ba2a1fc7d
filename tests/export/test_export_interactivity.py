"""What cells show where a notebook asks for more than last values: what IPython's own shell shows is what is read."""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exported import exported, python, write_notebook
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from nbproof.errors import NotExported
from nbproof.export.draft import draft
from nbproof.export.interactivity import SHOWN
from nbproof.export.plain import as_plain

MODES = ("all", "last", "last_expr", "last_expr_or_assign", "none")
CELLS = [
    "1\n2\nx = 3",
    "x = 1\nx",
    "x = 1",
    "x = 1;",
    "1; 2; 3",
    "1\n2;",
    "1\n2  # not; the end",
    "for n in range(3):\n    n\n    n + 1\n'end'",
    "for n in range(2):\n    n\nelse:\n    'else'",
    "if True:\n    1\n    if False:\n        2\n    else:\n        3",
    "try:\n    1\n    raise ValueError\nexcept ValueError:\n    2\nelse:\n    3\nfinally:\n    4",
    "with open('/dev/null') as file:\n    1",
    "match 3:\n    case 3:\n        'three'\n    case _:\n        'other'",
    "def f():\n    'said'\n    1\n    return 2\nf()\nclass C:\n    3\nC.__name__",
    "1, 2\n(3, 4)\n*[5], 6\n[7]",
    "(1 +\n 2)\n'é', (\n'ü'\n)\nNone",
    "'''a\nb'''\n'c'",
    "print('printed')\nNone\n1",
    "x: int = 4",
    "x = 1\nx += 2",
    "x = y = 1",
    "x, y = 1, 2",
    "x = [1]\nx[0] = 2",
    "import os\nos.sep",
    "%matplotlib inline\n1\nx = 2",
    "1\nx = 2\n%matplotlib inline",
    "1\n2\n%matplotlib inline",
    "1;\n%matplotlib inline",
    "x = 1;\n%matplotlib inline",
    "%%time\n1\nx = 2",
    "%%time\n1\n2",
    "(lambda: 1)()\n[n for n in 'ab']\nTrue if 1 else 2",
    "while True:\n    'once'\n    break",
    "",
    "# nothing",
    "1;\n2",
    "    1\n    2",
    "x = %pwd\n1",
]


class Shell(InteractiveShell):
    """A shell without any window, as that of a kernel."""

    def enable_gui(self, gui: str | None = None) -> None:
        pass


@pytest.fixture(scope="module")
def shell() -> Iterator[InteractiveShell]:
    # A shell puts its own module in the place of this one.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        yield Shell.instance()
        Shell.clear_instance()


def shown_by_ipython(shell: InteractiveShell, source: str, mode: str) -> list[str]:
    """What the shell's own hook is told of, but what a `;` at the end hides."""
    found: list[str] = []
    shell.ast_node_interactivity = mode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shell.displayhook, "compute_format_data", lambda value: found.append(repr(value)) or ({}, {}))
        patch.setattr(shell.displayhook, "write_format_data", lambda *arguments, **options: None)
        patch.setattr(shell.displayhook, "write_output_prompt", lambda: None)
        shell.run_cell(source, store_history=True).raise_error()
    return found


def shown_by_us(source: str, mode: str) -> list[str]:
    """What the plain cell shows by its calls, and as its last value."""
    found: list[str] = []
    plain = as_plain(source, shows=mode)
    assert plain.refusals == ()
    assert len(plain.lines) >= len(plain.source.splitlines())
    tree = ast.parse(plain.source)
    names: dict[str, Any] = {module: importlib.import_module(module) for module in plain.modules}

    def show(value: Any) -> None:
        found.extend([] if value is None else [repr(value)])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, SHOWN, show, raising=False)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<plain>", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "<plain>", "eval"), names)
    if not plain.is_silenced:
        show(value)
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("source", CELLS)
def test_what_is_shown_is_what_ipython_shows(shell: InteractiveShell, source: str, mode: str) -> None:
    assert shown_by_us(source, mode) == shown_by_ipython(shell, source, mode)


STATEMENTS = st.sampled_from([
    "{n}", "x = {n}", "x += {n}", "'{n}'", "{n}, 1", "print({n})", "None", "if x > 3:\n    {n}\nelse:\n    x",
    "for i in range(2):\n    i + {n}", "f = (0).__add__({n})", "def g():\n    {n}\n    return {n}", "[{n}][0]", "x",
    "({n},\n x)",    "%matplotlib inline", "{n};", "with open('/dev/null'):\n    x\n    x = {n}",
])  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=6), st.sampled_from(MODES), st.sampled_from(["", ";", "  # ;"]))
def test_any_cell_shows_what_ipython_shows(shell: InteractiveShell, parts: list[str], mode: str, end: str) -> None:
    """Whatever stands in it, in whichever order."""
    source = "x = 0\n" + "\n".join(part.format(n=at) for at, part in enumerate(parts))
    # Behind a magic it would be the magic's own.
    source += "" if parts[-1].startswith("%") or source.endswith(";") else end

    assert shown_by_us(source, mode) == shown_by_ipython(shell, source, mode), source


WAYS = [
    "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.ast_node_interactivity = 'all'",
    "import IPython\nIPython.core.interactiveshell.InteractiveShell.ast_node_interactivity = 'all'",
    "%config InteractiveShell.ast_node_interactivity = 'all'",
    "%config InteractiveShell.ast_node_interactivity='all'\nx = 1",
    'get_ipython().ast_node_interactivity = "all"',
]


@pytest.mark.parametrize("way", WAYS)
def test_a_package_keeps_all_that_its_notebook_shows(tmp_path: Path, way: str) -> None:
    """From the next cell on, and with what is changed later as it was."""
    notebook = write_notebook(
        tmp_path / "notebooks/all.ipynb",
        "0\n1",
        f"{way}\n'not yet'\n'last'",
        "# More",
        "rows = [1]\nrows\nlen(rows)\nrows.append(2)\nfor n in range(2):\n    n",
        "from IPython.display import display as show_it\nshow_it('once')\n2",
        "%config InteractiveShell.ast_node_interactivity = 'last_expr_or_assign'",
        "rows\ntotal = sum(rows)",
    )
    made = exported(notebook)
    script = "import all_draft, json; print(json.dumps(all_draft.run().displayed))"
    (tmp_path / "elsewhere").mkdir()

    ran = python("-c", script, folder=tmp_path / "elsewhere", path=made / "src")

    assert json.loads(ran.stdout) == {"c1": [1], "c2": ["last"], "c4": [[1], 1, 0, 1], "c5": ["once", 2], "c7": [3]}


def test_of_a_notebook_that_is_run_nothing_is_shown(tmp_path: Path) -> None:
    """What it says about cells below holds for those of the notebook that runs it."""
    write_notebook(tmp_path / "setup.ipynb", WAYS[2], "y = 1\ny\ny")
    notebook = write_notebook(tmp_path / "notebook.ipynb", "%run setup.ipynb", "y\ny + 1")

    made = draft(notebook)

    shown = [row for row in made.equivalence.rows if row.what == "displayed"]
    assert [(row.name, row.verdict) for row in shown] == [("c2[0]", "equal"), ("c2[1]", "equal")]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (("if True:\n    %config InteractiveShell.ast_node_interactivity = 'all'",), "cell 1, line 2: what the cells"),
        (("mode = 'all'\nget_ipython().ast_node_interactivity = mode",), "speaks to IPython's shell"),
        (("import IPython as i\nmode = 'all'\ni.InteractiveShell.ast_node_interactivity = mode",), "line 3: what the"),
        (("import IPython as i\nsetattr(i.InteractiveShell, 'ast_node_interactivity', 'all')",), "line 2: what the"),
        (("%config InteractiveShell.ast_node_interactivity = 'everything'",), "cell 1, line 1: what the cells"),
        ((WAYS[2], "x = 1\n%time x\nx"), "cell 2, line 2: a magic in a cell that shows more"),
        ((WAYS[2], "x = 1\nx\n%run setup.ipynb\nx"), "cell 2, line 1: it runs another notebook where"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, cells: tuple[str, ...], words: str) -> None:
    """Rather than show less than the notebook does."""
    write_notebook(tmp_path / "setup.ipynb", "y = 1\ny")
    notebook = write_notebook(tmp_path / "notebook.ipynb", *cells, "x = 2")

    with pytest.raises(NotExported, match=words):
        draft(notebook)
