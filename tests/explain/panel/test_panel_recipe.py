"""The code that the panel inserts explains the same and gets the same numbers."""

from __future__ import annotations

import keyword
from typing import Any

import pytest
from alive import Page, alive

from nbproof.explain import mime
from nbproof.explain.panel.recipe import Taken, recipe_of

CASES = [
    {"model": "forest", "table": "frame", "row": 3},
    {"model": "forest", "table": "wide", "background": "frame", "row": 89},
    {"model": "boosted", "table": "wide", "rows": 20, "unit": "log-odds"},
    {"model": "boosted", "table": "matrix", "row": 5, "unit": "probability", "seed": 4},
    {"model": "line", "table": "frame", "rows": 90},
    {"model": "line", "table": "frame", "row": 1, "method": "sampled", "seed": 7},
    {"model": "pipeline", "table": "matrix", "rows": 30},
    {"model": "network", "table": "tensor", "row": 2},
]
EDITS = [
    ("forest", "frame", {"income": 99.5}),
    ("forest", "frame", {"age": 41}),
    ("forest", "wide", {"age": 41.5, "debt": -2}),
    ("boosted", "frame", {"debt": None}),
    ("pipeline", "matrix", {"feature 1": 55.5}),
    ("network", "tensor", {"feature 0": 12}),
]


def ran(code: str, namespace: dict[str, Any]) -> Any:
    """What a cell with this code shows."""
    *before, last = code.splitlines()
    exec("\n".join(before), namespace)
    return eval(last, namespace)


def same(shown: dict[str, Any], kept: Any) -> None:
    """The numbers on the screen are those of the cell, bit by bit."""
    there = kept._repr_mimebundle_()[mime.MIME]["explanations"]
    timeless = [{**each, "cost": None} for each in shown["bundle"]["explanations"]]
    assert timeless == [{**each, "cost": None} for each in there]


@pytest.mark.parametrize("asked", CASES, ids=lambda asked: f"{asked['model']} {asked['table']}")
def test_inserted_code_gives_the_numbers_on_the_screen(asked: dict[str, Any]) -> None:
    """The code runs in the notebook's own namespace, and its explanation is equal in every number."""
    namespace = alive()

    shown = Page(namespace).explained(**asked)

    same(shown, ran(shown["code"], dict(namespace)))


@pytest.mark.parametrize(("model", "table", "edits"), EDITS)
def test_the_code_of_an_edited_row_gives_its_numbers(model: str, table: str, edits: dict[str, Any]) -> None:
    """Edits are part of the code, and neither they nor the code change the table."""
    namespace = alive()
    before = namespace[table].copy() if hasattr(namespace[table], "copy") else namespace[table].clone()

    shown = Page(namespace).explained(model=model, table=table, row=3, edits=edits)

    same(shown, ran(shown["code"], dict(namespace)))
    assert bool((namespace[table] == before).all().all() if hasattr(before, "all") else False)


def test_the_code_takes_no_name_of_the_notebook() -> None:
    """A notebook that has an `edited` keeps it."""
    namespace = {**alive(), "edited": "mine"}

    shown = Page(namespace).explained(model="forest", table="frame", row=3, edits={"income": 1})

    assert "\nedited_ = frame.iloc[[3]].copy()\n" in shown["code"]


def test_code_is_as_short_as_it_can_be() -> None:
    """What is as usual is not spelled, and the columns are those that the model itself knows."""
    namespace = alive()

    assert recipe_of({"model": "forest", "table": "frame", "row": 0}, namespace).code() == (
        "from nbproof import explain\n\nexplain.both(forest, frame.iloc[[0]], frame)"
    )
    assert recipe_of({"model": "line", "table": "wide", "rows": 45, "seed": 2}, namespace).code() == (
        "from nbproof import explain\n\n"
        "explain.both(line, wide[list(line.feature_names_in_)].iloc[::2], wide[list(line.feature_names_in_)], seed=2)"
    )


def test_columns_without_a_shorter_name_are_listed() -> None:
    """Labels are spelled as Python spells them, whatever stands in them."""
    taken = Taken("wide", "frame", ("a'b", 3), row=1)

    assert taken.spelled() == """wide[["a'b", 3]].iloc[[1]]"""
    assert not keyword.iskeyword(taken.table)
