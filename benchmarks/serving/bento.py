"""The model behind BentoML, as its guide shows it; it runs in an environment of its own."""

from __future__ import annotations

import os
from pathlib import Path

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1, traffic={"timeout": 30})
class Scorer:
    def __init__(self) -> None:
        self.model = joblib.load(Path(os.environ["MODEL_FOLDER"]) / "model.joblib")
        self.names = [str(name) for name in self.model.feature_names_in_]

    @bentoml.api
    def predict(self, rows: list[dict[str, float]]) -> list[float]:
        frame = pd.DataFrame(rows, columns=self.names)
        return self.model.predict_proba(frame)[:, 1].tolist()
