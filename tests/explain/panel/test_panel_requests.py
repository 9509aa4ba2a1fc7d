"""What a page asks is answered as JSON, refused with a reason, and never raised into the user's cells."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
from alive import Page, alive
from xgboost import XGBClassifier

from nbproof import explain
from nbproof.explain.panel.work import groups_of


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(alive())


def test_what_lives_is_listed_as_json(page: Page) -> None:
    """The list holds the names, and JSON can hold it."""
    found = page.hear("end", page.ask("look"))

    assert [each["name"] for each in json.loads(json.dumps(found))["models"]][:2] == ["forest", "boosted"]


def test_options_are_those_of_model_and_table(page: Page) -> None:
    """Units, outputs and methods, what fits first."""
    found = page.hear("end", page.ask("options", model="boosted", table="frame"))

    assert found["units"] == ["log-odds", "probability"]
    assert found["outputs"] == ["1", "0"]
    assert found["methods"][0] == "native"
    assert {"sampled", "enumerated"} <= set(found["methods"])
    assert found["features"] == ["income", "age", "debt"]


def test_rows_are_shown_as_text(page: Page) -> None:
    """A page of rows to pick from, of a frame and of a tensor."""
    frame = page.hear("end", page.ask("rows", table="wide", start=88))
    tensor = page.hear("end", page.ask("rows", table="tensor"))

    assert (frame["total"], frame["columns"], len(frame["cells"])) == (90, ["repaid", "debt", "age", "income"], 2)
    assert frame["cells"][0][0] in ("yes", "no")
    assert tensor["columns"] == ["feature 0", "feature 1", "feature 2"]


def test_a_strange_cell_is_shown_by_its_kind() -> None:
    """The text of an object is code of its own, which is not run for a list of rows."""

    class Loud:
        def __str__(self) -> str:
            raise AssertionError("printed")

        __repr__ = __str__

    page = Page({"odd": pd.DataFrame({"a": [Loud(), None, float("nan"), 1.0, "x" * 500]})})

    cells = page.hear("end", page.ask("rows", table="odd"))["cells"]

    assert [row[0][:5] for row in cells] == ["Loud", "", "", "1", "xxxxx"]
    assert len(cells[4][0]) == 80


def test_a_row_is_explained_by_both_methods_and_judged(page: Page) -> None:
    """The lines are those of the audit of the same call, some at once, some afterwards."""
    given = {"model": "forest", "table": "frame", "row": 3}
    identity = page.ask("explain", **given)
    answer, last = page.hear("answer", identity), page.hear("end", identity)
    namespace = alive()
    whole = explain.both(namespace["forest"], namespace["frame"].iloc[[3]], namespace["frame"], is_audited=True)

    assert [each["kind"] for each in answer["bundle"]["explanations"]] == ["shares", "surrogate"]
    assert whole.audit is not None
    audited = {line.name: line.written() for line in whole.audit.lines}
    judged = [*answer["lines"], *last["lines"]]
    assert [each["name"].split(":")[0] for each in judged][:3] == [
        "completeness of SHAP", "local fidelity of LIME (R²)", "SHAP–LIME agreement",
    ]  # fmt: skip
    assert judged == [audited[each["name"]] for each in judged]
    assert any("stability" in each["name"] for each in last["lines"])


def test_fields_tell_kinds_values_and_what_is_usual() -> None:
    """Numbers, whole numbers, categories by their number, and marks."""
    made = alive()["mixed"]
    model = XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1, enable_categorical=True).fit(made, made["age"] > 40)
    page = Page({"model": model, "mixed": made})

    fields = page.explained(model="model", table="mixed", row=0)["fields"]

    assert [(each["name"], each["kind"]) for each in fields] == [
        ("income", "number"), ("age", "whole"), ("debt", "number"), ("town", "category"), ("is_member", "mark"),
    ]  # fmt: skip
    assert fields[3]["categories"] == ["a", "b"]
    assert fields[3]["value"] in (0, 1)
    assert fields[1]["low"] == made["age"].min()

    other = {"town": 1 - fields[3]["value"], "is_member": not fields[4]["value"], "age": 70}
    edited = page.explained(model="model", table="mixed", row=0, edits=other)

    assert edited["bundle"]["explanations"][0]["data"][0][1:4:2] == [70, ["a", "b"][other["town"]]]
    assert "age" in edited["outside"][0]


def test_an_edit_moves_prediction_and_both_explanations(page: Page) -> None:
    """The row is another one, so its answer and the shares of both methods are others, too."""
    before = page.explained(model="forest", table="frame", row=3)["bundle"]["explanations"]
    after = page.explained(model="forest", table="frame", row=3, edits={"income": 5})["bundle"]["explanations"]

    assert before[0]["prediction"] != after[0]["prediction"]
    assert before[0]["values"] != after[0]["values"]
    assert before[1]["values"] != after[1]["values"]


def test_where_lime_cannot_tell_shap_speaks_alone(page: Page) -> None:
    """A missing value, which boosted trees take: SHAP explains it, and LIME's silence has its reason."""
    shown = page.explained(model="boosted", table="frame", row=3, edits={"debt": None})

    assert [each["kind"] for each in shown["bundle"]["explanations"]] == ["shares"]
    assert "found a missing value (NaN) in row 0" in shown["silent"]
    assert shown["code"].endswith("explain.shap(boosted, edited, frame)")


