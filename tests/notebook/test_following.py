"""Which cells show a result that a run from the top would not give; the last word has a real run from the top."""

from __future__ import annotations

import pytest

from nbproof.notebook.document import Cell
from nbproof.notebook.following import Execution, Verdict, following, sha256_of

FOLLOWS = "A run from the top gives this cell the same."


def cells(*sources: str) -> list[Cell]:
    return [Cell(f"c{number}", "code", source) for number, source in enumerate(sources, 1)]


def ran(cell: Cell, **facts: object) -> Execution:
    """An execution of a cell as it stands."""
    return Execution(cell.id, sha256_of(cell.source), cell.source, **facts)  # type: ignore[arg-type]


def states(found: tuple[Verdict, ...]) -> list[str]:
    return [verdict.state for verdict in found]


def said(found: tuple[Verdict, ...], number: int) -> tuple[str, str, str | None]:
    verdict = found[number - 1]
    return verdict.state, verdict.because, verdict.cause


def run(notebook: list[Cell], *numbers: int) -> list[Execution]:
    """Cells carried out in this order, counted from 1."""
    return [ran(notebook[number - 1], count=count) for count, number in enumerate(numbers, 1)]


def test_a_run_in_order_leaves_every_cell_following() -> None:
    """Whatever the cells do, `exec` included: a run from the top is what was made."""
    notebook = cells("from math import *\nx = 1", "exec('y = x')", "print(y)", "%matplotlib inline\nx += 1", "1/0")
    executions = [*run(notebook, 1, 2, 3, 4), ran(notebook[4], outcome="error", error="ZeroDivisionError", count=5)]

    found = following(notebook, executions)

    assert [said(found, number) for number in range(1, 6)] == [("follows", FOLLOWS, None)] * 5


def test_an_edit_marks_the_cell_and_what_hangs_on_it() -> None:
    """The reason names what was read and the cell to look at; what does not hang on it follows."""
    notebook = cells("df = [1]", "other = 2", "n = len(df)", "print(n)")
    executions = run(notebook, 1, 2, 3, 4)
    edited = [Cell("c1", "code", "df = [1, 2]"), *notebook[1:]]

    found = following(edited, executions)

    assert states(found) == ["edited", "follows", "stale", "stale"]
    assert said(found, 3)[1:] == ("`df` comes from cell 1, which was edited after it ran.", "c1")
    assert said(found, 4)[1:] == (
        "`n` comes from cell 3, which no longer follows either: `df` comes from cell 1, which was edited after it ran.",
        "c1",
    )


def test_a_comment_is_no_edit() -> None:
    """Where the text that ran is known, comments and blank lines change nothing."""
    notebook = cells("x = 1", "print(x)")
    commented = [Cell("c1", "code", "# one\nx = 1"), notebook[1]]

    assert states(following(commented, run(notebook, 1, 2))) == ["follows", "follows"]


