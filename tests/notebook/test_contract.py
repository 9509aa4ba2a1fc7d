"""Contracts: read without executing, held strictly, injected with their types."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.errors import ContractInvalid, ParameterInvalid
from nbproof.notebook.contract import Contract, read
from nbproof.notebook.document import Cell, Document

IMPORTS = """
import datetime as dt
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import annotated_types as at
from annotated_types import Ge, Le
from pydantic import Field

from nbproof.notebook.secrets import Secret
"""


def contract(source: str, *before: str, language: str = "python") -> Contract:
    cells = [Cell(f"before-{number}", "code", text) for number, text in enumerate(before)]
    cells.append(Cell("parameters", "code", source, ("parameters",)))
    return read(Document(Path("n.ipynb"), tuple(cells), language=language))


def declared(*lines: str) -> Contract:
    return contract(IMPORTS + "\n".join(lines))


def problems(contract: Contract, **values: Any) -> tuple[str, ...]:
    with pytest.raises(ParameterInvalid) as caught:
        contract.validate(values, where="here")
    return caught.value.problems


WHOLE = declared(
    '"""What the notebook takes."""',
    'upstream = {"04_features": {"train": "build/04/train.parquet"}, "01_scoping": "build/01.yaml"}',
    'product = {"model": "build/06/model.skops"}',
    "rows: int = 1000  # of them",
    'threshold: Annotated[float, Ge(0), Le(1), "the share to find"] = 1',
    "limit: Optional[Annotated[int, at.Gt(0)]] = None",
    'kind: Literal["a", "b"] = "a"',
    'panel: Path = Path("data/panel.parquet")',
    "more: list[Path] = []",
    "day: date = date(2005, 9, 30)",
    "at_: dt.datetime = dt.datetime(2005, 9, 30, 12)",
    'token: Secret = "env:TOKEN"',
    "plain = [1, 2]",
    "pair: tuple[int, str] = (1, 'a')",
    "names: set[str] = {'b', 'a'}",
    "weights: dict[str, float] = {'a': 1}",
    "copy: bool = True",
)


def test_a_parameters_cell_is_read_whole() -> None:
    """Types, defaults, Ploomber's names and the names of phases come out of one cell."""
    assert WHOLE.defaults() == {
        "rows": 1000,
        "threshold": 1.0,
        "limit": None,
        "kind": "a",
        "panel": "data/panel.parquet",
        "more": [],
        "day": "2005-09-30",
        "at_": "2005-09-30T12:00:00",
        "token": "env:TOKEN",
        "plain": [1, 2],
        "pair": [1, "a"],
        "names": ["a", "b"],
        "weights": {"a": 1.0},
        "copy": True,
    }
    assert WHOLE.upstream == ("04_features", "01_scoping")
    assert WHOLE.upstream_default == {"04_features": {"train": "build/04/train.parquet"}, "01_scoping": "build/01.yaml"}
    assert WHOLE.reads == {"04_features": ("train",), "01_scoping": None}
    assert WHOLE.product == {"model": "build/06/model.skops"}
    assert WHOLE.secrets == ("token",)


def test_reading_executes_nothing(tmp_path: Path) -> None:
    """A cell before the parameters may do anything: it is only read."""
    mark = tmp_path / "ran"

    held = contract("rows: int = 1", f"open({str(mark)!r}, 'w')")

    assert held.defaults() == {"rows": 1}
    assert not mark.exists()


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("x = 1", 1),
        ("x = -1.5", -1.5),
        ("x = True", True),
        ("x = 'a' 'b'", "ab"),
        ("x = {'a': [1, None]}", {"a": [1, None]}),
        ("x = None", None),
        ("x = (1, 2)", [1, 2]),
        ("x: 'int | None' = 3", 3),
        ("x: Union[int, str] = 'a'", "a"),
        ("x: Any = [1]", [1]),
        ("x: Annotated[str, Field(pattern='^a', description='d')] = 'ab'", "ab"),
        ("x: Annotated[int | None, at.Ge(0)] = None", None),
        ("x: list = [1]", [1]),
        ("x: tuple[int, ...] = ()", []),
        ("x: set[int] = set()", []),
        ("x: Literal[1, True, None] = True", True),
        ("x: dt.date = dt.date(2020, 2, 29)", "2020-02-29"),
        ("x: date | None = None", None),
    ],
)
def test_spellings_of_types_and_defaults(line: str, value: Any) -> None:
    """The usual spellings of a declaration are understood."""
    defaults = declared(line).defaults()

    assert defaults == {"x": value}
    assert type(defaults["x"]) is type(value)


