"""The code of a package is typed, documented, formatted and clean, and each line knows where it came from."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from drafts import drafted

from nbproof.export.draft import draft
from nbproof.export.packaging.requirements import Requirements
from nbproof.export.packaging.writing import Described, project
from nbproof.export.shaping.annotating import Facts, Signature, annotated
from nbproof.export.shaping.documenting import commanding, documented
from nbproof.export.shaping.following import followed
from nbproof.export.shaping.polishing import kind_declared
from nbproof.export.shaping.tidying import commented, findings, formatted, marked, mended, tidied
from nbproof.export.shaping.typechecking import SETTINGS, type_checked
from nbproof.export.watching.called import MOST_CALLS, Called
from nbproof.export.watching.executor import CellCode
from nbproof.export.watching.kinds import kind_of, united
from nbproof.export.watching.watch import watch


class Loud:
    """A value that tells when somebody looks into it."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1, "int"),
        (None, "None"),
        ([1, 2.5], "list[float]"),
        ([1, "a"], "list[Any]"),
        ([1, None], "list[int | None]"),
        ([], "list[Any]"),
        ({"a": [1]}, "dict[str, list[int]]"),
        ((1, "a"), "tuple[int, str]"),
        ((1,) * 9, "tuple[int, ...]"),
        ([(1, "a")], "list[tuple[int, str]]"),
        ({1}, "set[int]"),
        (Path(), "pathlib.Path"),
        (len, "collections.abc.Callable[..., Any]"),
        (int, "type[Any]"),
        (iter([]), "collections.abc.Iterator[Any]"),
        ({}.keys(), "collections.abc.KeysView[Any]"),
    ],
)
def test_types_are_named_as_annotations_name_them(value: object, kind: str) -> None:
    """By public names, with what is in containers; a mixture is anything."""
    assert kind_of(value) == kind


def test_classes_of_libraries_have_their_shortest_public_name() -> None:
    """Nobody should import from where a library keeps its parts."""
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")

    assert kind_of(pandas.DataFrame()) == "pandas.DataFrame"
    assert kind_of(numpy.random.default_rng(0)) == "numpy.random.Generator"
    assert kind_of(numpy.float64(1)) == "float"
    assert kind_of(numpy.int64(1)) == "numpy.int64"


def test_looking_at_a_type_asks_the_value_nothing() -> None:
    """A stand-in that loads itself when somebody asks for an attribute stays as it is."""
    assert kind_of([Loud()]) == f"list[{kind_of(Loud())}]"


@pytest.mark.parametrize(
    ("kinds", "one"),
    [
        (["int", "None", "str"], "int | str | None"),
        (["int", "float"], "float"),
        (["bool", "int"], "int"),
        (["list[int]", "list[str]"], "list[Any]"),
        (["a.A", "b.B", "c.C", "d.D"], "Any"),
        (["int | None", "int"], "int | None"),
    ],
)
def test_what_was_seen_becomes_one_annotation(kinds: list[str], one: str) -> None:
    """A union of up to three, with None last."""
    assert united(kinds) == one


CALLS = """
import asyncio
class Box:
    def __init__(self, a, *more, b=2, **rest):
        self.a = a
    @property
    def twice(self):
        return self.a * 2
def every(n):
    for at in range(n):
        yield at
async def wait(x):
    await asyncio.sleep(0)
    return 'x'
def fails(x):
    raise ValueError(x)
def outer(f):
    def inner(*a):
        return f(*a)
    return inner
def half(n):
    return n / 2
box = Box(1, 'a', b=3, z=1.5)
box.twice
list(every(3))
waited = await wait(3)
try:
    fails(None)
except ValueError:
    pass
outer(half)(2)
half(None or 3.0)
"""


def test_calls_tell_types(tmp_path: Path) -> None:
    """Of functions, methods and what is defined inside of them; a generator gives what it yields."""
    run = watch([CellCode(7, CALLS)], tmp_path, timeout_s=120, listens=True)

    assert not run.error
    calls = "collections.abc.Callable[..., Any]"
    assert {each.name: (each.takes, each.gives) for each in run.calls} == {
        "__init__": ({"self": "__main__.Box", "a": "int", "more": "str", "b": "int", "rest": "float"}, "None"),
        "twice": ({"self": "__main__.Box"}, "int"),
        "every": ({"n": "int"}, "int"),
        "wait": ({"x": "int"}, "str"),
        "fails": ({"x": "None"}, None),
        "outer": ({"f": calls}, calls),
        "inner": ({"a": "int"}, "float"),
        "half": ({"n": "float"}, "float"),
    }
    assert {(each.cell, each.line) for each in run.calls if each.name == "twice"} == {(7, 6)}
    assert run.cells[0].kinds["box"] == "__main__.Box"


