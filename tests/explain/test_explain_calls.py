"""What a notebook calls, from end to end: real models, real explainers, every guard before the number."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from nbproof import explain
from nbproof.errors import Cancelled, DataUnusable, ExplanationRefused
from nbproof.explain.progress import Watch
from nbproof.explain.shown import Both, Shown

DRAW = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "income": DRAW.normal(30, 8, 200).round(1), "debt": DRAW.normal(10, 4, 200).round(1),
    "town": DRAW.choice(["a", "b", "c"], 200), "age": DRAW.integers(20, 60, 200),
})  # fmt: skip
TARGET = np.where(FRAME["debt"] - FRAME["income"] / 3 + DRAW.normal(size=200) > 0, "default", "repaid")
ROWS, TRAINING = FRAME.iloc[:5], FRAME.iloc[5:]
FEW = explain.LimeOptions(samples=200, features=3)


@pytest.fixture(scope="module")
def mixed() -> Any:
    """A classifier of a frame with text in it."""
    columns = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(TRAINING, TARGET[5:])


def test_both_methods_explain_a_frame_with_text(mixed: Any) -> None:
    """SHAP adds up to the model's own answer, LIME stands beside it in the same unit, and both show themselves."""
    made = explain.both(mixed, ROWS, TRAINING, lime=FEW, feature_units={"income": "k€"})

    assert isinstance(made, Both)
    assert made.shap is not None
    assert made.lime is not None
    np.testing.assert_allclose(made.shap.total()[:, 0], mixed.decision_function(ROWS), atol=1e-5)
    assert made.shap.unit == made.lime.unit == "log-odds"
    assert made.shap.output_names == ("repaid",)
    assert "k€" in made.shap[0]._repr_mimebundle_()["image/svg+xml"]
    assert made.lime.surrogate is not None


def test_the_same_call_gives_the_same_bits(mixed: Any) -> None:
    """Twice the same seed is twice the same explanation."""
    one, other = (explain.both(mixed, ROWS, TRAINING, seed=3, lime=FEW) for _ in range(2))

    assert one.shap is not None
    assert one.lime is not None
    assert other.shap is not None
    assert other.lime is not None
    assert one.shap.equals(other.shap)
    assert one.lime.equals(other.lime)


def test_lime_takes_as_many_samples_as_stability_takes(mixed: Any) -> None:
    """With a floor the samples grow from those that were asked for, and a note says where they did not suffice."""
    few = explain.lime(mixed, ROWS, TRAINING, samples=20)
    grown = explain.lime(mixed, ROWS, TRAINING, samples=20, until_stable=0.95)

    assert few.settings["samples"] == 20
    assert "stability" not in few.settings
    assert grown.settings["samples"] > 20
    assert grown.settings["stability"] >= 0.95
    assert grown.seed == 0
    assert grown.equals(explain.lime(mixed, ROWS, TRAINING, samples=20, until_stable=0.95))


def test_a_slice_of_a_call_shows_itself() -> None:
    """What a call gives, and each part of it, is something that a notebook shows."""
    rows = FRAME[["income", "debt"]].to_numpy()
    made = explain.shap(LinearRegression().fit(rows, rows @ [2.0, 3.0]), rows[:3], rows[3:])

    assert isinstance(made[0], Shown)
    assert made.is_exact
    np.testing.assert_allclose(made.values[:, :, 0], (rows[:3] - rows[3:].mean(axis=0)) * [2, 3], rtol=1e-5)


def test_what_is_saved_is_loaded_with_its_audit(mixed: Any, tmp_path: Path) -> None:
    """An audited explanation comes back whole: both methods and every line of the audit."""
    made = explain.both(mixed, FRAME.iloc[:12], FRAME.iloc[12:], lime=FEW, is_audited=True)

    explain.save(made, tmp_path / "kept")

    back = explain.load(tmp_path / "kept")
    assert back.audit is not None
    assert back.audit == made.audit
    assert back.shap is not None
    assert made.shap is not None
    assert back.shap.equals(made.shap)
    assert "completeness" in json.dumps(back.audit.written())
    assert back._repr_mimebundle_()["application/vnd.nbproof.explanation.v1+json"]["audit"] == back.audit.written()


