"""Cells of IPython as plain Python: what IPython's own shell makes of a cell, plain Python makes of what was read."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import os
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from nbproof.export.plain import Plain, as_plain, indented
from nbproof.notebook.syntax import python_tree

KEEPS = [
    "x = 1\ny = x + 1",
    "%matplotlib inline\nx = 1",
    "%config InlineBackend.figure_format = 'retina'\nx = 2",
    "%load_ext autoreload\n%autoreload 2\nx = 3",
    "%time x = sum(range(10))  # how long?",
    "x = %time sum(range(10))",
    "%%time\n\nx = 1\ny = [x\n     for _ in range(2)]",
    "%prun x = 5",
    "%%capture\nprint('hidden')\nx = 1",
    "%%capture shown\nprint('kept')\nx = '''a\n  b'''",
    "%%capture --no-stderr shown\nprint('kept')",
    "%%capture\n%time x = 1\n%env NBX_THREE=3",
    "if True:\n    %matplotlib inline\n    %config X.y = 1\nx = 1",
    "for n in range(3):\n    %time x = n",
    "try:\n    raise ImportError\nexcept ImportError:\n    %matplotlib inline\nx = 4",
    "def f():\n    %time y = 2\n    return 3\nx = f()",
    "%env NBX_ONE=first value",
    "%env NBX_TWO second",
    "import os\n%set_env NBX_ONE=3\nx = %env NBX_ONE",
    "name = 'deep'\nimport os\nos.makedirs(name, exist_ok=True)\n%cd {name}\nx = os.getcwd()",
    "name = 'down'\nimport os\nos.makedirs(name, exist_ok=True)\n%cd -q $name\nx = os.getcwd()",
    "x = %pwd",
    "%%writefile made.txt\n  a {b} $c 'd' \\n\nlast",
    "%%writefile -a more.txt\nfirst\n",
    "%%file made.py\nx = 1\n",
    "x = !printf 'a\\nb'",
    "word = 'spoken'\nx = !echo {word}",
    "x = !echo one; echo two >&2",
    "?len\nx = 1",
    "x = [1]\nx?",
    "!ls -l\nx = 1",
    "%timeit -n 1 -r 1 x_timed = 1\ny = 2",
    "%%timeit -n 1 -r 1\nx_timed = 1",
    "import sys\nif False:\n    !{sys.executable} -m pip install nothing-at-all\nx = 1",
    "\n\n%time x = 1\n\ny = 2",
    "x = '%time is no magic here'\ny = '''\n%matplotlib inline\n!ls\n'''",
    "get_ipython().run_line_magic('time', 'x = 7')",
    "x = 1;",
]  # fmt: skip


class Shell(InteractiveShell):
    """A shell without any window, as that of a kernel."""

    def enable_gui(self, gui: str | None = None) -> None:
        pass


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    # A shell puts its own module in the place of this one and, when it is reset, takes away what it is known by.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    made = Shell.instance()
    made.reset(new_session=False)
    yield made
    Shell.clear_instance()


@pytest.fixture(autouse=True)
def _everything_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def seen(names: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a cell has left: plain values by name, captured output, variables of the environment, files, the folder."""
    values = {
        name: value.stdout if hasattr(value, "stdout") else list(value) if isinstance(value, list) else value
        for name, value in names.items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType | types.FunctionType)
        and name not in ("In", "Out", "get_ipython", "exit", "quit", "open", "display")
    }
    environment = {name: value for name, value in os.environ.items() if name.startswith("NBX_")}
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    return {"values": values, "environment": environment, "files": files,
            "folder": Path.cwd().relative_to(folder)}  # fmt: skip


def left_by_plain(plain: Plain, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    os.chdir(folder)
    names: dict[str, Any] = {}
    for module in plain.modules:
        importlib.import_module(module)
        names[module.partition(".")[0]] = importlib.import_module(module.partition(".")[0])
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(plain.source, "<plain>", "exec"), names)
    names.pop("__builtins__")
    return seen(names, folder)


def left_by_ipython(shell: InteractiveShell, source: str, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()):
        answer = shell.run_cell(source)
    answer.raise_error()
    return seen(dict(shell.user_ns), folder)


@pytest.mark.parametrize("source", KEEPS)
def test_plain_python_leaves_what_ipython_leaves(shell: InteractiveShell, tmp_path: Path, source: str) -> None:
    """Values, captured output, environment, files and the working folder are the same, and no shell is needed."""
    plain = as_plain(source)
    assert plain.refusals == ()
    assert "get_ipython" not in plain.source
    environment = dict(os.environ)

    ours = left_by_plain(plain, tmp_path / "ours")
    os.environ.clear()
    os.environ.update(environment)
    theirs = left_by_ipython(shell, source, tmp_path / "theirs")

    for value in (ours, theirs):
        value["values"] = {name: str(text).replace("/ours", "/theirs") for name, text in value["values"].items()}
    assert ours == theirs


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("x = 1\n%run other.py", 2, "%run other.py"),
        ("%%bash\nls", 1, "%%bash"),
        ("%load_ext sql", 1, "extension `sql`"),
        ("\n%sql select 1", 2, "`%sql` is not known"),
        ("%%cython\ndef f(): pass", 1, "`%%cython` is not known"),
        ("for n in [1]:\n    !rm -rf build", 2, "rm -rf build"),
        ("!cat a > b", 1, "cat a > b"),
        ("!git commit -m x", 1, "git commit"),
        ("%system rm -r a", 1, "rm -r a"),
        ("%reset -f", 1, "%reset"),
        ("x = %who_ls", 1, "%who_ls"),
        ("x = %timeit -o 1", 1, "another one each time"),
        ("%cd -", 1, "only the shell knows"),
        ("x = get_ipython().ast_node_interactivity", 1, "speaks to IPython's shell"),
        ("if 'google.colab' in str(get_ipython()):\n    x = 1", 1, "speaks to IPython's shell"),
        ("%%time\nx = 1\n%run other.py", 3, "%run other.py"),
        ("!pip install -r needs.txt", 1, "needs.txt"),
        ("x = !echo $HOME", 1, "put together"),
    ],
)
def test_what_cannot_be_told_is_refused_with_its_line(source: str, line: int, words: str) -> None:
    """Each refusal names the line of the cell, the reason, and a change that would help."""
    (refusal,) = as_plain(source).refusals

    assert refusal.line == line
    assert words in refusal.reason
    assert refusal.hint


