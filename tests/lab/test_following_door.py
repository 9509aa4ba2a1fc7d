"""The door to hidden state, before a real server whose kernels really ran the cells."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from lab_kernels import channels as channels_of
from lab_kernels import run_in, started
from lab_server import USUAL, Lab, jupyter_lab, wait_until

PATIENCE_S = 60.0
SOURCES = ("x = 1", "y = x + 1", "print(y)")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyter_lab(tmp_path_factory.mktemp("following")) as server:
        yield server


def of_file(lab: Lab, name: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.ask(f"recording/following?{urllib.parse.urlencode({'path': name})}", below="nbproof")
    return found


def of_page(lab: Lab, name: str, *cells: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = lab.ask("recording/following", {"path": name, "cells": list(cells)}, below="nbproof")
    return found


def cell(number: int, source: Any, **more: Any) -> dict[str, Any]:
    return {"id": f"cell-{number}", "kind": "code", "source": source, "tags": [], "count": None} | more


def run_all(lab: Lab, kernel_id: str, *sources: str) -> None:
    """Run cells as the page does, with their ids."""
    with channels_of(lab, kernel_id) as connection:
        for number, source in enumerate(sources):
            run_in(connection, source, cellId=f"cell-{number}")


def recorded(lab: Lab, name: str) -> int:
    found = lab.ask(f"recording?{urllib.parse.urlencode({'path': name})}", below="nbproof")
    return sum(one["outcome"] != "running" for one in found["executions"])


def is_recorded(lab: Lab, name: str, count: int) -> None:
    wait_until(lambda: recorded(lab, name) == count, f"{count} executions are read", PATIENCE_S)


def states(found: dict[str, Any]) -> list[str]:
    return [one["state"] for one in found["cells"]]


def test_the_file_and_the_page_are_judged_as_each_stands(lab: Lab) -> None:
    """What lies on the disk follows; the edit that is not saved yet does not, and the question changes nothing."""
    name = lab.write("judged.ipynb", USUAL, *SOURCES)
    before = (lab.root / name).read_bytes()
    with started(lab, USUAL, name) as kernel_id:
        run_all(lab, kernel_id, *SOURCES)
        is_recorded(lab, name, 3)

        saved = of_file(lab, name)
        edited = of_page(lab, name, cell(0, "x = 2"), cell(1, SOURCES[1]), cell(2, SOURCES[2]))

    assert (saved["is_known"], states(saved), saved["counts"]) == (True, ["follows"] * 3, {"follows": 3})
    assert states(edited) == ["edited", "stale", "stale"]
    assert edited["cells"][1] == {
        "id": "cell-1",
        "state": "stale",
        "because": "`x` comes from cell 1, which was edited after it ran.",
        "cause": "cell-0",
    }
    assert (lab.root / name).read_bytes() == before


def test_texts_that_a_page_has_shown_are_known_by_their_hash(lab: Lab) -> None:
    """With metadata alone, an earlier version of a cell harms nobody as long as its text was seen."""
    name = lab.write("versions.ipynb", USUAL, *SOURCES)
    with started(lab, USUAL, name) as kernel_id:
        with channels_of(lab, kernel_id) as connection:
            run_in(connection, "x = 1", cellId="cell-0")
            run_in(connection, "other = 0", cellId="cell-1")
            run_in(connection, SOURCES[1], cellId="cell-1")
            run_in(connection, "print(x)", cellId="cell-2")
        is_recorded(lab, name, 4)
        now = [cell(0, "x = 1"), cell(1, SOURCES[1]), cell(2, "print(x)")]

        unseen = of_page(lab, name, *now)
        of_page(lab, name, cell(1, "other = 0"))
        seen = of_page(lab, name, *now)

    assert states(unseen) == ["follows", "unknown", "unknown"]
    assert unseen["cells"][2]["because"] == "Cannot know: an earlier text of cell 2 ran, which was not kept."
    assert states(seen) == ["follows"] * 3


def test_without_a_kernel_results_are_from_another_life(lab: Lab) -> None:
    """The number beside a cell says that it ran once; nothing that lives knows of it."""
    name = lab.write("old.ipynb", USUAL, *SOURCES)
    content = json.loads((lab.root / name).read_text())
    content["cells"][0]["execution_count"] = 4
    (lab.root / name).write_text(json.dumps(content))

    assert states(of_file(lab, name)) == ["another life", "not run", "not run"]


def test_where_nothing_is_recorded_nothing_is_said_to_follow(lab: Lab) -> None:
    """Switched off, the answer is that it cannot be known, and why."""
    name = lab.write("off.ipynb", USUAL, *SOURCES)
    with started(lab, USUAL, name) as kernel_id:
        lab.ask("recording", {"path": name, "level": "off"}, below="nbproof")
        run_all(lab, kernel_id, *SOURCES)

        found = of_file(lab, name)

    assert (found["is_known"], found["reason"], found["cells"]) == (False, "it is switched off", [])


def test_what_ran_while_it_was_off_is_a_gap(lab: Lab) -> None:
    """Switched on again, the kernel's own numbers tell that something ran in between."""
    name = lab.write("gap.ipynb", USUAL, *SOURCES)
    with started(lab, USUAL, name) as kernel_id:
        lab.ask("recording", {"path": name, "level": "metadata"}, below="nbproof")
        run_all(lab, kernel_id, *SOURCES[:2])
        is_recorded(lab, name, 2)
        lab.ask("recording", {"path": name, "level": "off"}, below="nbproof")
        run_all(lab, kernel_id, "x = 5")
        lab.ask("recording", {"path": name, "level": "metadata"}, below="nbproof")
        with channels_of(lab, kernel_id) as connection:
            run_in(connection, SOURCES[2], cellId="cell-2")
        is_recorded(lab, name, 3)

        found = of_file(lab, name)

    assert states(found) == ["follows", "follows", "unknown"]
    assert found["cells"][2]["because"] == "Cannot know: something ran that was not recorded."


BAD: dict[str, Any] = {
    "no cells": None,
    "no list": {"a": 1},
    "a cell that is none": [1],
    "no id": [{"kind": "code", "source": ""}],
    "a long id": [cell(0, "", id="x" * 65)],
    "an id twice": [cell(0, ""), cell(0, "")],
    "another kind": [cell(0, "", kind="script")],
    "no text": [cell(0, ["x"])],
    "too long a text": [cell(0, "x" * 1_000_001)],
    "too many cells": [cell(number, "") for number in range(5_001)],
}


@pytest.mark.parametrize("cells", BAD.values(), ids=BAD)
def test_a_question_that_is_none_is_refused(lab: Lab, cells: Any) -> None:
    """In one line that says what was found and what was expected."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        lab.ask("recording/following", {"path": "judged.ipynb", "cells": cells}, below="nbproof")

    assert refused.value.code == 400
    assert json.loads(refused.value.read())["error"] == "RequestInvalid"


def test_hostile_cells_are_only_read(lab: Lab) -> None:
    """A deep expression, a null byte, half a character and a name of a megabyte: an answer, and nothing runs."""
    name = lab.write("hostile.ipynb", USUAL, "x = 1")
    hostile = ("(" * 5000, "x = '\\0'", "\\x00", "x" * 900_000 + " = 1", "\ud800", "__import__('os').system('true')")

    found = of_page(lab, name, *(cell(number, source) for number, source in enumerate(hostile)))

    assert states(found) == ["not run"] * len(hostile)
