"""`nbproof explain` from a model and data in files to a folder that anybody can read."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lime.lime_tabular import LimeTabularExplainer

from nbproof.cli.explaining import RowsDone
from nbproof.cli.main import carry_out
from nbproof.explain import loading
from nbproof.explain.folder import load

DRAW = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "income": DRAW.normal(30, 8, 160).round(1), "debt": DRAW.normal(10, 4, 160).round(1),
    "age": DRAW.integers(20, 60, 160),
})  # fmt: skip
TARGET = np.where(FRAME["debt"] - FRAME["income"] / 3 + DRAW.normal(size=160) > 0, "default", "repaid")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models of three kinds, new rows with a column too many, and the training data."""
    import joblib
    import skops.io
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    folder = tmp_path_factory.mktemp("saved")
    training = FRAME.iloc[60:]
    forest = RandomForestClassifier(10, max_depth=4, random_state=0).fit(training, TARGET[60:])
    skops.io.dump(forest, folder / "forest.skops")
    joblib.dump(forest, folder / "forest.joblib")
    nameless = LogisticRegression(max_iter=1000).fit(training.to_numpy(), TARGET[60:])
    skops.io.dump(nameless, folder / "nameless.skops")
    skops.io.dump(LogisticRegression(), folder / "unfitted.skops")
    FRAME.iloc[:60].assign(target=TARGET[:60])[["target", "age", "debt", "income"]].to_parquet(folder / "new.parquet")
    training.to_csv(folder / "training.csv", index=False)
    return folder


@pytest.fixture(autouse=True)
def _here(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved)


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    told = capsys.readouterr()
    return told.out, told.err


def test_a_model_is_explained_to_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SHAP, LIME and audit of the first rows are told and saved; columns are found by name, whatever their order."""
    folder = tmp_path / "explained"

    code = carry_out(
        ["explain", "forest.skops", "new.parquet", "-b", "training.csv", "--rows", "12", "-o", str(folder)]
    )

    out, _ = said(capsys)
    kept = load(folder)
    assert code == 0
    assert kept.shap is not None
    assert kept.lime is not None
    assert kept.audit is not None
    assert kept.shap.feature_names == ("income", "debt", "age")
    assert kept.shap.data.tolist() == FRAME.iloc[:12].astype(float).values.tolist()
    assert "SHAP, exact (trees): 12 rows, in probability" in out
    assert "LIME (lime, seed 0): 12 rows" in out
    assert "pass" in out
    assert out.rstrip().endswith("audit.json, lime.npz, manifest.json, shap.npz")


def test_machines_get_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json stdout is one JSON document with the importance of every feature and flat metrics."""
    code = carry_out(["explain", "forest.skops", "new.parquet", "--no-audit", "-o", str(tmp_path / "e"), "--json"])

    document = json.loads(said(capsys)[0])
    assert code == 0
    assert document["rows"] == 60
    assert document["explanations"][0]["kind"] == "shap"
    assert set(document["explanations"][0]["importance"]["repaid"]) == {"income", "debt", "age"}
    assert document["metrics"]["explain.rows"] == 60
    assert document["audit"] is None


def test_what_a_note_asks_for_can_be_given(tmp_path: Path) -> None:
    """A column of kinds is declared by name, and LIME no longer speaks of values between them."""
    base = ["explain", "forest.skops", "new.parquet", "-b", "training.csv", "--no-audit", "--rows", "2"]

    assert carry_out([*base, "--categorical", "age", "--fix-point-mass", "-o", str(tmp_path / "e")]) == 0

    kept = load(tmp_path / "e")
    assert kept.lime is not None
    assert kept.lime.settings["categorical"] == ["age"]
    assert kept.lime.settings["fix_point_mass"] is True


def test_lime_can_go_on_in_one_stream(tmp_path: Path) -> None:
    """With --stream the rows are explained as by successive calls of one lime explainer."""
    folder = tmp_path / "e"
    asked = ["explain", "forest.skops", "new.parquet", "-b", "training.csv", "--no-audit", "--rows", "3", "--seed", "5"]

    assert carry_out([*asked, "--stream", "-o", str(folder)]) == 0

    found = load(folder).lime
    training, forest = FRAME.iloc[60:].astype(float), loading.model("forest.skops")
    theirs = LimeTabularExplainer(training.to_numpy(), random_state=5)
    assert found is not None
    assert found.surrogate is not None
    assert found.settings["mode"] == "stream"
    for row in range(3):
        each = theirs.explain_instance(
            FRAME.iloc[row].to_numpy(float),
            lambda points: forest.predict_proba(pd.DataFrame(points, columns=FRAME.columns)),
        )
        expected = np.zeros(3)
        for feature, weight in each.local_exp[1]:
            expected[feature] = weight
        assert found.surrogate.coefficients[row, :, 0] == pytest.approx(expected, abs=1e-9)


def test_lime_can_take_as_many_samples_as_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --adaptive the settings tell how many there were, and how stable it is; the audit uses as many."""
    folder = tmp_path / "e"
    asked = ["explain", "forest.skops", "new.parquet", "-b", "training.csv", "--rows", "12"]

    assert carry_out([*asked, "--adaptive", "-o", str(folder)]) == 0

    kept = load(folder)
    assert kept.lime is not None
    assert kept.audit is not None
    assert kept.lime.settings["stability_floor"] == 0.9
    assert kept.lime.settings["stability"] >= 0.9
    assert kept.lime.settings["is_stable"] is True
    assert kept.lime.settings["samples"] >= 5000
    assert kept.audit.line("repeatability of LIME").value == 0.0


def test_without_a_background_there_is_no_lime_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was not done is told with what it takes."""
    code = carry_out(["explain", "forest.skops", "new.parquet", "--no-audit", "-o", str(tmp_path / "e")])

    assert code == 0
    assert "note: no LIME, which learns from rows how values are spread: pass --background" in said(capsys)[0]
    assert load(tmp_path / "e").lime is None