def test_listening_changes_no_value(tmp_path: Path) -> None:
    """Whether somebody listens or not, the notebook leaves the same; and a profiler of its own is left alone."""
    cells = [
        CellCode(1, "import sys\ndef f(n):\n    return 1 if n < 2 else n * f(n - 1)\nx = [f(n) for n in range(9)]"),
        CellCode(2, "def mine(*a):\n    pass\nsys.setprofile(mine)"),
        CellCode(3, "kept = sys.getprofile() is mine\nsys.setprofile(None)"),
    ]

    heard, alone = (watch(cells, tmp_path, timeout_s=120, listens=listens) for listens in (True, False))

    assert heard.values == alone.values
    assert heard.values["kept"].text == "True"
    assert alone.calls == ()


def test_nobody_listens_for_ever(tmp_path: Path) -> None:
    """After some hundred calls a function has shown what it takes."""
    source = f"def f(n):\n    return n\nfor _ in range({MOST_CALLS + 5}):\n    f(1)\nf('late')"

    run = watch([CellCode(1, source)], tmp_path, timeout_s=120, listens=True)

    assert [call.takes for call in run.calls] == [{"n": "int"}]


WRITTEN = '''"""Steps."""

from __future__ import annotations

import pandas as pd


def mean(frame, column = 'a'):
    # What is in the middle.
    return frame[column].mean()


class Box:
    def __init__(self, size=None):
        self.size = size


def loaded():
    frame = pd.DataFrame({'a': [1, 2]})

    box = Box(); other = Box()
    return frame, box
'''
ORIGINS = tuple((1, line) if line >= 8 and text.strip() else None
                for line, text in enumerate(WRITTEN.split("\n")[:-1], start=1))  # fmt: skip


def test_types_and_their_imports_are_written() -> None:
    """Names that the module has serve; what else is needed is imported for type checkers alone."""
    called = {(1, 8): Called(1, 8, "mean", {"frame": "pandas.DataFrame", "column": "str"}, "float")}
    sections = {"loaded": Signature({}, "tuple[pandas.DataFrame, __main__.Box]")}
    facts = Facts(sections, {**called, (1, 14): Called(1, 14, "__init__", {"size": "pathlib.Path"}, "None")}, {})

    text = formatted(annotated(WRITTEN, ORIGINS, facts))

    assert (
        "import pandas as pd\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from pathlib import Path\n"
        in text
    )
    assert 'def mean(frame: pd.DataFrame, column: str = "a") -> float:' in text
    assert "def __init__(self, size: Path | None = None) -> None:" in text
    assert "def loaded() -> tuple[pd.DataFrame, Box]:" in text


def test_what_an_author_wrote_stays() -> None:
    """Annotations and docstrings of the notebook are not touched."""
    text = 'def f(x: int, y) -> "str":\n    """Say it."""\n    return y\n'
    facts = Facts({}, {(1, 1): Called(1, 1, "f", {"x": "float", "y": "str"}, "str")}, {})

    assert documented(annotated(text, ((1, 1), (1, 2), (1, 3)), facts)) == text.replace("y)", "y: str)")


def test_a_decorator_that_may_read_annotations_gets_none() -> None:
    """A web framework, say, does something else for an annotated function."""
    text = "@app.get('/')\ndef f(x):\n    return x\n"

    assert annotated(text, ((1, 1),) * 3, Facts({}, {(1, 1): Called(1, 1, "f", {"x": "int"}, "int")}, {})) == text


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def plot_curve(data):\n    pass", "Plot curve."),
        ("def is_prime(n):\n    return n > 1", "Tell whether it is prime."),
        ("def features_of(rows):\n    return rows", "Return features of `rows`."),
        ("def sigmoid(x):\n    return x", "Return sigmoid of `x`."),
        ("def main():\n    pass", "Carry out `main`."),
        ("def log_loss(y):\n    return y", "Return log loss of `y`."),
        ("class LinearModel(Module):\n    pass", "A linear model, a kind of `Module`."),
    ],
)
def test_what_has_no_docstring_gets_an_honest_line(source: str, line: str) -> None:
    """It is made of the name, and of whether something is returned."""
    found = documented(source)

    assert f'"""{line}"""' in found
    assert [each for each in ast.walk(ast.parse(found)) if isinstance(each, ast.Pass | ast.Return)]


