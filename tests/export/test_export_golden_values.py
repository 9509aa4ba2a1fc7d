"""Values as the tests of packages keep them: written to typed files, read, and made again, they are the same."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sympy
from sklearn.linear_model import LogisticRegression
from sympy.core import cache

from nbproof.export.golden.templates._golden.comparing import Difference, counted, differences, loosened
from nbproof.export.golden.templates._golden.files import Folder
from nbproof.export.golden.templates._golden.values import Describer, Rebuilder, Untold, unknown


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Box:
    held: list[int]


def model() -> Any:
    return LogisticRegression().fit(np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1])


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": [1, 2, 3], "x": [0.1, float("nan"), -0.0], "s": ["a", None, "c"], "b": [True, False, True],
            "i": pd.array([1, None, 3], "Int64"), "k": pd.Categorical(["u", "v", "u"], ordered=True),
            "t": pd.to_datetime(["2020-01-01", "2020-01-02", None]), "o": [1, "two", None],
        },
        index=pd.Index(["p", "q", "r"], name="who"),
    )  # fmt: skip


VALUES: dict[str, Callable[[], Any]] = {
    "scalars": lambda: [None, True, 0, -(2**70), 0.1, -0.0, float("nan"), float("-inf"), 1j, "é\n", b"\0" * 40],
    "containers": lambda: {"a": (1, [2]), "b": {3, 4}, "c": frozenset("x"), 5: collections.OrderedDict(z=1)},
    "many numbers": lambda: [[0.5] * 100, list(range(100)), tuple(range(200))],
    "one thing twice": lambda: [shared := [1], shared, {"again": shared}],
    "plain objects": lambda: [decimal.Decimal("1.10"), datetime.date(2020, 2, 29), datetime.datetime(2020, 1, 1, 3),
                              datetime.timedelta(days=1), pathlib.PurePosixPath("a/b"), range(3), slice(1, None)],
    "its own kinds": lambda: [Colour.RED, Box([1, 2]), collections.Counter("aab"), collections.deque([1], 3)],
    "arrays": lambda: [np.arange(6).reshape(2, 3), np.asfortranarray(np.ones((2, 3))), np.array(["a", None], object),
                       np.float32(0.1), np.array([], "f4"), np.array(["2020"], "M8[D]"), np.arange(100) * 0.1],
    "wide numbers": lambda: [np.arange(3, dtype=np.longdouble) / 3, np.arange(3, dtype=np.clongdouble) / 3],
    "frames": lambda: [frame(), frame()["x"], frame().index, pd.DataFrame(), pd.Timestamp("2020-01-01"),
                       pd.DataFrame({("a", 1): [1], ("a", 2): [2]}), pd.date_range("2020", periods=3, freq="D"),
                       frame().set_index(["n", "s"])],
    "an estimator": model,
}  # fmt: skip
CHANGES: dict[str, tuple[Any, Any, str]] = {
    "a number": ({"a": 1}, {"a": 2}, "v.a: 2, expected 1"),
    "a number's type": ([1], [1.0], "v[0]: float 1.0, expected int 1"),
    "the sign of zero": (0.0, -0.0, "v: -0.0, expected 0.0"),
    "the order of keys": ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "v.keys()"),
    "one item less": ([1, 2, 3], [1, 3], "v: 2 items, the first other one at 1, expected 3 items"),
    "a tuple for a list": ([1], (1,), "v"),
    "a line of a text": ("a\nb\nc", "a\nB\nc", "v line 2: 'B', expected 'b'"),
    "an array's type": (np.ones(2), np.ones(2, "f4"), "v.dtype: <f4, expected <f8"),
    "an array's shape": (np.ones((2, 3)), np.ones((3, 2)), "v.shape"),
    "a value of an array": (np.arange(30), np.arange(30)[::-1], "v[0]: 29 (and 29 others of 30), expected 0"),
    "a copy of what was one": ([one := [1], one], [[1], [1]], "v[1]"),
    "a column's name": (frame(), frame().rename(columns={"n": "m"}), "v.columns[0]: 'm', expected 'n'"),
    "the type of a column": (frame(), frame().astype({"n": "int32"}), "v['n'].dtype: int32, expected int64"),
    "a category's order": (frame(), frame().assign(k=pd.Categorical(["u", "v", "u"])), "v['k'].ordered"),
    "the order of rows": (frame(), frame().iloc[::-1], "v.index"),
    "a setting of an estimator": (model(), LogisticRegression(C=2.0).fit([[0.0], [1.0]], [0, 1]), "v.C"),
}


def told(value: Any, **options: Any) -> Any:
    return Describer(**options).of(value)


def knows(module: str) -> bool:
    return module.partition(".")[0] in (*__name__.split(".")[:1], "numpy", "pandas", "sklearn", "sympy", "collections",
                                        "datetime", "decimal", "pathlib", "copyreg")  # fmt: skip


@pytest.mark.parametrize("what", VALUES)
def test_what_is_written_is_read_and_made_again(tmp_path: pathlib.Path, what: str) -> None:
    """Nothing is lost on the way through the files, nor when the value is made again."""
    first = told(VALUES[what]())
    Folder(tmp_path).save("value", first)

    read = Folder(tmp_path).load("value")
    made = Rebuilder("", knows).of(read)

    assert list(differences(first, read, "v")) == []
    assert list(differences(first, told(made), "v")) == []


def test_which_terms_of_a_formula_are_one_object_is_chance() -> None:
    """SymPy remembers terms for a while: whether an equal one is that again depends on all that ran before."""
    x = sympy.Symbol("x")
    remembered = [x, (x - 1) ** 2, sympy.sin(x - 1)]
    cache.clear_cache()
    other = [sympy.Symbol("x"), (sympy.Symbol("x") - 1) ** 2, remembered[2]]

    assert list(differences(told(remembered), told(other), "v")) == []
    assert list(differences(told(remembered), told([x, (x - 2) ** 2, remembered[2]]), "v"))
    assert Rebuilder("", knows).of(told(remembered)) == remembered


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_seen_and_told_where_it_is(what: str) -> None:
    """The first difference names the place as Python would."""
    before, after, words = CHANGES[what]

    found = [str(each) for each in differences(told(before), told(after), "v")]

    assert found
    assert any(each.startswith(words) for each in found), found


def test_a_long_array_is_kept_as_a_hash_and_some_rows(tmp_path: pathlib.Path) -> None:
    """A change between the kept rows is seen, and it is not made again."""
    long = np.arange(1000) * 0.5
    other = long.copy()
    other[1] = 7.0
    kept = told(long, longest=100)

    assert len(kept["data"]["rows"]) == 12
    assert list(differences(kept, told(long, longest=100), "v")) == []
    assert [each.at for each in differences(kept, told(other, longest=100), "v")] == ["v"]
    with pytest.raises(Untold, match="too large"):
        Rebuilder("", knows).of(kept)


def test_a_long_array_of_wide_numbers_is_known_by_its_numbers() -> None:
    """Each takes sixteen bytes, of which six are whatever was in memory; the last of its bits counts."""
    wide = np.arange(1000, dtype=np.longdouble) / 7
    stirred = wide.copy()
    stirred.view(np.uint8).reshape(-1, 16)[:, 10:] = 0xAB
    other = wide.copy()
    other[500] = np.nextafter(other[500], np.longdouble(1e9))

    assert list(differences(told(wide, longest=100), told(stirred, longest=100), "v")) == []
    assert list(differences(told(wide, longest=100), told(other, longest=100), "v"))


def test_only_known_modules_are_asked_for_classes() -> None:
    """Whatever a file names, nothing else is imported."""
    with pytest.raises(Untold, match="not found"):
        Rebuilder("", knows).of({"is": "made", "by": {"is": "name", "value": "os.system"}, "arguments": ["true"]})


def test_what_runs_disagree_on_by_a_bit_may_vary_by_a_bit() -> None:
    """Sums that are added in another order are close; other numbers may be anything, and all else stays exact."""
    loose = loosened(told({"sum": 1.0, "drawn": 0.3, "n": 1}), told({"sum": 1.0 + 1e-15, "drawn": 0.9, "n": 1}), "v")

    near = differences(told({"sum": 1.0, "drawn": 0.3, "n": 1}), told({"sum": 1.0 - 3e-15, "drawn": 5.0, "n": 1}), "v")
    far = differences(told({"sum": 1.0, "drawn": 0.3, "n": 1}), told({"sum": 1.001, "drawn": 0.3, "n": 2}), "v")

    assert counted(near, loose) == []
    assert [each.at for each in counted(far, loose)] == ["v.sum", "v.n"]


def test_an_array_over_several_lines_is_one_value() -> None:
    """Where it is drawn anew, a line of it may be as before by chance; what stands before and behind it counts."""
    printed = "drawn:\n[1 1 1\n {} 1 1\n 1 1 1]\n{}"
    loose = loosened(told(printed.format(1, "end")), told(printed.format(2, "end")), "v")

    other = printed.format(1, "end").replace("[1", "[3").replace("1]", "3]")

    assert loose == {"v line 2": None}
    assert counted(differences(told(printed.format(1, "end")), told(other), "v"), loose) == []
    late = differences(told(printed.format(1, "end")), told(printed.format(1, "END")), "v")
    assert [each.at for each in counted(late, loose)] == ["v line 5"]


def test_a_bracket_that_nobody_closes_joins_nothing() -> None:
    """A smile is no array."""
    found = differences(told("well :(\none\ntwo"), told("well :(\nONE\ntwo"), "v")

    assert [str(each) for each in found] == ["v line 2: 'ONE', expected 'one'"]


def test_where_libraries_lie_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same package is tested in other environments than the one that it was exported in."""
    from nbproof.export.golden.templates._golden import values

    here = told({"file": f"{values.LIBRARIES}/numpy/__init__.py", "all": [f"{values.LIBRARIES}/a"] * 100})
    before = values.LIBRARIES
    monkeypatch.setattr(values, "LIBRARIES", "/elsewhere/site-packages")
    there = told({"file": "/elsewhere/site-packages/numpy/__init__.py", "all": ["/elsewhere/site-packages/a"] * 100})

    assert list(differences(here, there, "v")) == []
    assert before not in str(here)
    assert Rebuilder("", knows).of(here)["file"] == "/elsewhere/site-packages/numpy/__init__.py"


