"""The pages that name tests as evidence: the threat model, and the standards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from named_tests import is_there, named

DOCS = Path(__file__).parents[2] / "docs"
THREATS, STANDARDS = DOCS / "concepts/threat-model.md", DOCS / "reference/standards.md"
NONE = "none, because "


def rows(page: Path, head: str) -> Iterator[list[str]]:
    """The cells of each row of the tables whose last column is called `head`."""
    is_inside = False
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not line.startswith("|"):
            is_inside = False
        elif cells[-1].strip() == head:
            is_inside = True
        elif is_inside and not re.fullmatch(r"[|-]+", line):
            yield cells


def problem_of(evidence: str, *, may_be_none: bool) -> str:
    """What is wrong with the last cell of a row, or ""."""
    if may_be_none and evidence.startswith(NONE):
        return "a gap that names a test" if named(evidence) else ""
    missing = [test for test in named(evidence) if not is_there(test)]
    return f"no {missing[0]}" if missing else "" if named(evidence) else "no test"


@pytest.mark.parametrize(
    ("page", "head", "least"), [(THREATS, "test", 30), (STANDARDS, "evidence", 30)], ids=["threats", "standards"]
)
def test_every_line_has_its_test(page: Path, head: str, least: int) -> None:
    """Each defence is shown by tests that are there; a standard may have a gap, which says why."""
    found = [*rows(page, head)]

    assert len(found) >= least
    problems = {row[0]: problem_of(row[-1], may_be_none=page == STANDARDS) for row in found}
    assert {name: problem for name, problem in problems.items() if problem} == {}


@pytest.mark.parametrize("name", ["NIST AI RMF", "FDA SaMD", "21 CFR Part 11", "FedRAMP", "CMMC", "SSDF"])
def test_every_standard_has_its_heading(name: str) -> None:
    """With evidence, and with what is missing."""
    headings = re.findall(r"^## (.*)$", STANDARDS.read_text(), re.MULTILINE)

    assert any(name in heading for heading in headings)


def test_nowhere_is_it_said_that_a_standard_is_met() -> None:
    """Evidence exists; whether it is enough is for those who are responsible."""
    text = STANDARDS.read_text().lower()

    assert [word for word in ("compliant with", "certified", "conforms to", "fully meets") if word in text] == []


@pytest.mark.parametrize(
    ("evidence", "problem"),
    [
        ("", "no test"),
        ("`tests/none.py`", "no tests/none.py"),
        ("`tests/test_house.py::test_none`", "no tests/test_house.py::test_none"),
        ("none, because `tests/test_house.py`", "a gap that names a test"),
        ("none, because it is so", ""),
        ("`tests/test_house.py`", ""),
    ],
)
def test_what_is_wrong_is_seen(evidence: str, problem: str) -> None:
    """The test above can fail."""
    assert problem_of(evidence, may_be_none=True) == problem
    assert problem_of("none, because", may_be_none=False) == "no test"