def test_names_imported_in_an_earlier_cell_are_known() -> None:
    """Imports may stand in a cell of their own."""
    held = contract("x: Path = Path('a')", "%matplotlib inline\nfrom pathlib import Path")

    assert held.defaults() == {"x": "a"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1 + 2", "`1 + 2`, which is no literal in cell 1 (parameters), line 1"),
        ("\nx = f()", "`f`, which no cell up to here imports in cell 1 (parameters), line 2"),
        ("a, b = 1, 2", "found `a, b = (1, 2)`"),
        ("a = b = 1", "found `a = b = 1`"),
        ("x += 1", "found `x += 1`"),
        ("print(1)", "found `print(1)`"),
        ("if True:\n    x = 1", "found `if True: x = 1`"),
        ("%matplotlib inline", "found `get_ipython()"),
        ("x = [", "a syntax error in cell 1 (parameters), line 1"),
        ("x = 1\nx = 2", "a second value for `x`"),
        ("x: int = None", "`x` is None, expected a whole number"),
        ("x: int = True", "`x` is True, expected a whole number"),
        ("x: float = 'a'", "`x` is 'a', expected a number"),
        ("x = b'a'", "JSON cannot hold"),
        ("x = 1e999", "which is not finite"),
        ("x = {1: 2}", "whose keys are not all text"),
        ("x: dict[int, str] = {}", "keys are not `str`"),
        ("x: Path = 'a'", "`Path`, which no cell up to here imports"),
        ("x: Frame = 1", "`Frame`, which no cell up to here imports"),
        ("import os\nx: os.PathLike = 'a'", "the type `os.PathLike`, which a contract does not know"),
        ("upstream: list = ['a']", "an annotated `upstream`"),
        ("upstream = 'a'", "an upstream that is no None"),
        ("product = 1", "a product that is no None"),
        ("list: int = 1", "a parameter `list`, which hides the type"),
        ("from datetime import date\ndate: date = date(2000, 1, 1)", "a parameter `date`, which hides the type"),
        ("from datetime import date\nx: date = date(2000, 13, 1)", "month must be in 1..12"),
    ],
)
def test_what_is_no_contract_is_refused(source: str, message: str) -> None:
    """The error says what was found, and in which line."""
    with pytest.raises(ContractInvalid) as caught:
        contract(source)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x: str | Path = 'a'", "a union of path and str, which are written alike"),
        ("x: list[int] | set[int] = []", "a union of list and set"),
        ("x: Secret | None = None", "a Secret within another type"),
        ("x: list[Secret] = []", "a Secret within another type"),
        ("x: Annotated[str, Ge(0)] = 'a'", "the bound ge on text"),
        ("x: Annotated[int, Ge('a')] = 1", "the bound ge on a whole number"),
        ("x: Annotated[int, range(3)] = 1", "no cell up to here imports"),
        ("x: Annotated[float, Ge(0)] = -1", "`x` is -1, expected at least 0"),
        ("x: Literal['a'] = 'b'", "`x` is 'b', expected 'a'"),
        ("x: Literal[1] = True", "`x` is True, expected 1"),
    ],
)
def test_types_that_cannot_be_held_are_refused(line: str, message: str) -> None:
    """A bound that does not fit, or a type that could not be told apart again, is no contract."""
    with pytest.raises(ContractInvalid) as caught:
        declared(line)

    assert message in str(caught.value)