def test_how_a_library_was_built_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package is tested with the build of torch that its machine has; another version is another."""
    import torch

    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu")
    here = told({"at": "2.13.0+cpu", "said": "of 2.13.0+cpu here"})
    monkeypatch.setattr(torch, "__version__", "2.13.0+cu130")

    assert list(differences(here, told({"at": "2.13.0+cu130", "said": "of 2.13.0+cu130 here"}), "v")) == []
    assert Rebuilder("", knows).of(here)["said"] == "of 2.13.0+cu130 here"
    monkeypatch.setattr(torch, "__version__", "2.14.0+cu130")
    assert list(differences(here, told({"at": "2.14.0+cu130", "said": "of 2.14.0+cu130 here"}), "v"))


def test_rounding_spreads() -> None:
    """Where runs round differently once, another run may round elsewhere in the same step; more than that counts."""
    loose = loosened(told({"a": 1.0, "b": 2.0}), told({"a": 1.0 + 1e-15, "b": 2.0}), "v")

    def found(b: float, held: dict[str, float | None]) -> list[str]:
        return [
            each.at for each in counted(differences(told({"a": 1.0, "b": 2.0}), told({"a": 1.0, "b": b}), "v"), held)
        ]

    assert found(2.0 + 1e-15, loose) == []
    assert found(2.0 + 1e-15, {}) == ["v.b"]
    assert found(2.001, loose) == ["v.b"]


def test_bars_vary_together() -> None:
    """One whose height is drawn by chance says that those beside it are, too; other drawings stay as they are."""
    loose = {"v.figures.a[0].axes[0].patches[9].height": None}
    beside = Difference("v.figures.a[0].axes[0].patches[3].height", "1.0", "0.0")
    others = [
        Difference("v.figures.a[0].axes[1].patches[3].height", "1.0", "0.0"),
        Difference("v.figures.a[0].axes[0].patches[3].color", "1.0", "0.0"),
    ]

    assert counted(iter([beside, *others]), loose) == others


class Rude:
    def __reduce_ex__(self, protocol: Any) -> Any:
        return 5


def test_an_object_that_misbehaves_is_named_and_hides_no_other() -> None:
    """What stands beside it is told all the same."""
    found = told({"rude": Rude(), "n": 1})

    assert found["keys"]["n"] == 1
    [(at, kind, why)] = unknown(found, "v")
    assert (at, kind.rpartition(".")[2], why) == ("v.rude", "Rude", "it cannot be looked into (TypeError)")


def test_what_cannot_be_looked_into_is_named() -> None:
    """A generator says only that it is one."""
    assert list(unknown(told({"later": (n for n in [1])}), "v")) == [
        ("v.later", "generator", "it can be gone through only once")
    ]