def test_a_whole_file_is_explained_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every row's shares go to Parquet, and add up to the prediction beside them."""
    target = tmp_path / "shares.parquet"

    code = carry_out(["explain", "forest.skops", "new.parquet", "-o", str(target)])

    frame = pd.read_parquet(target)
    shares = frame[[name for name in frame if name.startswith("share of ")]]
    assert code == 0
    assert len(frame) == 60
    np.testing.assert_allclose(frame["base"] + shares.sum(axis=1), frame["prediction"], atol=1e-6)
    assert "60 rows x 3 features" in said(capsys)[0]


def test_a_model_without_names_takes_what_is_not_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the model does not know its columns' names, one too many is told, and can be left out."""
    base = ["explain", "nameless.skops", "new.parquet", "-b", "training.csv", "--no-audit", "-o", str(tmp_path / "e")]

    assert carry_out(base) == 2
    assert "found the 4 columns target, age, debt, income, expected 3, on which" in said(capsys)[1]

    FRAME.iloc[:60].assign(target=1).to_csv("wide.csv", index=False)
    base[2] = "wide.csv"
    assert carry_out([*base, "--drop", "target"]) == 0
    kept = load(tmp_path / "e")
    assert kept.shap is not None
    assert kept.shap.feature_names == ("income", "debt", "age")


CASES: dict[str, tuple[list[str], int, str]] = {
    "no model": (["nothing.skops", "new.parquet"], 2, "error: `nothing.skops`: found no file"),
    "not fitted": (["unfitted.skops", "new.parquet"], 2, "error: LogisticRegression: found a model that is not fitted"),
    "no data": (["forest.skops", "nothing.csv"], 2, "error: `nothing.csv`: found no such file"),
    "no such column": (["forest.skops", "odd.csv"], 2, "error: `odd.csv`: found no column income"),
    "text in a number": (["forest.skops", "text.csv"], 2, "string to float: 'many' (text stands in income)"),
    "pickle": (["forest.joblib", "new.parquet"], 3, "error: `forest.joblib`: found a .joblib file, which can carry"),
    "unit": (["forest.skops", "new.parquet", "--unit", "log-odds"], 2, "expected answers in log-odds"),
    "method": (["forest.skops", "new.parquet", "--method", "magic"], 2, "no method is called `magic`"),
    "guard": (
        ["forest.skops", "new.parquet", "-b", "new.parquet", "--strict", "--no-lime"], 3,
        "error: background contains the row",
    ),
    "rows of a file": (["forest.skops", "new.parquet", "--rows", "3", "-o", "e.parquet"], 2, "goes with a folder"),
    "run of a file": (["forest.skops", "new.parquet", "--run", "x", "-o", "e.parquet"], 2, "goes with a folder"),
    "stream of a file": (["forest.skops", "new.parquet", "--stream", "-o", "e.parquet"], 2, "a file holds SHAP alone"),
    "adaptive without LIME": (
        ["forest.skops", "new.parquet", "-b", "training.csv", "--no-lime", "--adaptive"], 2, "go with LIME",
    ),
    "stream without rows to learn from": (["forest.skops", "new.parquet", "--stream"], 2, "needs --background"),
    "nothing to drop": (["forest.skops", "new.parquet", "--drop", "x"], 2, "found no column x to drop"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_asked_wrongly_or_refused_is_one_line_and_a_code(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 for what cannot be explained, 3 for what nbproof will not do; nothing is written."""
    FRAME.rename(columns={"income": "salary"}).to_csv("odd.csv", index=False)
    FRAME.assign(income="many").to_csv("text.csv", index=False)
    arguments, code, line = CASES[case]
    output = [] if "-o" in arguments else ["-o", str(tmp_path / "e")]

    assert carry_out(["explain", *arguments, *output]) == code

    out, err = said(capsys)
    assert line in err
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "e").exists()


def test_a_pickle_is_read_where_that_was_asked_for(tmp_path: Path) -> None:
    """The unsafe choice has unsafe in its name."""
    arguments = ["forest.joblib", "new.parquet", "--unsafe-read-pickles", "--no-audit", "-o", str(tmp_path / "e")]

    assert carry_out(["explain", *arguments]) == 0


def test_help_is_light() -> None:
    """`nbproof explain --help` loads neither numpy nor any library of models."""
    code = (
        "import json, sys\nfrom nbproof.cli.main import carry_out\ncarry_out(['explain', '--help'])\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(ran.stdout.splitlines()[-1])}

    assert loaded & {"numpy", "scipy", "pandas", "sklearn", "shap", "lime", "mlflow", "torch", "rich"} == set()
    assert "nbproof explain models:/credit@champion" in ran.stdout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_line_now_and_then_or_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be overwritten a line comes every ten seconds; a terminal has a bar that goes."""
    clock = iter([0.0, 3.0, 11.0, 12.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    plain = io.StringIO()
    with RowsDone(plain) as shown:
        report: Any = shown.watch.report
        for done in (10, 50, 60):
            report(progress(done))
    monkeypatch.undo()

    terminal = Terminal()
    with RowsDone(terminal) as shown:
        report = shown.watch.report
        report(progress(50))

    assert plain.getvalue() == "explained 50 of 100 rows, about 5.0 s left\n"
    assert "50/100" in terminal.getvalue()


def progress(done: int) -> Any:
    from nbproof.explain.progress import Progress

    return Progress(done, 100, done / 10)
