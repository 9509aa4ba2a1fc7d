"""What the guide shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from own_store import own_store

GUIDE = Path(__file__).parents[2] / "docs/guides/explaining.md"


def test_the_guide_s_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every Python block of the guide runs, one after another, on a small model, with a store for what is logged."""
    mlflow = pytest.importorskip("mlflow")
    from sklearn.ensemble import RandomForestClassifier

    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(60, 3)), columns=["income", "debt", "age"])
    target = np.where(frame["income"] > 0, "repaid", "default")
    rows, training = frame.iloc[:12], frame.iloc[12:]
    model = RandomForestClassifier(4, max_depth=3, random_state=0).fit(training, target[12:])
    names: dict[str, Any] = {
        "model": model, "rows": rows, "training": training, "weights": np.arange(48),
        "classifier": lambda texts: [float("good" in each) for each in texts],
        "network": lambda pictures: pictures.reshape(len(pictures), -1)[:, :64].mean(axis=1),
        "picture": draw.random((14, 14, 3)),
    }  # fmt: skip
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)

    with own_store(tmp_path, "guide"), mlflow.start_run():
        for block in blocks:
            exec(block, names)

    assert len(blocks) >= 7
    assert names["svg"].startswith("<svg")
    assert names["uri"].startswith("runs:/")
    assert "completeness of SHAP" in capsys.readouterr().out
