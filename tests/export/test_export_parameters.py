"""The contract as the signature of `run()`: what it takes, what it refuses, and what other values give."""

from __future__ import annotations

import datetime
import importlib
import inspect
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import nbformat
import pytest

from nbproof.errors import NotExported, ParameterInvalid
from nbproof.export.draft import Draft, draft
from nbproof.export.reading import read
from nbproof.notebook import contract as contracts
from nbproof.notebook import document as documents

DECLARED = """from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Optional
from annotated_types import Ge, Le
from nbproof.notebook.secrets import Secret
rows: int = 3
share: Annotated[float, Ge(0), Le(1)] = 0.5
kind: Literal["a", "b"] = "a"
where: Path = Path("data/x.csv")
day: date = date(2026, 1, 2)
maybe: Optional[int] = None
names: list[str] = ["x"]
token: Secret = "env:TOKEN"
upstream = None
product = {"made": "build/made.txt"}
"""
CELLS = (
    "import math\nLIMIT = 5\ndef scaled(n):\n    return n * share",
    "# Use",
    "made = [scaled(i) for i in range(rows)]\nnames.append(kind)\nmade",
    "# More",
    "rows = rows + 1\nproduct['made'], day.year, where.name, maybe",
)
WHATEVER: list[Any] = [
    None, True, False, 0, 1, -3, 7, 10**20, 0.0, 0.5, 2.0, 3.5, float("nan"), float("inf"), "", "a", "abc", "5", "a\0b",
    "env:TOKEN", "file:x", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02", b"a", [], [1], [1, 2], ["a", "b"],
    ["a", "a"], (1, "a"), (1, 2), {1, 2}, {"a": 1}, {"a": "b"}, {1: 2}, [[1], [2]], [None], [float("nan")],
    Path("a/b"), PurePosixPath("a"), datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3, 4), object(), 1j,
]  # fmt: skip
TYPES = [
    "bool", "int", "float", "str", "Path", "date", "datetime", "Secret", "Any", "list[int]", "list[float]", "list",
    "set[str]", "set[int]", "tuple[int, str]", "tuple[int, ...]", "dict[str, int]", "dict", "Optional[int]",
    "Optional[float]", "float | int", "int | str", "bool | int | None", "Literal[1, 'a', None]", "Literal[True, 2]",
    "Annotated[int, Ge(1), Lt(8)]", "Annotated[float, Gt(0.4), Le(2)]", "Annotated[int, MultipleOf(3)]",
    "Annotated[float, MultipleOf(0.5)]", "Annotated[str, MinLen(2)]", "Annotated[list[int], MaxLen(1)]",
    "Annotated[str, Field(pattern='^a')]", "Annotated[int, Ge(1)] | None", "list[Literal['a', 'b']]",
    "dict[str, list[int]]", "list[list[int]]", "Path | None", "date | int",
]  # fmt: skip
IMPORTS = """from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Optional
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from pydantic import Field
from nbproof.notebook.secrets import Secret
"""


def notebook(folder: Path, declared: str, *cells: str, tag: str = "parameters") -> Path:
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "k", "display_name": "k", "language": "python"}})
    made.cells.append(nbformat.v4.new_code_cell(declared, metadata={"tags": [tag]}))
    for cell in cells:
        is_heading = cell.startswith("# ")
        made.cells.append((nbformat.v4.new_markdown_cell if is_heading else nbformat.v4.new_code_cell)(cell))
    path = folder / "notebook.ipynb"
    nbformat.write(made, path)
    return path


