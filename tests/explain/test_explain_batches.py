"""Whole files explained in batches."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from nbproof.errors import AskedWrongly, Cancelled, DataUnusable
from nbproof.explain.batches import METADATA, columns_of, explain_file
from nbproof.explain.progress import Progress, Watch
from nbproof.explain.question import ask
from nbproof.explain.shapley.dispatch import explain

RNG = np.random.default_rng(6)
FRAME = pd.DataFrame(RNG.normal(size=(1000, 4)), columns=["age", "income", "debt", "limit"])
TARGET = (FRAME["age"] * FRAME["income"] > 0).astype(int)


def _model(target: Any = TARGET) -> Any:
    return xgboost.XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1).fit(FRAME, target)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    FRAME.assign(client=np.arange(1000)).to_parquet(path, row_group_size=300)
    return path


def test_a_file_holds_what_the_rows_would(source: Path, tmp_path: Path) -> None:
    """In batches of any size, values equal those of all rows at once; a kept column is copied."""
    model, target = _model(), tmp_path / "out" / "shares.parquet"
    expected = explain(ask(model, FRAME))

    written = explain_file(model, source, target, keep=["client"], batch_rows=128)

    found = pd.read_parquet(target)
    assert list(found.columns) == [
        "client", "base", "prediction", "share of age", "share of income", "share of debt", "share of limit",
    ]  # fmt: skip
    assert (found["client"] == np.arange(1000)).all()
    assert (found.filter(like="share of").to_numpy() == expected.values[:, :, 0]).all()
    assert (found["base"] == expected.base[:, 0]).all()
    assert (written.rows, written.method, written.unit, written.is_exact) == (1000, "native", "log-odds", True)
    assert written.largest_gap == expected.gap().max()


def test_the_file_tells_how_it_was_made(source: Path, tmp_path: Path) -> None:
    """The metadata name unit, method, outputs and the hash of the model."""
    model = _model()
    explain_file(model, source, tmp_path / "shares.parquet", batch_rows=500)

    told = json.loads(pyarrow.parquet.read_metadata(tmp_path / "shares.parquet").metadata[METADATA])

    assert (told["unit"], told["method"], told["is_exact"], told["outputs"]) == ("log-odds", "native", True, ["1"])
    assert told["complement"] == "0"
    assert told["model_sha256"] == str(ask(model, FRAME[:5]).origins.model)


def test_classes_stand_side_by_side(source: Path, tmp_path: Path) -> None:
    """Of three classes each has its own columns."""
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1)
    model.fit(FRAME, np.digitize(FRAME["age"], [-0.5, 0.5]))

    explain_file(model, source, tmp_path / "shares.parquet")

    found = pd.read_parquet(tmp_path / "shares.parquet")
    assert tuple(found.columns) == columns_of(tuple(FRAME.columns), ("0", "1", "2"))
    assert found["share of age for 2"].to_numpy() == pytest.approx(explain(ask(model, FRAME)).values[:, 0, 2])


def test_a_csv_is_read_as_it_is_written(tmp_path: Path) -> None:
    """A column of whole numbers with a fraction far below is a column of numbers; what is missing stays missing."""
    frame = FRAME.assign(age=np.arange(1000.0), income=np.where(np.arange(1000) < 10, np.nan, FRAME["income"]))
    wide = frame.assign(note="x" * 2000)
    wide.loc[999, "age"] = 0.5
    text = wide.to_csv(index=False).replace(".0,", ",")
    (tmp_path / "rows.csv").write_text(text)
    model = _model()

    written = explain_file(model, tmp_path / "rows.csv", tmp_path / "shares.parquet", batch_rows=400)

    found = pd.read_parquet(tmp_path / "shares.parquet")
    assert written.rows == len(found) == 1000
    expected = explain(ask(model, wide[list(FRAME.columns)])).values[:, :, 0]
    assert found.filter(like="share of").to_numpy() == pytest.approx(expected, abs=1e-6)


def test_text_that_comes_late_is_known_from_the_start(tmp_path: Path) -> None:
    """A category that only the last batch holds is explained like the others, against a background."""
    frame = pd.DataFrame({"town": ["Ulm", "Bonn"] * 100 + ["Kiel"] * 50, "size": RNG.normal(size=250)})
    frame.to_parquet(tmp_path / "rows.parquet")
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame[["town"]], frame["town"] == "Kiel")

    written = explain_file(
        model, tmp_path / "rows.parquet", tmp_path / "shares.parquet", background=frame[["town"]][:20], batch_rows=100
    )

    found = pd.read_parquet(tmp_path / "shares.parquet")
    assert (written.method, written.feature_names) == ("pipeline", ("town",))
    assert found["share of town"][240] > 0.5
    assert written.largest_gap <= 1e-6


def test_a_cancelled_file_leaves_nothing(source: Path, tmp_path: Path) -> None:
    """When cancelled between batches, the old file is whole and no other lies beside it."""
    target, cancel = tmp_path / "shares.parquet", threading.Event()
    target.write_bytes(b"as it was")

    def report(progress: Progress) -> None:
        if progress.done >= 200:
            cancel.set()

    with pytest.raises(Cancelled):
        explain_file(_model(), source, target, batch_rows=100, watch=Watch(report, cancel, every_s=0.0))

    assert target.read_bytes() == b"as it was"
    assert {each.name for each in tmp_path.iterdir()} == {"rows.parquet", "shares.parquet"}


KILLED = """
import os, signal, sys, xgboost
from pathlib import Path
from nbproof.explain.batches import explain_file
from nbproof.explain.progress import Watch