def test_many_rows_are_cut_by_groups(page: Page) -> None:
    """By a column that the model never saw; numbers of many values are cut in quarters."""
    page.hear("end", page.ask("explain", model="line", table="wide", rows=90, is_brief=True))

    kinds = page.hear("end", page.ask("slices", column="repaid"))
    quarters = page.hear("end", page.ask("slices", column="income"))

    assert [each["group"] for each in kinds["slices"]] == ["no", "yes"]
    assert kinds["slices"][0]["answer"]["value"] < kinds["slices"][1]["answer"]["value"]
    assert [each["group"][:2] for each in quarters["slices"]] == ["1:", "2:", "3:", "4:"]
    assert sum(each["rows"] for each in quarters["slices"]) == 90


def test_too_many_kinds_are_no_groups() -> None:
    """Labels that name single rows make no groups."""
    assert groups_of(np.array([[1.0, 2.0], [1.0, 3.0]]), "feature 0") == [1.0, 1.0]
    with pytest.raises(Exception, match="40 values"):
        groups_of(pd.DataFrame({"name": [f"n{at}" for at in range(40)]}), "name")


def test_an_estimate_says_how_long_both_take(page: Page) -> None:
    """SHAP and LIME are probed each."""
    found = page.hear("end", page.ask("estimate", model="forest", table="frame", rows=90))

    assert found["rows"] == 90
    assert found["seconds"] == pytest.approx(found["shap_s"] + found["lime_s"])


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("explain", {"model": "gone", "table": "frame", "row": 0}, "no model is called `gone`"),
        ("explain", {"model": "forest", "table": "gone", "row": 0}, "no table is called `gone`"),
        ("explain", {"model": "forest", "table": "frame", "row": 90}, "a whole number from 0 to 89"),
        ("explain", {"model": "forest", "table": "frame", "row": "0"}, "a whole number from 0 to 89"),
        ("explain", {"model": "forest", "table": "mixed", "row": True}, "the row"),
        ("explain", {"model": "unfitted", "table": "frame", "row": 0}, "not fitted"),
        ("explain", {"model": "forest", "table": "frame", "row": 0, "unit": "euro"}, "no unit is called `euro`"),
        ("explain", {"model": "forest", "table": "frame", "row": 0, "method": "guess"}, "no method is called `guess`"),
        ("explain", {"model": "forest", "table": "frame", "row": 0, "edits": {"x": 1}}, "no feature is called `x`"),
        ("explain", {"model": "forest", "table": "frame", "row": 0, "edits": {"age": "1"}}, "a number, or nothing"),
        ("explain", {"model": "forest", "table": "frame", "row": 0, "edits": [1]}, "values by the names"),
        ("rows", {"table": "forest"}, "no table is called `forest`"),
        ("rows", {"table": "frame", "start": -1}, "the first row"),
        ("open", {}, "no request is called `open`"),
    ],
)
def test_what_cannot_be_is_refused_in_words(page: Page, name: str, given: dict[str, Any], said: str) -> None:
    """One sentence tells what was found and expected; nothing is raised."""
    assert said in page.refused(name, **given)["message"]


