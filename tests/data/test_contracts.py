"""Contracts of tables: a draft is kept by what it was drafted from, and whatever breaks it is named and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from nbproof.cli.main import carry_out
from nbproof.data.contracts import Broken, broken, draft, read_table
from nbproof.errors import DataAbsent, DataUnusable

Caught = pytest.CaptureFixture[str]
FRAME = pd.DataFrame(
    {
        "age": [20, 30, 40, 50, 60] * 4,
        "limit": [1.5, None, 3.0, 2.0, 2.5] * 4,
        "region": ["north", "south"] * 10,
        "name": [f"client {number}" for number in range(20)],
        "day": pd.date_range("2020-01-01", periods=20).astype("datetime64[us]"),
        "is_open": [True, False] * 10,
    }
)
SUITE = {
    "name": "panel",
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "age", "min_value": 25.0, "max_value": 99.0},
        },
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "limit"}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "age"}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 100}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "nowhere"}},
    ],
}


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """The draft of the frame."""
    file = tmp_path / "panel.yaml"
    file.write_text(draft(FRAME, "panel.parquet"))
    return file


def test_a_draft_says_what_was_found(contract: Path) -> None:
    """Types, ranges and categories; names that never come again are no categories."""
    said = yaml.safe_load(contract.read_text())
    columns = said["columns"]

    assert contract.read_text().startswith("# Drafted by `nbproof data draft` from what panel.parquet holds: 20 rows.")
    assert (said["strict"], said.get("coerce", False)) == (True, False)
    assert columns["age"]["in_range"] == {"min_value": 20, "max_value": 60, "include_min": True, "include_max": True}
    assert columns["limit"]["nullable"] is True
    assert columns["region"]["isin"] == ["north", "south"]
    assert [*columns["name"]] == ["dtype"]
    assert columns["is_open"] == {"dtype": "bool"}


CHANGES: dict[str, tuple[Any, list[tuple[str, int | None]]]] = {
    "nothing": (lambda frame: frame, []),
    "out of range": (lambda frame: frame.assign(age=frame["age"] + 10), [("age", 4)]),
    "a new category": (lambda frame: frame.assign(region=["east", *frame["region"][1:]]), [("region", 1)]),
    "a hole": (lambda frame: frame.assign(name=[None, *frame["name"][1:]]), [("name", 1)]),
    "a further column": (lambda frame: frame.assign(more=1), [("(table)", None)]),
    "a column less": (lambda frame: frame.drop(columns="age"), [("(table)", None)]),
    "another type": (lambda frame: frame.assign(age=frame["age"].astype(float)), [("age", None)]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_breaks_it_is_named_and_counted(contract: Path, change: str) -> None:
    """Each line with its rows, and all of them at once."""
    changed, expected = CHANGES[change]

    assert [(each.column, each.count) for each in broken(changed(FRAME.copy()), contract)] == expected


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.one_of(
            st.lists(st.integers(-(2**40), 2**40), min_size=12, max_size=12),
            st.lists(st.floats(allow_infinity=False), min_size=12, max_size=12),
            st.lists(st.sampled_from(["a", "b", "", "yes", "1", None]), min_size=12, max_size=12),
            st.lists(st.booleans(), min_size=12, max_size=12),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_table_keeps_its_own_draft(tmp_path_factory: pytest.TempPathFactory, columns: dict[str, list[Any]]) -> None:
    """Whatever is in it, holes and odd words included, once it was written and read."""
    folder = tmp_path_factory.mktemp("draft")
    pd.DataFrame(columns).to_parquet(folder / "t.parquet")
    frame = read_table(folder / "t.parquet")
    (folder / "t.yaml").write_text(draft(frame, "t"))

    assert list(broken(frame, folder / "t.yaml")) == []


def test_a_suite_of_great_expectations_is_run(tmp_path: Path) -> None:
    """What is not kept is counted, and what could not be asked has not been kept."""
    file = tmp_path / "suite.json"
    file.write_text(json.dumps(SUITE))

    assert {*broken(FRAME, file)} == {
        Broken("age", "expect_column_values_to_be_between(max_value=99.0, min_value=25.0)", 4),
        Broken("limit", "expect_column_values_to_not_be_null()", 4),
        Broken("(table)", "expect_table_row_count_to_be_between(min_value=100)", None),
        Broken("nowhere", "expect_column_values_to_be_unique() could not be evaluated", None),
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{"), ("a.json", "{}"), ("a.json", '{"expectations": []}'), ("a.json", "[]"),
        ("a.json", '{"expectations": [{"type": "expect_nothing_known", "kwargs": {}}]}'),
        ("a.yaml", "schema_type: dataframe\ncolumns: {}\n"), ("a.yaml", "5"), ("a.yaml", "columns: ["),
        ("a.yaml", "schema_type: dataframe\ncolumns:\n  a: {dtype: int64, checks: {no_such_check: 5}}\n"),
        ("a.txt", ""),
    ],
)  # fmt: skip
def test_a_contract_that_asks_for_nothing_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """Any rows would keep it."""
    (tmp_path / name).write_text(text)

    with pytest.raises(DataUnusable, match=r"that asks for something"):
        list(broken(FRAME, tmp_path / name))


def test_tables_of_every_kind_are_read(tmp_path: Path) -> None:
    """Parquet, CSV, and Delta Lake at a version; what is no table is told."""
    rows = FRAME[["age", "region"]]
    rows.to_parquet(tmp_path / "t.parquet")
    rows.to_csv(tmp_path / "t.csv", index=False)
    write_deltalake(tmp_path / "t", rows)
    write_deltalake(tmp_path / "t", rows, mode="append")

    for name in ("t.parquet", "t.csv", "t@v0"):
        pd.testing.assert_frame_equal(read_table(tmp_path / name), rows, check_dtype=False)
    assert len(read_table(tmp_path / "t")) == 40
    with pytest.raises(DataAbsent, match="expected a Parquet or CSV file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(DataUnusable, match="no table"):
        read_table(tmp_path / "bad.parquet")


def test_the_commands_draft_and_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Caught) -> None:
    """A draft never takes the place of a file, no value of a row is shown, and a broken contract ends with 1."""
    monkeypatch.chdir(tmp_path)
    FRAME.to_parquet("panel.parquet")
    assert carry_out(["data", "draft", "panel.parquet", "--out", "panel.yaml"]) == 0
    assert carry_out(["data", "draft", "panel.parquet", "--out", "panel.yaml"]) == 2
    assert carry_out(["data", "check", "panel.parquet", "panel.yaml"]) == 0
    FRAME.assign(region=np.where(FRAME.index == 3, "a secret place", FRAME["region"])).to_parquet("panel.parquet")
    capsys.readouterr()

    assert carry_out(["data", "check", "panel.parquet", "panel.yaml"]) == 1

    said = capsys.readouterr()
    assert said.err.startswith("error: `panel.parquet`: found 1 lines of `panel.yaml` broken, expected none")
    assert "region" in said.out
    assert "secret" not in said.out + said.err
