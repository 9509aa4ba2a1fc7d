"""Freshness: decided by content, told in words."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.run.freshness import Fingerprint, Product, TaskRecord, TaskRecords, verdict
from nbproof.run.sources.hashes import canonical_json

HASHES = st.dictionaries(
    st.text(max_size=5), st.none() | st.text("abcdef0123456789", min_size=4, max_size=4), max_size=4
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
FINGERPRINTS = st.builds(
    Fingerprint,
    code=st.lists(st.text("abcdef", min_size=1, max_size=4), max_size=4).map(tuple),
    modules=HASHES,
    parameters=st.dictionaries(st.text(max_size=5), VALUES, max_size=4),
    upstream=HASHES,
    data=HASHES,
    environment=st.text("abc", max_size=3),
)
NOW = Fingerprint(("a", "b"), {"helper.py": "1"}, {"rows": 3}, {"make.data": "2"}, {"in.csv": "3"}, "env")
PRODUCTS = {"data": Product("build/data.txt", "4", "4")}


def reasons(then: Fingerprint, now: Fingerprint, contents: dict[str, str | None] | None = None) -> tuple[str, ...]:
    record = TaskRecord(then, PRODUCTS, "run", 0.0)
    return verdict("task", record, now, {"data": "4"} if contents is None else contents, lambda lock: {}).reasons


@given(FINGERPRINTS)
def test_a_record_survives_the_disk(fingerprint: Fingerprint) -> None:
    """What is read back equals what was written."""
    record = TaskRecord(fingerprint, PRODUCTS, "run", 1.5)

    assert TaskRecord.from_json(record.to_json()) == record


@given(FINGERPRINTS, FINGERPRINTS)
def test_a_task_is_fresh_exactly_when_nothing_differs(then: Fingerprint, now: Fingerprint) -> None:
    """Two fingerprints give a reason if and only if they differ."""
    assert bool(reasons(then, now)) == (canonical_json(asdict(then)) != canonical_json(asdict(now)))


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (replace(NOW, code=("a", "c")), "code cell 2 changed"),
        (replace(NOW, code=("a",)), "its code has 1 cells instead of 2"),
        (replace(NOW, modules={"helper.py": "9"}), "`helper.py`, which it imports, changed"),
        (replace(NOW, modules={}), "`helper.py`, which it imports, is no longer read"),
        (replace(NOW, parameters={"rows": 4}), "parameter `rows` changed from 3 to 4"),
        (replace(NOW, parameters={"rows": 3.0}), "parameter `rows` changed from 3 to 3.0"),
        (replace(NOW, upstream={"make.data": None}), "upstream product `make.data` is missing"),
        (replace(NOW, data={"in.csv": "9"}), "declared data `in.csv` changed"),
        (replace(NOW, environment="new"), "the environment changed"),
    ],
)
def test_each_change_has_its_words(now: Fingerprint, reason: str) -> None:
    """A reviewer reads why a task is stale, not a hash."""
    assert reasons(NOW, now) == (reason,)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ({"data": None}, "product `data` is missing"),
        ({"data": "5"}, "product `data` was changed since it was made"),
        ({}, "product `data` is no longer declared"),
        ({"data": "4", "more": "6"}, "product `more` is newly declared"),
    ],
)
def test_a_touched_product_is_never_called_fresh(contents: dict[str, str | None], reason: str) -> None:
    """The content of every product is compared with what was recorded."""
    assert reasons(NOW, NOW, contents) == (reason,)


def test_a_changed_environment_names_its_packages() -> None:
    """The packages that differ are named, three at most."""
    packages = {"env": {"pandas": "2.3.3", "numpy": "2.4.6"}, "new": {"pandas": "3.1.1", "numpy": "2.4.6"}}

    found = verdict(
        "task",
        TaskRecord(NOW, PRODUCTS, "run", 0.0),
        replace(NOW, environment="new"),
        {"data": "4"},
        packages.__getitem__,
    )

    assert found.reasons == ("the environment changed: pandas 2.3.3 → 3.1.1",)


def test_packages_that_nobody_noted_are_not_called_absent() -> None:
    """Of an environment in which nothing has run yet only its hash is known; that is all that can be said."""
    packages = {"env": {"pandas": "2.3.3"}, "new": dict[str, str]()}
    record = TaskRecord(NOW, PRODUCTS, "run", 0.0)

    found = verdict("task", record, replace(NOW, environment="new"), {"data": "4"}, packages.__getitem__)

    assert found.reasons == ("the environment changed",)


@given(st.integers(min_value=0, max_value=200))
def test_a_record_cut_short_costs_one_rerun(tmp_path_factory: pytest.TempPathFactory, kept: int) -> None:
    """However short the file is cut, reading it gives a reason and no error."""
    folder = tmp_path_factory.mktemp("records")
    records = TaskRecords(folder)
    records.write("task", TaskRecord(NOW, PRODUCTS, "run", 0.0))
    path = folder / "task.json"
    path.write_bytes(path.read_bytes()[:kept])

    assert records.read("task") == "its record `task.json` cannot be read"


def test_no_record_means_not_yet_run(tmp_path: Path) -> None:
    """The first reason of all."""
    assert TaskRecords(tmp_path).read("task") == "it has not run yet"


def test_of_many_changes_the_first_are_named() -> None:
    """A hundred changed modules do not make a reason of a hundred lines."""
    modules = {f"m{number}.py": "1" for number in range(100)}

    found = reasons(replace(NOW, modules={}), replace(NOW, modules=modules))

    assert found == (
        "`m0.py`, which it imports, is new",
        "`m1.py`, which it imports, is new",
        "`m10.py`, which it imports, is new",
        "and 97 more like these",
    )