REASONS = {
    "a deleted cell": (
        ["x = 1", "print(x)"], [1, 2], lambda now: now[1:], 1,
        ("stale", "`x` comes from a cell that has been deleted.", None),
    ),
    "a cell that has not run": (
        ["x = 1", "x = 2", "print(x)"], [1, 3], None, 3,
        ("stale", "`x` was last set by cell 1; from the top cell 2 would set it, which has not run.", "c2"),
    ),
    "a name that is made by a cell that has not run": (
        ["x = 1", "print(x)"], [2], None, 2, ("stale", "`x` is made by cell 1, which has not run.", "c1"),
    ),
    "a cell that ran too late": (
        ["x = 1", "print(x)"], [2, 1], None, 2,
        ("out of order", "`x` is made by cell 1, which ran only after this cell.", "c1"),
    ),
    "a cell below": (
        ["x = 1", "print(x)", "x = 2"], [1, 3, 2], None, 2,
        ("out of order", "`x` was last set by cell 3, which stands below this one.", "c3"),
    ),
    "an order that was turned": (
        ["x = 1", "x = 2", "print(x)"], [2, 1, 3], None, 3,
        ("out of order", "`x` was last set by cell 1; from the top cell 2 would have set it last.", "c2"),
    ),
    "itself": (
        ["x = 1", "x = x + 1"], [1, 2, 2], None, 2, ("stale", "`x` comes from an earlier run of this cell.", "c1"),
    ),
    "a cell that ran more than once": (
        ["x = [1]", "x.append(2)", "print(x)"], [1, 2, 3, 2], None, 2,
        ("stale", "`x` comes from an earlier run of this cell.", "c1"),
    ),
    "an object by another name": (
        ["x = [1]\ny = x", "x.append(2)", "print(y)"], [1, 2, 2, 3], None, 3,
        ("unknown", "Cannot know: `y` may have been changed by cell 2.", "c2"),
    ),
    "what a function reads": (
        ["rate = 1", "def price():\n    return rate", "rate = 5", "price()"], [1, 2, 4], None, 4,
        ("stale", "`rate` was last set by cell 1; from the top cell 3 would set it, which has not run.", "c3"),
    ),
    "the random state": (
        ["import numpy as np\nnp.random.seed(0)", "a = np.random.rand()", "b = np.random.rand()"],
        [1, 2, 2, 3], None, 3,
        ("stale", "The random state comes from cell 2, which no longer follows either: "
         "The random state comes from an earlier run of this cell.", "c1"),
    ),
    "code that nobody can read": (
        ["x = 1", "exec('x = 2')", "print(x)"], [1, 2, 1, 2, 2, 3], None, 3,
        ("unknown", "Cannot know: `x` may have been changed by cell 2, which uses `exec`, "
         "which names what only the running code knows.", "c2"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sources", "order", "change", "number", "expected"), REASONS.values(), ids=REASONS)
def test_the_reason_names_what_to_look_at(sources, order, change, number, expected) -> None:  # type: ignore[no-untyped-def]
    """A user reads which name, which cell, and what happened."""
    notebook = cells(*sources)
    now = change(notebook) if change else notebook

    assert said(following(now, run(notebook, *order)), number) == expected


HARMLESS = {
    "an independent cell again": (["x = 1", "y = 2", "print(x)"], [1, 2, 3, 2]),
    "a cell that only shows": (
        ["import pandas as pd\ndf = pd.DataFrame({'a': [1]})", "df.head()", "df.sum()"],
        [1, 2, 2, 3],
    ),
    "a loop again": (["xs = [1, 2]", "for x in xs:\n    y = x", "print(y)"], [1, 2, 2, 3]),
    "a binding again": (["x = [1]", "x.append(2)", "print(x)"], [1, 2, 1, 2, 3]),
    "independent cells in another order": (["x = 1", "y = 2", "print(x, y)"], [2, 1, 3]),
    "a function that changes nothing": (
        ["def clean(d):\n    d = d.copy()\n    d['a'] = 1\n    return d", "x = {'b': 1}", "y = clean(x)", "print(x)"],
        [1, 2, 3, 3, 4],
    ),
    "a copy that is changed": (
        ["import pandas as pd\ndf = pd.DataFrame({'a': [1]})", "other = df.copy()\nother['b'] = 1", "df.sum()"],
        [1, 2, 2, 3],
    ),
    "a file that is written again": (
        ["import pandas as pd\ndf = pd.DataFrame({'a': [1]})", "df.to_csv('a.csv')", "pd.read_csv('a.csv')"],
        [1, 2, 2, 3],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sources", "order"), HARMLESS.values(), ids=HARMLESS)
def test_what_changes_nothing_marks_nothing(sources: list[str], order: list[int]) -> None:
    """A mark that means nothing is not believed when it means something."""
    notebook = cells(*sources)

    assert set(states(following(notebook, run(notebook, *order)))) == {"follows"}


def test_a_run_from_the_top_that_would_stop_reaches_no_further() -> None:
    """Below a cell that ends in an error nothing follows, unless the cell may raise."""
    notebook = cells("x = 1", "raise ValueError", "print(x)")
    executions = [ran(notebook[0]), ran(notebook[1], outcome="error", error="ValueError"), ran(notebook[2])]
    may_raise = [notebook[0], Cell("c2", "code", "raise ValueError", ("raises-exception",)), notebook[2]]

    assert states(following(notebook, executions)) == ["follows", "follows", "out of order"]
    assert states(following(may_raise, executions)) == ["follows"] * 3


def test_an_interrupted_cell_does_not_follow() -> None:
    """Nobody would interrupt it in a run from the top."""
    notebook = cells("x = 1", "print(x)")
    executions = [ran(notebook[0], outcome="error", error="KeyboardInterrupt"), ran(notebook[1])]

    assert states(following(notebook, executions)) == ["stale", "stale"]


def test_a_run_whose_end_is_lost_may_have_done_any_part() -> None:
    """Of a cell that ran before its recording began, the end is not known."""
    notebook = cells("x = 1", "print(x)")

    found = following(notebook, [ran(notebook[0], outcome="lost"), ran(notebook[1])])

    assert states(found) == ["unknown", "unknown"]
    assert said(found, 1)[1] == "Cannot know: the end of this cell's run was not recorded."


def test_what_was_not_recorded_leaves_a_gap_that_is_seen() -> None:
    """The kernel's own numbers tell that something ran in between: from there on, who knows."""
    notebook = cells("x = 1", "print(x)", "y = 3\nprint(y)")
    executions = [ran(notebook[0], count=1), ran(notebook[1], count=4), ran(notebook[2], count=5)]

    found = following(notebook, executions)

    assert states(found) == ["follows", "unknown", "follows"]
    assert said(found, 2)[1] == "Cannot know: something ran that was not recorded."


def test_a_cell_that_is_not_logged_may_have_done_anything() -> None:
    """Nothing is known of it but that it ran."""
    notebook = cells("x = 1", "print(x)")
    executions = [ran(notebook[0], count=1), Execution(None, None), ran(notebook[1], count=3)]

    assert states(following(notebook, executions)) == ["follows", "unknown"]


def test_a_text_that_was_not_kept_is_taken_for_the_worst() -> None:
    """An earlier version of a cell, known by its hash alone, may have changed anything."""
    notebook = cells("x = 1", "y = 2", "print(x)", "print(y)")
    old = Execution("c2", sha256_of("y = 7\nx = 9"), None, count=2)
    executions = [ran(notebook[0], count=1), old, ran(notebook[2], count=3), ran(notebook[3], count=4)]

    found = following(notebook, executions)

    assert states(found) == ["follows", "edited", "unknown", "stale"]
    assert said(found, 3)[1] == "Cannot know: an earlier text of cell 2 ran, which was not kept."
    assert said(found, 4)[1] == "`y` comes from cell 2, which was edited after it ran."


def test_results_of_another_life_are_told_from_cells_that_never_ran() -> None:
    """The notebook shows a number beside the one, and none beside the other."""
    found = following(cells("x = 1", "y = 2"), [], counts={"c1": 7})

    assert states(found) == ["another life", "not run"]


def test_a_cell_that_also_ran_unseen_is_not_judged_by_what_was_seen() -> None:
    """The number beside it is not the one that was recorded."""
    notebook = cells("x = 1")

    assert states(following(notebook, run(notebook, 1), counts={"c1": 5})) == ["unknown"]


def test_a_cell_that_runs_is_left_alone() -> None:
    """Its result is yet to come."""
    notebook = cells("x = 1", "print(x)")

    assert states(following(notebook, [ran(notebook[0], outcome="running")])) == ["running", "not run"]


def test_markdown_and_broken_cells_are_no_stumbling_block() -> None:
    """What is no Python does nothing; cells are counted as the notebook shows them."""
    notebook = [Cell("m", "markdown", "# Title"), *cells("x = ", "print(1)", "")]
    broken = ran(notebook[1], outcome="error", error="SyntaxError")

    found = following(notebook, [broken, ran(notebook[2])])

    assert states(found) == ["follows", "out of order", "not run"]
    assert found[1].because == "A run from the top stops above this cell: cell 2 ends in an error."
