"""What somebody writes by hand in ten minutes: FastAPI, a pydantic row, a data frame, predict_proba."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, create_model

FOLDER = Path(os.environ["MODEL_FOLDER"])
model = joblib.load(FOLDER / "model.joblib")
names = [str(name) for name in model.feature_names_in_]
fields: dict[str, Any] = dict.fromkeys(names, (float, ...))
Row = create_model("Row", **fields)


class Rows(BaseModel):
    rows: list[Row]  # type: ignore[valid-type]


app = FastAPI()


@app.post("/predict")
def predict(asked: Rows) -> dict[str, list[float]]:
    frame = pd.DataFrame([row.model_dump() for row in asked.rows], columns=names)  # type: ignore[attr-defined]
    return {"scores": model.predict_proba(frame)[:, 1].tolist()}