def test_slices_need_an_explanation_of_many_rows() -> None:
    """Before there is one, the answer says what to do."""
    assert Page(alive()).refused("slices", column="income")["hint"] == "explain the model first"


def test_what_a_model_raises_is_told(page: Page) -> None:
    """A model is code of its user's: whatever it raises becomes an answer."""

    def broken(rows: Any) -> Any:
        raise ZeroDivisionError("by the model")

    broken.__module__ = "__main__"
    strange = Page({**alive(), "broken": broken})

    assert "by the model" in strange.refused("explain", model="broken", table="frame", row=0)["message"]
    assert strange.hear("end", strange.ask("look"))["models"]


def test_a_model_that_changes_meanwhile_is_refused() -> None:
    """A cell that runs beside the explanation may fit the model again: then nothing of it is shown."""
    namespace = alive()
    line = type(namespace["line"])().fit(namespace["frame"], namespace["frame"]["income"])
    asked = threading.Event()

    class Changing(type(line)):  # type: ignore[misc]
        def predict(self, rows: Any) -> Any:
            if asked.is_set():
                self.coef_ = self.coef_ + 1.0
            elif len(rows) > 1000:
                # LIME asks about many points; afterwards the model is another one.
                asked.set()
            return super().predict(rows)

    model = Changing().fit(namespace["frame"], namespace["frame"]["income"])
    page = Page({"model": model, "frame": namespace["frame"]})

    told = page.refused("explain", model="model", table="frame", row=0)

    assert "changed meanwhile" in told["message"]


@pytest.mark.parametrize("message", [None, 3, "look", [], {}, {"id": 1, "ask": "look"}, {"ask": "look"}])
def test_what_is_no_request_is_left_alone(message: Any) -> None:
    """A comm may carry anything."""
    page = Page(alive())

    page.agent.hear(message)

    assert page.told.empty()


def test_a_run_ends_when_it_is_cancelled_and_what_waits_too() -> None:
    """The one under way stops at its next step, the one that waits never begins; the next one is served."""
    begun = threading.Event()

    def slow(rows: Any) -> Any:
        begun.set()
        threading.Event().wait(0.01)
        return np.asarray(rows)[:, 0]

    slow.__module__ = "__main__"
    page = Page({**alive(), "slow": slow})
    first = page.ask("explain", model="slow", table="matrix", rows=90)
    second = page.ask("explain", model="slow", table="matrix", row=1)
    assert begun.wait(60)

    page.ask("cancel", of=second)
    page.ask("cancel", of=first)

    assert page.hear("failure", first)["error"] == "Cancelled"
    assert page.hear("failure", second)["error"] == "Cancelled"
    assert page.hear("end", page.ask("look"))["models"]


def test_progress_names_the_method(page: Page) -> None:
    """First SHAP, then LIME, each up to its end."""
    identity = page.ask("explain", model="line", table="frame", rows=90, is_brief=True)
    heard = []
    # What was asked before may end meanwhile.
    while (told := page.told.get(timeout=60))["is"] != "end" or told["id"] != identity:
        if told["id"] == identity and told["is"] == "progress":
            heard.append((told["content"]["method"], told["content"]["done"] == told["content"]["total"]))

    assert ("SHAP", True) in heard
    assert ("LIME", True) in heard
    assert [method for method, _ in heard] == sorted((method for method, _ in heard), reverse=True)


def test_a_page_that_closes_ends_its_thread() -> None:
    """Nothing is left behind in the kernel."""
    page = Page(alive())
    page.hear("end", page.ask("look"))
    thread = page.agent._thread
    assert thread is not None

    page.agent.close()
    thread.join(timeout=60)

    assert not thread.is_alive()