def test_whatever_a_linter_finds_is_named_where_it_stands() -> None:
    """Nothing of it is changed, and then nothing is found."""
    text = formatted(
        '"""Steps."""\n\nimport os\n\n\ndef f(x: int) -> None:\n    """Returns it."""\n    x == None  # why\n'
    )

    found = marked(text)

    assert "import os  # noqa: F401" in found
    assert "x == None  # why  # noqa: B015" in found
    assert findings(found) == []
    assert formatted(found) == found
    assert ast.dump(ast.parse(found)) == ast.dump(ast.parse(text))


def test_comments_of_type_checkers_stand_first() -> None:
    """They are heard nowhere else."""
    assert commented("x = 1  # why\ny = 2", {1: "# type: ignore[a]", 2: "# b"}, is_first=True) == (
        "x = 1  # type: ignore[a]  # why\ny = 2  # b"
    )


def test_lines_are_followed_through_all_of_it() -> None:
    """Each line of the finished text comes from the line that says the same, however it was broken or joined."""
    facts = Facts({"loaded": Signature({}, "tuple[pandas.DataFrame, __main__.Box]")}, {}, {})
    text = formatted(WRITTEN)
    text = annotated(text, followed(WRITTEN, ORIGINS, text), facts)
    text = marked(formatted(mended(formatted(documented(text)))))

    origins = followed(WRITTEN, ORIGINS, text)

    found = {line.strip(): origin for line, origin in zip(text.splitlines(), origins, strict=True) if line.strip()}
    assert found["# What is in the middle."] == (1, 9)
    assert found["return frame[column].mean()"] == (1, 10)
    assert found["class Box:"] == (1, 13)
    assert found['frame = pd.DataFrame({"a": [1, 2]})'] == (1, 19)
    assert found["box = Box()"] == (1, 21)
    assert found["return frame, box"] == (1, 22)
    assert found['"""Set up a box."""'] is None
    assert found["import pandas as pd"] is None


def test_a_broken_line_comes_from_one() -> None:
    """Every line of a call that a formatter has broken comes from the line that it stood on."""
    before = "def f():\n    x = 1\n    return call(" + ", ".join(f"argument_{at}" for at in range(9)) + ")\n"

    after = formatted(before)

    assert len(after.splitlines()) == 13
    assert followed(before, ((1, 1), (1, 2), (1, 3)), after) == ((1, 1), (1, 2), *[(1, 3)] * 11)


def test_declared_types_lose_their_limits() -> None:
    """A section takes what the contract declares."""
    assert kind_declared("Annotated[float, Ge(0), Le(1)]") == "float"
    assert kind_declared("Path | None") == "pathlib.Path | None"


def test_ruff_is_there() -> None:
    """The formatter is a program, and comes with the extra that brings it."""
    told = subprocess.run([sys.executable, "-m", "ruff", "--version"], capture_output=True, text=True)

    assert told.stdout.startswith("ruff ")


def test_names_of_types_stand_at_the_top(tmp_path: Path) -> None:
    """Functions are annotated with them, and what they are made of stands there, too."""
    cells = ("from typing import List\nBead = int\nRing = List[Bead]\n\ndef ring(n: Bead) -> Ring:\n    return [n]",
             "# Use", "made = ring(1)")  # fmt: skip

    made = drafted(tmp_path, cells)

    assert made.shape == "sections"
    assert "Bead = int\nRing = List[Bead]" in made.files["steps.py"]
    assert "def ring(n: Bead) -> Ring:" in made.files["steps.py"]
    assert "made = ring(1)" in made.files["steps.py"]


def test_first_words_of_docstrings_become_commands() -> None:
    """What a linter says is no command, and only where the verb is known."""
    text = '    """Returns it."""\n    """Making more."""\n    """Features of it."""\n'

    assert commanding(text, [1, 2, 3]) == '    """Return it."""\n    """Make more."""\n    """Features of it."""\n'