@pytest.mark.parametrize("default", ["'hunter2-hunter2'", "'hunter2' + x", "f'hunter2'", "['hunter2']"])
def test_a_secret_in_the_notebook_is_refused_unnamed(default: str) -> None:
    """A literal secret is an error that does not repeat it."""
    with pytest.raises(ContractInvalid, match="reference env:NAME or file:PATH") as caught:
        declared(f"token: Secret = {default}")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([Cell("a", "code", "x = 1")], "no cell tagged `parameters`, expected exactly one"),
        ([Cell("a", "code", "x = 1", ("parameters",))] * 2, "2 cells tagged `parameters` (a, a)"),
        ([Cell("a", "markdown", "x", ("parameters",))], "a markdown cell tagged `parameters`"),
    ],
)
def test_exactly_one_parameters_cell(cells: list[Cell], message: str) -> None:
    """None and two are refused, and the hint shows the cell to add."""
    with pytest.raises(ContractInvalid) as caught:
        read(Document(Path("n.ipynb"), tuple(cells)))

    assert message in str(caught.value)
    assert caught.value.hint


def test_another_language_has_no_contract() -> None:
    """Only Python's syntax is read."""
    with pytest.raises(ContractInvalid, match="a notebook in R, expected one in Python"):
        contract("x <- 1", language="R")


def test_every_problem_is_reported_at_once() -> None:
    """Values are checked together, each with what was expected; no secret is repeated."""
    with pytest.raises(ParameterInvalid) as caught:
        WHOLE.validate(
            {"rwos": 1, "threshold": 1.5, "rows": 0.5, "kind": "c", "token": "hunter2", "more": ["a", 3]},
            where="pipeline.yaml",
        )

    assert caught.value.problems == (
        "unknown parameter `rwos`; did you mean `rows`?",
        "`rows` is 0.5, expected a whole number",
        "`threshold` is 1.5, expected at most 1",
        "`kind` is 'c', expected one of 'a', 'b'",
        "`more` is ['a', 3], expected a list, each item a path",
        "`token` holds a value, expected a reference env:NAME or file:PATH",
    )
    assert str(caught.value).startswith("pipeline.yaml: unknown parameter")
    assert caught.value.__context__ is None or "hunter2" not in str(caught.value.__context__)


def test_a_parameter_without_default_is_required() -> None:
    """`name: type` alone must be given a value."""
    held = declared("rows: int")

    assert held.defaults() == {}
    assert problems(held) == ("`rows` has no value, expected a whole number",)
    assert held.validate({"rows": 3}, where="here") == {"rows": 3}


@pytest.mark.parametrize(
    ("line", "value", "problem"),
    [
        ("x: int = 0", "5", "`x` is '5', expected a whole number"),
        ("x: int = 0", 5.0, "`x` is 5.0, expected a whole number"),
        ("x: bool = False", 1, "`x` is 1, expected true or false"),
        ("x: str = ''", 1, "`x` is 1, expected text"),
        ("x: float = 0", float("nan"), "`x` is nan, expected a number"),
        ("x: float = 0", True, "`x` is True, expected a number"),
        ("x: date = date(2000, 1, 1)", datetime(2000, 1, 1), "expected a date (YYYY-MM-DD)"),
        ("x: date = date(2000, 1, 1)", "30.09.2005", "`x` is '30.09.2005', expected a date (YYYY-MM-DD)"),
        ("x: set[int] = {1}", [1, 1], "`x` is [1, 1], expected a set, each item a whole number"),
        ("x: tuple[int, int] = (1, 2)", [1], "expected a tuple of a whole number, a whole number"),
        ("x = None", date(2000, 1, 1), "expected a value that JSON can hold"),
        ("x: list[Annotated[int, Ge(0)]] = []", [1, -2], "`x[1]` is -2, expected at least 0"),
        ("x: Annotated[str, Field(max_length=2)] = ''", "abc", "`x` is 'abc', expected at most 2 characters"),
        ("x: int | None = None", "a", "`x` is 'a', expected a whole number or None"),
    ],
)
def test_nothing_is_converted_that_could_lose(line: str, value: Any, problem: str) -> None:
    """A value of another type is refused, not bent."""
    (found,) = problems(declared(line), x=value)

    assert problem in found


