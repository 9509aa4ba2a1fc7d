"""Tables of features as a repository of Feast: what is written is the table, and what is unclear is refused."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from nbproof.cli.main import carry_out
from nbproof.data.feature_repository import View, write_repository
from nbproof.errors import AskedWrongly, DataAbsent, DataUnusable, OutputTaken

VIEW = View("panel", "client", "known", 40)
FRAME = pd.DataFrame(
    {
        "client": [1, 1, 2],
        "known": pd.to_datetime(["2026-01-31", "2026-02-28", "2026-01-31"]),
        "amount": [1.5, None, 3.0],
        "status": pd.array([1, 2, 3], dtype="int8"),
        "kind": pd.Categorical(["x", "y", "x"]),
        "is_open": [True, False, True],
    }
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    FRAME.to_parquet(tmp_path / "panel.parquet", index=False)
    return tmp_path / "panel.parquet"


def test_the_rows_are_those_of_the_table(table: Path, tmp_path: Path) -> None:
    """In types that Feast has, their times in UTC; the code names them and the hash of the table."""
    features = write_repository(table, VIEW, tmp_path / "feast")

    found = pd.read_parquet(tmp_path / "feast/data/panel.parquet")
    assert features == ("amount", "status", "kind", "is_open")
    assert found["known"].tolist() == FRAME["known"].dt.tz_localize("UTC").tolist()
    assert found["status"].dtype == "int64"
    assert found["kind"].tolist() == ["x", "y", "x"]
    assert found["amount"].equals(FRAME["amount"])
    store = yaml.safe_load((tmp_path / "feast/feature_store.yaml").read_text())
    assert (store["project"], store["provider"], store["online_store"]["type"]) == ("panel", "local", "sqlite")
    code = (tmp_path / "feast/features.py").read_text()
    ast.parse(code)
    for line in ('Field(name="amount", dtype=Float64)', 'Field(name="is_open", dtype=Bool)', "timedelta(days=40)",
                 'timestamp_field="known"', "ValueType.INT64"):  # fmt: skip
        assert line in code
    assert sorted(each.name for each in (tmp_path / "feast").iterdir()) == [
        "data", "feature_store.yaml", "features.py", "requirements.txt"
    ]  # fmt: skip


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no time": ({"known": ["a", "b", "c"]}, "the column `known`: found .*string, expected times"),
    "a hole": ({"client": ["a", None, "b"]}, "the column `client`: found 1 holes"),
    "two rows at once": (
        {"known": [pd.Timestamp("2026-01-31")] * 3},
        "found 1 times of which one `client` has several",
    ),
    "a list": ({"amount": [[1], [2], [3]]}, "the column `amount`: found list"),
    "an entity of fractions": ({"client": [0.5, 1.5, 2.5]}, "the column `client`: found double"),
    "a name that is code": ({'x"y': [1, 2, 3]}, "expected letters, digits and underscores"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_say_which_row_counted_is_refused(kind: str, tmp_path: Path) -> None:
    """Each in one line, and nothing is left behind."""
    columns, words = REFUSED[kind]
    FRAME.assign(**columns).to_parquet(tmp_path / "panel.parquet", index=False)

    with pytest.raises(DataUnusable, match=words):
        write_repository(tmp_path / "panel.parquet", VIEW, tmp_path / "feast")
    assert [each.name for each in tmp_path.iterdir()] == ["panel.parquet"]


def test_what_is_asked_for_wrongly_is_refused(table: Path, tmp_path: Path) -> None:
    """Columns that are not there, names and times that are none, a folder that is there, a table that is none."""
    with pytest.raises(DataUnusable, match="no column `nothing`"):
        write_repository(table, View("panel", "client", "known", 40, ("nothing",)), tmp_path / "feast")
    with pytest.raises(DataUnusable, match="`amount` asked for twice"):
        write_repository(table, View("panel", "client", "known", 40, ("amount", "amount")), tmp_path / "feast")
    with pytest.raises(AskedWrongly, match="expected letters, digits and underscores"):
        View("my-panel", "client", "known", 40)
    for days in (0, float("nan"), float("inf")):
        with pytest.raises(AskedWrongly, match="expected a number of days"):
            View("panel", "client", "known", days)
    with pytest.raises(OutputTaken):
        write_repository(table, VIEW, tmp_path)
    with pytest.raises(DataAbsent):
        write_repository(tmp_path / "none.parquet", VIEW, tmp_path / "feast")
    (tmp_path / "odd.parquet").write_text("hello")
    with pytest.raises(DataUnusable, match="no Parquet file"):
        write_repository(tmp_path / "odd.parquet", VIEW, tmp_path / "feast")


def test_days_become_moments(tmp_path: Path) -> None:
    """A date counts from its midnight, in UTC; and so do times of another zone from their own moment."""
    dates = FRAME.assign(known=[each.date() for each in FRAME["known"]])
    zoned = FRAME.assign(known=FRAME["known"].dt.tz_localize("Asia/Taipei"))
    for name, frame, hour in (("dates", dates, 0), ("zoned", zoned, 16)):
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
        write_repository(tmp_path / f"{name}.parquet", View(name, "client", "known", 40), tmp_path / name)

        found = pd.read_parquet(tmp_path / name / f"data/{name}.parquet")["known"]
        assert (str(found.dt.tz), found.dt.hour.unique().tolist()) == ("UTC", [hour])


def test_the_command_says_what_comes_next(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words, and as JSON."""
    monkeypatch.chdir(tmp_path)
    asked = ["data", "export", "panel.parquet", "--to", "feast", "--entity", "client", "--time", "known"]

    assert carry_out([*asked, "--ttl-days", "40", "--out", "one"]) == 0
    assert capsys.readouterr().out == "one: 4 features; where Feast is installed: feast -c one apply\n"
    assert carry_out([*asked, "--ttl-days", "40", "--feature", "amount", "--out", "two", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"table": "panel.parquet", "folder": "two", "view": "panel", "features": ["amount"], "to": "feast"}