def test_every_refusal_is_told_at_once() -> None:
    """In the order of the lines, those below a cell magic, too."""
    plain = as_plain("%run a.py\n!rm x\n%reset -f\n")

    assert [refusal.line for refusal in plain.refusals] == [1, 2, 3]


@pytest.mark.parametrize(
    "source",
    ["!python --version", "!conda --help", "!git status", "%system ls", "%ls", "%pycat a.py", "%watermark -v",
     "%load_ext version_information"],
)  # fmt: skip
def test_what_only_shows_is_left_out(source: str) -> None:
    """Programs that say who they are, or how things stand; a program that does something is refused."""
    assert as_plain(source).refusals == ()
    assert as_plain(source).source.strip() == ""


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        ("!pip install -q pandas 'torch>=2' --index-url somewhere", ("pandas", "torch>=2")),
        ("%pip install shap==0.48", ("shap==0.48",)),
        ("import sys\n!{sys.executable} -m pip install -U lime", ("lime",)),
        ("%conda install -y -c conda-forge xgboost", ("xgboost",)),
    ],
)
def test_what_it_installs_becomes_a_requirement(source: str, needs: tuple[str, ...]) -> None:
    """Options are left out, ranges stay."""
    assert as_plain(source).needs == needs


def test_each_line_knows_where_it_came_from() -> None:
    """Through blank lines above, lines that are left out, lines joined by a backslash, and the body of a magic."""
    plain = as_plain("\n%matplotlib inline\na = 1\n!ls \\\n  -l\nb = 2\n%time c = 3\n")
    timed = as_plain("%%time\n\na = 1\n%time b = 2")

    assert list(zip(plain.source.splitlines(), plain.lines, strict=True)) == [("a = 1", 3), ("b = 2", 6), ("c = 3", 7)]
    assert list(zip(timed.source.splitlines(), timed.lines, strict=True)) == [("a = 1", 3), ("b = 2", 4)]


def test_comments_and_layout_stay() -> None:
    """Only what speaks to the shell is written anew."""
    source = "# why\nx = {  # the table\n    'a': 1,\n}\n%matplotlib inline\n\n\ny = x  # done\n"

    assert as_plain(source).source == source.replace("%matplotlib inline\n", "")


pieces = st.sampled_from(
    ["x = 1", "s = '''a\n  b\n'''", "t = (1,\n     2)", "if x:\n    y = 1", "# only words", "", 'u = f"""{1}\n z"""',
     "def f():\n    '''Says.\n\n    More.\n    '''\n    return 1"]
)  # fmt: skip


@given(st.lists(pieces, min_size=1, max_size=6))
def test_a_block_means_what_its_lines_meant(parts: list[str]) -> None:
    """Indenting changes no text that stands over several lines."""
    source = "x = 0\n" + "\n".join(parts) + "\n"

    block = ast.parse("if True:\n" + indented(source)).body[0]

    assert isinstance(block, ast.If)
    # A docstring is dumped as it stands, its own indentation included.
    assert [ast.dump(node) for node in block.body] == [ast.dump(node) for node in ast.parse(source).body]


@example("'\\:'")
@example(' ?"):#\\% ) !({"= %\\')
@example("\\\n?%% x(?!1?#$%a(a$1}= ! }")
@given(st.text(st.sampled_from("%!?x =()'\"\n \\{}$a1:#"), max_size=40))
def test_no_text_breaks_the_reader(source: str) -> None:
    """Whatever a cell holds: it is read, refused, or no Python; and what is read is Python."""
    try:
        plain = as_plain(source)
    except SyntaxError:
        return
    if not plain.refusals:
        python_tree(plain.source)
        assert len(plain.lines) == len(plain.source.splitlines())
        assert all(1 <= line <= source.count("\n") + 1 for line in plain.lines)


def test_the_body_of_a_captured_cell_keeps_its_texts() -> None:
    """A text over several lines is not moved to the right with the block that it stands in."""
    body = 'x = """\nleft\n"""\n'

    plain = as_plain("%%capture\n" + body)

    assert textwrap.dedent('    x = """\nleft\n"""') in plain.source


def test_a_file_that_the_notebook_wrote_is_run_as_its_text() -> None:
    """What `%run -i` runs, a `%%writefile` above has said; anything else stays a refusal."""
    written = {"own.py": "x = '''a\nb'''\nif x:\n    print(x)\n"}

    plain = as_plain("a = 1\n%run -i own.py\nb = 2", written)

    assert plain.source == "a = 1\nx = '''a\nb'''\nif x:\n    print(x)\nb = 2\n"
    assert plain.lines == (1, 2, 2, 2, 2, 3)
    assert as_plain("%run -i 'own.py'", written).refusals == ()
    for source in (
        "%run -i other.py",
        "%run -i -t own.py",
        "%run -i own.py 3",
        "if a:\n    %run -i own.py",
    ):
        assert [refusal.reason.partition(" brings")[0] for refusal in as_plain(source, written).refusals] == [
            f"`{source.rpartition(chr(10))[2].strip()}`"
        ]