def written(made: Draft, folder: Path, name: str) -> ModuleType:
    """The package of a draft, imported under a name of its own."""
    for path, text in made.files.items():
        (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / path).write_text(text)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package of the notebook above."""
    folder = tmp_path_factory.mktemp("package")
    before = set(sys.modules)
    yield written(draft(notebook(folder, DECLARED, *CELLS), timeout_s=300), folder, "with_parameters")
    for name in set(sys.modules) - before:
        if name.startswith("with_parameters"):
            del sys.modules[name]


def test_run_takes_what_the_contract_declares(package: ModuleType) -> None:
    """By keyword, in its order, with its types; then what a pipeline gives, with the notebook's own default."""
    taken = inspect.signature(package.run).parameters

    assert {name: each.annotation for name, each in taken.items()} == {
        "rows": "int", "share": "Annotated[float, Ge(0), Le(1)]", "kind": "Literal['a', 'b']", "where": "Path",
        "day": "date", "maybe": "int | None", "names": "list[str]", "token": "str",
        "upstream": "dict[str, Any] | list[str] | None", "product": "dict[str, Any] | str | None",
    }  # fmt: skip
    assert {each.kind for each in taken.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert [each.default for each in taken.values()] == [
        3, 0.5, "a", Path("data/x.csv"), datetime.date(2026, 1, 2), None, ["x"], "env:TOKEN", None,
        {"made": "build/made.txt"},
    ]  # fmt: skip


def test_a_run_changes_no_default(package: ModuleType) -> None:
    """The notebook adds to its list; the next run begins with the list as declared."""
    first, second = package.run(), package.run()

    assert first["names"] == second["names"] == ["x", "a"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rows": "5"}, "`rows` is '5', expected a whole number"),
        ({"rows": True}, "`rows` is True, expected a whole number"),
        ({"share": 1.5}, "`share` is 1.5, expected at most 1"),
        ({"kind": "c"}, "`kind` is 'c', expected one of 'a', 'b'"),
        ({"token": "hunter2"}, "`token` holds a value, expected a reference env:NAME or file:PATH"),
        ({"product": 5}, "`product` is 5, expected a dict of places, or one place"),
        ({"rows": 1.0, "day": "no"}, "`rows` is 1.0, expected a whole number; `day` is 'no', expected a date"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(
    package: ModuleType, given: dict[str, Any], words: str
) -> None:
    """One line says all that is wrong; a secret is never repeated."""
    with pytest.raises(ValueError) as refused:
        package.run(**given)

    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)


def test_an_unknown_name_is_refused(package: ModuleType) -> None:
    """By Python itself, and by the check that the command line uses, which says what was meant."""
    contract = importlib.import_module("with_parameters._contract")

    with pytest.raises(TypeError, match="row"):
        package.run(row=1)
    with pytest.raises(ValueError, match="unknown parameter `row`; did you mean `rows`"):
        contract.checked({"row": 1})


@pytest.mark.parametrize("values", [
    {},
    {"rows": 0},
    {"rows": 5, "share": 1, "kind": "b", "names": []},
    {"day": "2025-06-07", "where": "a/b/c.txt", "maybe": 4, "product": {"made": "elsewhere"}},
], ids=str)  # fmt: skip
def test_other_values_give_what_the_notebook_gives_with_them(tmp_path: Path, values: dict[str, Any]) -> None:
    """The notebook runs with a cell that papermill would put in, the package with the same values."""
    made = draft(notebook(tmp_path, DECLARED, *CELLS), parameters=values, timeout_s=300)

    assert made.shape == "sections"
    assert {row.verdict for row in made.equivalence.rows} == {"equal"}
    assert {"rows", "share", "names", "product", "upstream", "made"} <= {row.name for row in made.equivalence.rows}
    assert "annotated_types" not in made.files["steps.py"]


def test_a_default_of_another_type_is_what_the_contract_makes_it(tmp_path: Path) -> None:
    """A notebook that is run by its contract has 1.0 where its cell says 1; so has the package."""
    made = draft(notebook(tmp_path, "share: float = 1", "# Use", "share"), timeout_s=300)

    assert made.first.values["share"].text == "1.0"
    assert made.equivalence.holds


def test_a_function_called_before_and_after_a_parameter_changes(tmp_path: Path) -> None:
    """It sees the value that holds when it is called, also where it was handed on before."""
    cells = ("def now():\n    return rows", "# One", "before, held = now(), now", "# Two",
             "rows = rows * 2\nafter, again = now(), held()")  # fmt: skip

    made = draft(notebook(tmp_path, "rows: int = 2", *cells), parameters={"rows": 4}, timeout_s=300)

    assert made.first.values["again"].text == "8"


def test_what_another_value_would_change_is_no_constant(tmp_path: Path) -> None:
    """A list that only some runs add to is made anew by every run."""
    cells = ("COLUMNS = ['a']\nFIXED = ['b']", "# Use", "if wide:\n    COLUMNS.append('c')\nwidth = len(COLUMNS)")
    made = draft(notebook(tmp_path, "wide: bool = False", *cells), timeout_s=300)

    package = written(made, tmp_path, "with_a_list")
    found = [package.run(wide=True)["width"] for _ in range(2)]
    package.run()["FIXED"].append("spoilt")

    assert found == [2, 2]
    assert package.run()["FIXED"] == ["b"]


def test_values_that_a_notebook_does_not_take_are_refused(tmp_path: Path) -> None:
    """Before it is run at all, with or without a contract."""
    with pytest.raises(ParameterInvalid, match="did you mean `rows`"):
        draft(notebook(tmp_path, "rows: int = 2", "1 / 0"), parameters={"row": 1})
    with pytest.raises(ParameterInvalid, match="upstream"):
        draft(notebook(tmp_path, "rows: int = 2", "1 / 0"), parameters={"upstream": None})
    with pytest.raises(ParameterInvalid, match="no value"):
        draft(notebook(tmp_path, "rows: int", "rows"))
    with pytest.raises(ParameterInvalid, match="unknown parameter `rows`"):
        draft(notebook(tmp_path, "rows = 2", "1 / 0", tag="other"), parameters={"rows": 1})


def test_a_parameter_without_default_must_be_given(tmp_path: Path) -> None:
    """The signature has no default for it either."""
    made = draft(notebook(tmp_path, "rows: int", "# Use", "rows * 2"), parameters={"rows": 3}, timeout_s=300)
    package = written(made, tmp_path, "without_default")

    with pytest.raises(TypeError, match="rows"):
        package.run()
    assert made.equivalence.holds


def test_the_values_of_one_run_are_not_exported(tmp_path: Path) -> None:
    """What papermill put into the notebook would win over every parameter."""
    path = notebook(tmp_path, "rows: int = 2", "rows = 7")
    content = nbformat.read(path, 4)
    content.cells[1].metadata["tags"] = ["injected-parameters"]
    nbformat.write(content, path)

    with pytest.raises(NotExported, match="cell 2, line 1: it holds the values of one run"):
        draft(path)


def test_a_cell_that_is_no_contract_stays_a_cell(tmp_path: Path) -> None:
    """What it declares cannot be read, so nothing of it becomes a parameter, and that is noted."""
    made = draft(notebook(tmp_path, "import math\nrows = math.floor(2.5)", "# Use", "rows"), timeout_s=300)

    assert "def run() -> Results:" in made.files["__init__.py"]
    assert ["nothing of it becomes a parameter" in note.text for _, note in made.reading.notes] == [True]


@pytest.mark.parametrize("declared", TYPES)
def test_the_package_takes_exactly_what_the_contract_takes(tmp_path: Path, declared: str) -> None:
    """For each of many values of all kinds: both make the same of it, in the same type, or both refuse it."""
    path = notebook(tmp_path, f"{IMPORTS}value: {declared}")
    contract = contracts.read(documents.read(path))
    from nbproof.export.shaping.parameters import parameters

    module = parameters(read(documents.read(path))).module
    namespace: dict[str, Any] = {"__name__": "nbproof.export.templates._contract"}
    exec(compile(module.replace("from ._checking", "from nbproof.export.templates._checking"), "_contract", "exec"),
         namespace)  # fmt: skip

    differ = []
    for value in itertools.chain(WHATEVER, ([value] for value in WHATEVER), ({"k": value} for value in WHATEVER)):
        found = []
        for take in (lambda value: contract._checked({"value": value}, "here")["value"],
                     lambda value: namespace["checked"]({"value": value})["value"]):  # fmt: skip
            try:
                taken = take(value)
                found.append((type(taken).__name__, repr(taken)))
            except ValueError:
                found.append(None)
            except ParameterInvalid:
                found.append(None)
        if found[0] != found[1]:
            differ.append((value, *found))

    assert differ == []


SILENT = (
    "shows: bool = False",
    "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\nseen = []",
    "# First",
    "if shows:\n    plt.plot([1, 2])\n    only_then = 3",
    "# Second",
    "seen.append(1)\n4 if shows else None",
    "# Third",
    "def picture():\n    if shows:\n        plt.bar([1], [2])\n\npicture()",
)


@pytest.mark.parametrize("end", ["", "\nimport __main__\n__main__.seen"], ids=["sections", "script"])
def test_what_only_other_values_show_is_kept_too(tmp_path: Path, end: str) -> None:
    """A cell that was silent when it was watched is none when it is asked otherwise: it may show, draw and bind."""
    declared, *cells = SILENT
    path = notebook(tmp_path, declared, *cells[:-1], cells[-1] + end)
    ids = [cell.id for cell in documents.read(path).cells]

    made = draft(path, timeout_s=300)
    package = written(made, tmp_path, f"silent_{len(end)}")
    silent, loud = package.run(), package.run(shows=True)

    assert made.shape == ("script" if end else "sections")
    assert silent.figures == {}
    assert [len(loud.figures.get(id_, ())) for id_ in ids] == [0, 0, 0, 1, 0, 0, 0, 1]
    assert loud.displayed[ids[5]] == [4]
    assert ids[5] not in silent.displayed
    assert "only_then" not in silent
    assert loud["only_then"] == 3


def test_a_global_past_a_function_of_its_own_is_no_section(tmp_path: Path) -> None:
    """Within a function `nonlocal` would mean another name, though only with other values anybody could see it."""
    path = notebook(
        tmp_path,
        "adds: bool = False",
        "n = 1",
        "# Use",
        "def outer():\n    n = 5\n    def inner():\n        global n\n        n = n + 1\n"
        "    if adds:\n        inner()\n    return n",
        "# More",
        "found = outer()",
    )

    made = draft(path, timeout_s=300)
    results = written(made, tmp_path, "passing_over").run(adds=True)

    assert made.shape == "script"
    assert (results["found"], results["n"]) == (5, 2)