@pytest.mark.parametrize(
    ("line", "text", "value"),
    [
        ("x: float = 0", "0.5", 0.5),
        ("x: float = 0", "1", 1.0),
        ("x: int = 0", "-7", -7),
        ("x: bool = False", "true", True),
        ("x: str = ''", "true", "true"),
        ("x: str = ''", "", ""),
        ("x: Path = Path('.')", "a/b c", "a/b c"),
        ("x: date = date(2000, 1, 1)", "2005-09-30", "2005-09-30"),
        ("x: list[int] = []", "[1, 2]", [1, 2]),
        ("x: dict[str, bool] = {}", '{"a": true}', {"a": True}),
        ("x: int | None = 1", "null", None),
        ("x: int | str = 1", "7", 7),
        ("x: int | str = 1", "7a", "7a"),
        ("x: Literal['auto'] | float = 1", "auto", "auto"),
        ("x: Literal[1, 2] = 1", "2", 2),
        ("x = None", "[1]", [1]),
        ("x = None", "words", "words"),
        ("x: Secret = 'env:A'", "file:/run/token", "file:/run/token"),
    ],
)
def test_texts_are_read_by_their_type(line: str, text: str, value: Any) -> None:
    """`-p x=text` means what the declaration says."""
    parsed = declared(line).parse({"x": text}, where="-p")

    assert parsed == {"x": value}
    assert type(parsed["x"]) is type(value)


def test_texts_win_over_values() -> None:
    """What is typed on the command line replaces what pipeline.yaml says."""
    held = declared("x: int = 0", "y: int = 0", "z: int = 0")

    assert held.resolve({"x": 1, "y": 1}, {"y": "2"}, where="-p") == {"x": 1, "y": 2, "z": 0}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("x: int = 0", "0.5"),
        ("x: int = 0", "1e3"),
        ("x: int = 0", "9" * 5000),
        ("x: bool = False", "yes"),
        ("x: bool = False", "1"),
        ("x: float = 0", "inf"),
        ("x: float = 0", "1e999"),
        ("x: list[int] = []", "1,2"),
        ("x: Literal['a'] = 'a'", "b"),
        ("x: Path = Path('.')", ""),
    ],
)
def test_texts_of_another_type_are_refused(line: str, text: str) -> None:
    """What does not spell a value of the type is an error."""
    with pytest.raises(ParameterInvalid):
        declared(line).parse({"x": text}, where="-p")


FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}", fullmatch=True)
# Each type with values as the notebook would hold them.
HELD: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(),
    "float": FINITE,
    "bool": st.booleans(),
    "str": TEXT,
    "Path": NAMES.map(Path),
    "date": st.dates(),
    "dt.datetime": st.datetimes(),
    "int | None": st.none() | st.integers(),
    "int | float": FINITE.filter(lambda number: not number.is_integer()) | st.integers(),
    "list[float]": st.lists(FINITE, max_size=3),
    "list[date]": st.lists(st.dates(), max_size=3),
    "set[str]": st.sets(TEXT, max_size=3),
    "tuple[int, str]": st.tuples(st.integers(), TEXT),
    "tuple[Path, ...]": st.lists(NAMES.map(Path), max_size=3).map(tuple),
    "dict[str, list[bool]]": st.dictionaries(TEXT, st.lists(st.booleans(), max_size=2), max_size=2),
}
PAIRS = st.sampled_from(sorted(HELD)).flatmap(lambda name: st.tuples(st.just(name), HELD[name]))
CONTRACTS = {name: declared(f"x: {name}") for name in HELD}


