"""`nbproof monitor check`: files in, one screen or one document out, and an exit code that says whether to worry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.cli.main import carry_out
from nbproof.monitor.explanations import compare
from nbproof.monitor.limits import declared
from nbproof.monitor.look import Question, Rows, look

ROWS = 2000


def write(path: Path, columns: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path)
    return path


def rows(seed: int, *, shift: float = 0.0, codes: tuple[str, ...] = ("a", "b", "c")) -> dict[str, Any]:
    """Made-up months: an amount, a code, a group, a score that ranks the outcomes, and SHAP values."""
    rng = np.random.default_rng(seed)
    score = rng.random(ROWS)
    return {
        "id": np.arange(ROWS),
        "at": np.full(ROWS, np.datetime64("2026-08-31", "us")),
        "amount": rng.normal(shift, size=ROWS),
        "code": rng.choice(codes, ROWS),
        "group": rng.choice(["f", "m"], ROWS),
        "score": score,
        "label": (rng.random(ROWS) < score).astype("int64"),
        "shap_amount": rng.normal(size=ROWS),
        "shap_code": rng.normal(scale=0.1, size=ROWS),
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reference, a window like it and one that moved."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "reference.parquet", rows(0))
    write(tmp_path / "alike.parquet", rows(1))
    write(tmp_path / "moved.parquet", rows(2, shift=1.0, codes=("a", "b", "z")))
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> Any:
    capsys.readouterr()
    assert carry_out(["monitor", "check", "--reference", "reference.parquet", *words]) == code, capsys.readouterr()
    said = capsys.readouterr()
    return json.loads(said.out) if "--json" in words else said.out + said.err


ALL = (
    "--score", "score", "--label", "label", "--slices", "group", "--cutoff", "0.5", "--attributions", "shap_",
    "--key", "id",
)  # fmt: skip


def test_a_window_like_its_reference_is_green(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every area was looked at, nothing alarms, and the command ends well."""
    found = told(capsys, "--window", "alike.parquet", *ALL, "--json", code=0)

    assert found["verdict"] == "green"
    assert {each["area"] for each in found["findings"]} == {
        "drift", "prediction", "quality", "performance", "explanations", "fairness",
    }  # fmt: skip
    assert "at most 0.01 alarm by drift (Holm over all tests)" in found["expected_false_alarms"]
    assert "is green" in told(capsys, "--window", "alike.parquet", *ALL, code=0)


def test_a_window_that_moved_ends_with_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What moved is named with its number, and so is the code that nobody knew."""
    found = told(capsys, "--window", "moved.parquet", *ALL, "--json", code=1)
    shown = told(capsys, "--window", "moved.parquet", *ALL, code=1)

    reds = {(each["area"], each["of"]) for each in found["findings"] if each["verdict"] == "red"}
    assert reds == {("drift", "amount"), ("drift", "code"), ("quality", "code: unseen")}
    assert "33." in next(each["reason"] for each in found["findings"] if each["of"] == "code: unseen")
    assert "error: `moved.parquet` alarms: amount (red), code (red)" in shown


def test_columns_can_be_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is named is compared, as the kind that is named."""
    found = told(capsys, "--window", "alike.parquet", "--columns", "amount:number,code", "--json", code=0)

    assert [each["of"] for each in found["findings"] if each["area"] == "drift"] == ["amount", "code"]