def test_an_audit_of_what_there_is_already(mixed: Any) -> None:
    """Explanations that were made before are judged as they are; those of other rows are refused."""
    rows, training = FRAME.iloc[:12], FRAME.iloc[12:]
    made = explain.shap(mixed, rows, training)

    found = explain.audit(mixed, rows, training, shap=made)

    assert found.rows == 12
    assert found.methods == (made.method,)
    with pytest.raises(ExplanationRefused, match=r"the audit: found .* of other rows"):
        explain.audit(mixed, FRAME.iloc[20:32], training, shap=made)


def test_one_method_is_saved_under_its_own_name(mixed: Any, tmp_path: Path) -> None:
    """LIME alone is kept as LIME, and SHAP alone as SHAP."""
    explain.save(explain.lime(mixed, ROWS, TRAINING, samples=200), tmp_path)

    back = explain.load(tmp_path)

    assert back.shap is None
    assert back.lime is not None
    assert back.lime.surrogate is not None


def test_what_a_guard_finds_is_a_note_and_under_strict_a_refusal(mixed: Any) -> None:
    """A background that holds the row is told with the numbers; who asks strictly gets none."""
    made = explain.shap(mixed, ROWS, FRAME)

    assert any("background" in note for note in made.notes)
    with pytest.raises(ExplanationRefused):
        explain.shap(mixed, ROWS, FRAME, strict=True)


def test_the_same_thing_is_noted_once() -> None:
    """What LIME says of its own points, the guards do not say again; what it does not say, they do."""
    rows = np.column_stack([DRAW.normal(size=80), np.repeat([0.0, 1.0], 40), np.arange(80) % 4.0])
    made = explain.lime(LinearRegression().fit(rows, rows[:, 0]), rows[:2], rows[2:], samples=100)

    about = [[note for note in made.notes if f"feature {at}" in note and "declared" in note] for at in (1, 2)]

    assert [len(notes) for notes in about] == [1, 1]


def test_a_method_without_its_background_says_so(mixed: Any) -> None:
    """A black box cannot be explained against nothing."""
    with pytest.raises(DataUnusable, match="the background: found none"):
        explain.shap(mixed, ROWS)


def test_the_cost_is_told_before(mixed: Any) -> None:
    """An estimate probes a few rows, and speaks of all of them."""
    forest = RandomForestClassifier(5, random_state=0).fit(FRAME[["income", "debt"]], TARGET)

    found = explain.estimate(forest, FRAME[["income", "debt"]])

    assert found.rows == 200
    assert 0 < found.seconds < 60


def test_importing_explain_loads_nothing_heavy() -> None:
    """`from nbproof import explain` costs nothing, until something is asked of it."""
    code = "import json, sys\nfrom nbproof import explain\nprint(dir(explain))\nprint(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(ran.stdout.splitlines()[-1])}

    assert loaded & {"numpy", "pandas", "shap", "lime", "sklearn", "torch", "mlflow", "scipy", "ipywidgets"} == set()


def test_calling_explain_loads_no_more_than_it_needs() -> None:
    """The calls themselves load numpy and scipy; libraries of models come with the models."""
    code = "import json, sys\nfrom nbproof.explain import both\nprint(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(ran.stdout.splitlines()[-1])}

    assert loaded & {"pandas", "shap", "lime", "sklearn", "torch", "mlflow", "ipywidgets", "xgboost"} == set()


def test_what_is_offered_is_there() -> None:
    """Each name of `__all__` can be had, sorted, and no other."""
    assert sorted(explain.__all__) == explain.__all__
    for name in explain.__all__:
        assert callable(getattr(explain, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        explain.nothing  # noqa: B018


def test_an_audit_can_be_cancelled() -> None:
    """Set while the audit explains rows again, the event ends it, and no audit comes back."""
    asked: list[int] = []
    stop = threading.Event()

    def slow(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        if sum(asked) > explained_by:
            stop.set()
        return np.tanh(rows[:, 0]) + rows[:, 1]

    training = DRAW.normal(size=(60, 3))
    explained_by = 10**9
    explain.both(slow, training[:12], training[12:], lime=FEW)
    explained_by, asked = sum(asked), []

    with pytest.raises(Cancelled):
        explain.both(slow, training[:12], training[12:], lime=FEW, is_audited=True, watch=Watch(cancel=stop))

    assert stop.is_set()
    assert sum(asked) > explained_by