def as_text(resolved: Any) -> str:
    return json.dumps(resolved) if isinstance(resolved, list | dict) else str(resolved)


@given(PAIRS)
def test_a_value_survives_json_text_and_injection(pair: tuple[str, Any]) -> None:
    """A value goes to JSON, to text and into the notebook, and comes back the same, type included."""
    name, value = pair
    held = CONTRACTS[name]

    resolved = held.validate({"x": value}, where="here")

    assert json.loads(json.dumps(resolved)) == resolved
    assert held.validate(resolved, where="again") == resolved
    assert held.parse({"x": as_text(resolved["x"])}, where="-p") == resolved
    namespace: dict[str, Any] = {}
    exec(IMPORTS, namespace)
    exec(held.injected_source(resolved), namespace)
    assert namespace["x"] == value
    assert type(namespace["x"]) is type(value)


@given(st.dictionaries(st.sampled_from(["rows", "threshold", "kind", "zzz", "copy"]), st.integers() | FINITE | TEXT))
def test_validation_ends_in_values_or_in_our_error(values: dict[str, Any]) -> None:
    """Whatever is handed in, the whole mapping comes out, or `ParameterInvalid` does."""
    try:
        outcome: Any = WHOLE.validate(values, where="here")
    except ParameterInvalid as error:
        outcome = error

    if isinstance(outcome, ParameterInvalid):
        assert 1 <= len(outcome.problems) <= len(values)
    else:
        assert outcome == WHOLE.defaults() | values


def test_the_injected_cell_keeps_types_and_secrets() -> None:
    """The source assigns every parameter by the names that the notebook imports; secrets stay references."""
    values = {"rows": 5, "panel": "b.parquet", "more": ["c"], "day": "2006-01-02"}

    source = WHOLE.injected_source(values, upstream={"04_features": {"train": Path("t")}}, product={"nb": "n.ipynb"})

    assert source == "\n".join(
        [
            "# Parameters",
            "rows = 5",
            "threshold = 1.0",
            "limit = None",
            "kind = 'a'",
            "panel = Path('b.parquet')",
            "more = [Path('c')]",
            "day = date(2006, 1, 2)",
            "at_ = dt.datetime.fromisoformat('2005-09-30T12:00:00')",
            "token = 'env:TOKEN'",
            "plain = [1, 2]",
            "pair = (1, 'a')",
            "names = {'a', 'b'}",
            "weights = {'a': 1.0}",
            "copy = True",
            "upstream = {'04_features': {'train': 't'}}",
            "product = {'nb': 'n.ipynb'}",
        ]
    )


def test_declared_data_are_the_paths() -> None:
    """Parameters typed Path name what the notebook reads."""
    assert WHOLE.paths({"more": ["b", "c"]}) == {"panel": (Path("data/panel.parquet"),), "more": (Path("b"), Path("c"))}


def test_the_model_and_its_schema_are_the_contract() -> None:
    """The schema names each parameter with its type, bounds, default and description, and allows no others."""
    schema = WHOLE.json_schema()

    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == list(WHOLE.defaults())
    assert schema["properties"]["threshold"] == {
        "default": 1.0,
        "description": "the share to find",
        "maximum": 1,
        "minimum": 0,
        "title": "Threshold",
        "type": "number",
    }
    assert schema["properties"]["kind"]["enum"] == ["a", "b"]
    assert schema["properties"]["token"]["format"] == "secret-reference"
    assert WHOLE.model(rows=2).model_dump(by_alias=True)["rows"] == 2
    with pytest.raises(ValueError, match="rwos"):
        WHOLE.model(rwos=2)