def test_outcomes_that_were_not_due_are_not_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the day before the delay is over nothing is said about performance, though the file holds the labels."""
    delay = ("--label", "label", "--score", "score", "--time", "at", "--label-delay", "30", "--as-of")

    def performance(day: str) -> Any:
        found = told(capsys, "--window", "alike.parquet", *delay, day, "--reference-auc", "0.8", "--json", code=0)
        return next(each for each in found["findings"] if each["area"] == "performance")

    early, due = performance("2026-09-29"), performance("2026-09-30")

    assert (early["verdict"], early["numbers"]["auc"]) == ("not_evaluated", None)
    assert early["reason"] == "0 of 2000 labels have arrived"
    assert due["verdict"] == "green"


def test_outcomes_come_from_another_file_by_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of them there: not evaluated. All there: as if they lay in the window itself."""
    columns = rows(1)
    for name, size in (("half", ROWS // 2), ("whole", ROWS)):
        write(folder / f"{name}.parquet", {"id": columns["id"][:size][::-1], "label": columns["label"][:size][::-1]})
    common = ("--window", "alike.parquet", "--score", "score", "--label", "label", "--key", "id", "--json")

    def performance(*words: str) -> Any:
        found = told(capsys, *common, "--reference-auc", "0.8", *words, code=0)
        return next(each for each in found["findings"] if each["area"] == "performance")

    assert performance("--labels", "half.parquet")["verdict"] == "not_evaluated"
    assert performance("--labels", "whole.parquet") == performance()


def test_segments_of_a_folder_are_one_window(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log in two files is compared as a whole."""
    columns = rows(1)
    for name, part in (("1", slice(0, 500)), ("2", slice(500, ROWS))):
        write(folder / f"log/{name}.parquet", {key: values[part] for key, values in columns.items()})

    parts = told(capsys, "--window", "log", *ALL, "--json", code=0)
    whole = told(capsys, "--window", "alike.parquet", *ALL, "--json", code=0)

    assert parts["findings"] == whole["findings"]


def test_limits_come_from_the_scope(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A laxer limit that was declared makes the same window green."""
    limits = [("psi_amber", "psi", 50), ("psi_red", "psi", 60), ("quality_share_amber", "share", 0.5)]
    limits.append(("quality_share_red", "share", 0.9))
    scope = {
        "thresholds": [
            {"name": name, "metric": metric, "limit": limit, "phase": "10_monitoring", "owner": "ops"}
            for name, metric, limit in limits
        ]
    }
    (folder / "requirements.yaml").write_text(yaml.safe_dump(scope))

    words = ("--window", "moved.parquet", "--columns", "amount")
    told(capsys, *words, code=1)
    assert "is green" in told(capsys, *words, "--thresholds", "requirements.yaml", code=0)
    assert declared(scope).limits.drift.ks_warn == 1.0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--window", "gone.parquet"), "`gone.parquet`: found a file that cannot be read"),
        (("--window", "broken.parquet"), "`broken.parquet`: found a file that cannot be read"),
        (("--window", "empty.parquet"), "`empty.parquet`: found no rows, expected a window with rows"),
        (("--window", "text.parquet"), "`amount` of `text.parquet`: found values that are no numbers"),
        (("--window", "alike.parquet", "--columns", "nothing"), "found no column `nothing` among"),
        (("--window", "alike.parquet", "--columns", "code:number"), "`code` of `reference.parquet`: found values that"),
        (("--window", "alike.parquet", "--score", "code"), "found scores that are no numbers"),
        (("--window", "alike.parquet", "--score", "score", "--label", "amount"), "outcomes that are neither 0 nor 1"),
        (("--window", "alike.parquet", "--labels", "x.parquet"), "found --labels; expected --label and --key"),
        (("--window", "alike.parquet", "--slices", "group"), "found --slices; expected --score and a cutoff"),
        (("--window", "alike.parquet", "--label-delay", "3"), "found a delay of outcomes; expected --label, --time"),
        (("--window", "alike.parquet", "--attributions", "none_"), "found no column that begins with `none_`"),
        (("--window", "alike.parquet", "--thresholds", "broken.yaml"), "found no list of thresholds"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str
) -> None:
    """Found, expected and a hint, with the exit code of what was asked wrongly."""
    (folder / "broken.parquet").write_bytes(b"PAR1")
    (folder / "broken.yaml").write_text("thresholds: 3\n")
    write(folder / "empty.parquet", {name: values[:0] for name, values in rows(0).items()})
    write(folder / "text.parquet", {**rows(0), "amount": ["x"] * ROWS})

    shown = told(capsys, *words, code=2)

    assert line in shown
    assert "hint: " in shown


def test_metrics_are_written_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also when the window alarms."""
    told(capsys, "--window", "moved.parquet", *ALL, "--metrics", "nbproof.prom", "--model", "toy", code=1)

    text = (folder / "nbproof.prom").read_text()
    assert 'nbproof_window_verdict{model="toy",window="moved",area="drift",of="amount"} 3' in text
    assert text.endswith("\n")


def test_the_order_of_importance_is_compared() -> None:
    """The same order is 1; the first and last exchanged is an alarm; other features cannot be compared."""
    before = {"a": 1.0, "b": 0.1, "c": 0.01}

    assert compare(before, before).ndcg == pytest.approx(1.0)
    assert compare(before, {"a": 0.01, "b": 0.1, "c": 1.0}).verdict == "red"
    assert compare(before, {"a": 0.0, "b": 0.0, "c": 0.0}).verdict == "not_evaluated"
    with pytest.raises(ValueError, match="other features"):
        compare(before, {"a": 1.0})


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_the_same_rows_never_alarm(seed: int) -> None:
    """A window that is its own reference has nothing to say."""
    rng = np.random.default_rng(seed)
    side = Rows({"x": rng.normal(size=50), "y": rng.integers(0, 3, 50), "score": rng.random(50)})

    assert look(side, side, Question({"x": "number", "y": "category"}, score="score")).alarms == ()