model = xgboost.XGBClassifier()
model.load_model(sys.argv[1])

def report(progress):
    if progress.done >= 500:
        os.kill(os.getpid(), signal.SIGKILL)

explain_file(model, Path(sys.argv[2]), Path(sys.argv[3]), batch_rows=100, watch=Watch(report, every_s=0.0))
"""


def test_a_killed_file_is_not_half_written(source: Path, tmp_path: Path) -> None:
    """Killed in the middle, the process leaves the old file as it was, and the next one writes the new one whole."""
    target, model = tmp_path / "shares.parquet", _model()
    target.write_bytes(b"as it was")
    model.save_model(tmp_path / "model.ubj")

    ran = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "model.ubj", source, target])

    assert ran.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"as it was"
    assert explain_file(model, source, target).rows == 1000
    assert pyarrow.parquet.read_table(target).num_rows == 1000


def test_progress_is_told_over_the_whole_file(source: Path, tmp_path: Path) -> None:
    """Reports grow to all the rows."""
    told: list[Progress] = []

    explain_file(_model(), source, tmp_path / "shares.parquet", batch_rows=250, watch=Watch(told.append, every_s=0.0))

    assert [each.total for each in told] == [1000] * len(told)
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert told[-1].done == 1000


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rows.txt", "a,b", "the ending .txt"),
        ("rows.csv", "age,income,debt\n1,2,3\n", "no column limit"),
        ("rows.csv", "age,income,debt,limit\n", "no rows"),
        ("rows.csv", "age,income,debt,limit\n1,2,3,much\n", "cannot answer these rows"),
        ("rows.parquet", "PAR0", "no Parquet file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: str, told: str) -> None:
    """What is no table, lacks a column, holds text among numbers or no rows is refused, and nothing is written."""
    (tmp_path / name).write_text(content)

    with pytest.raises(AskedWrongly, match=told):
        explain_file(_model(), tmp_path / name, tmp_path / "shares.parquet")

    assert not (tmp_path / "shares.parquet").exists()


def test_the_source_is_never_overwritten(source: Path) -> None:
    """Source and target must be two files."""
    with pytest.raises(DataUnusable, match="which is the source"):
        explain_file(_model(), source, source)


def test_others_may_read_what_is_written_as_the_umask_says(source: Path, tmp_path: Path) -> None:
    """The file of shares has the permissions of any file that its user makes."""
    usual, target = tmp_path / "usual", tmp_path / "out.parquet"
    usual.touch()

    explain_file(_model(), source, target)

    assert target.stat().st_mode == usual.stat().st_mode