def test_what_a_type_checker_finds_is_marked() -> None:
    """By the name of the rule, before other comments; and then it finds nothing."""
    text = '"""Steps."""\n\n\ndef f(n: int) -> str:\n    """Say it."""\n    return n  # why\n'

    found = type_checked({"steps.py": text, "__init__.py": '"""All."""\n'})

    assert found["steps.py"] == text.replace("# why", "# type: ignore[return-value]  # why")
    assert type_checked(found) == found


def test_packages_say_the_settings_that_their_code_was_checked_with() -> None:
    """Whoever checks the package again finds as little."""
    told = Described("p", "P", "p.ipynb", "sha256:0", "", "nbproof")

    written = tomllib.loads(project(told, Requirements((), (), "3.11.7"), ())["pyproject.toml"].decode())["tool"]

    assert {name: str(written["mypy"][name]).lower() for name in SETTINGS} == SETTINGS
    assert written["ruff"]["lint"] == {"extend-select": ["ANN", "D"], "ignore": ["D203", "D213"]}


def long_notebook() -> tuple[str, ...]:
    """Forty lines below one heading: two halves, of which the second needs one name of the first."""
    first = ["import math", "a0 = math.floor(1.5)", *(f"a{at} = a{at - 1} + 1" for at in range(1, 20))]
    second = ["b0 = a19", *(f"b{at} = b{at - 1} * 2 % 1000" for at in range(1, 20))]
    return (
        "# Everything",
        "\n".join(first[:11]),
        "\n".join(first[11:]),
        "\n".join(second[:10]),
        "\n".join(second[10:]),
    )


def test_a_long_section_is_cut_where_least_crosses(tmp_path: Path) -> None:
    """Between cells, and each part is called after what it makes."""
    made = drafted(tmp_path, long_notebook())

    assert made.shape == "sections"
    assert [(part.name, part.takes, part.gives) for part in made.shaped.sections] == [
        ("everything", (), ("a19",)), ("make_b18_and_b19", ("a19",), ())
    ]  # fmt: skip
    assert '"""Make b18 and b19 (Everything)."""' in made.files["steps.py"]


def test_a_cut_goes_through_no_closure(tmp_path: Path) -> None:
    """A function that sees a name change later stays with what changes it."""
    *first, third, last = long_notebook()
    cells = (
        *first,
        f"seen = []\nwatch = lambda: seen.append(z0)\n{third}",
        f"z0 = 1\nwatch()\nz0 = 2\nwatch()\n{last}",
    )

    made = drafted(tmp_path, cells)

    assert made.shape == "sections"
    assert made.equivalence.holds


def test_words_of_the_notebook_stand_where_they_stood(tmp_path: Path) -> None:
    """Those below a heading are the docstring, those above a later cell or a function are comments above it."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "k", "display_name": "k", "language": "python"}})
    cells = [
        ("markdown", "# The game\n\nHow $\\alpha$ is <b>played</b>."),
        ("code", "a = 1"),
        ("markdown", "Then more."),
        ("markdown", "<img src='a.png'>\n\n\n\nAnd so on."),
        ("code", "b = a + 1"),
        ("markdown", "A rule."),
        ("code", "def rule(n):\n    return n"),
        ("code", "c = rule(b)"),
    ]
    made.cells = [getattr(nbformat.v4, f"new_{kind}_cell")(source) for kind, source in cells]
    nbformat.write(made, tmp_path / "game.ipynb")

    text = draft(tmp_path / "game.ipynb", timeout_s=120).files["steps.py"]

    assert '    r"""Carry out \'The game\'.\n\n    How $\\alpha$ is played.\n    """\n    a = 1\n' in text
    assert "    # Then more.\n    #\n    # And so on.\n    b = a + 1\n" in text
    assert "# A rule.\ndef rule(n: int) -> int:\n" in text


def test_a_line_has_one_excuse_with_every_rule() -> None:
    """A second one would not be read."""
    text = 'def see() -> None:\n    """See."""\n    import sys, os\n'

    made = tidied(f'"""A module."""\n\n\n{text}')

    assert made.endswith("    import sys, os  # noqa: F401, I001\n")
    assert not findings(made)


def test_imports_stand_in_one_order_wherever_they_are_put_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that lies where the exporter runs is none of the package."""
    text = '"""A module."""\n\nimport numpy\nimport own_module\nimport zlib\n\nprint(numpy, own_module, zlib)\n'
    (tmp_path / "own_module.py").write_text("")
    elsewhere = mended(text)
    monkeypatch.chdir(tmp_path)

    assert mended(text) == elsewhere
