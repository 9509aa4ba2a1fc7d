"""ONNX scores as the model that it was made of, and packaged networks as the service answers them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rows_and_models import FEATURES, approve, project, read, scored, table, written

from nbproof.errors import AskedWrongly, ModelRefused, ModelUnusable
from nbproof.records import ContentHash
from nbproof.serve.package import Manifest
from nbproof.serve.package import read as read_package
from nbproof.serve.signature import Input, Signature

pytest.importorskip("onnxruntime")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with rows to score and a linear model in ONNX."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    made = project(tmp_path / "project")
    written(made / "rows.parquet", table(90), 40)
    rows = np.stack([table(200, seed=7)[name] for name in FEATURES], 1)
    fitted = LogisticRegression().fit(rows, rows[:, 0] + rows[:, 1] > 0.2)
    np.savez(made / "fitted.npz", weights=fitted.coef_, bias=fitted.intercept_)
    (made / "model.onnx").write_bytes(to_onnx(fitted, rows[:1], options={"zipmap": False}).SerializeToString())
    return made


def expected(place: Path) -> np.ndarray:
    held = np.load(place / "fitted.npz")
    rows = np.stack([table(90)[name] for name in FEATURES], 1)
    return 1 / (1 + np.exp(-(rows @ held["weights"].T + held["bias"])[:, 0]))


def test_onnx_scores_like_the_model_that_it_was_made_of(place: Path) -> None:
    """Reading it runs no code, so a draft may score; names of its features are asked for, as it knows none."""
    with pytest.raises(ModelUnusable, match="no names of its features"):
        scored(place, place / "rows.parquet", model="model.onnx")
    scored(place, place / "rows.parquet", model="model.onnx", features=FEATURES)

    found = read(place / "scores")
    assert found.column_names == ["id", "prediction_0", "prediction_1"]
    np.testing.assert_allclose(found["prediction_1"], expected(place), rtol=0, atol=1e-6)
    with pytest.raises(ModelUnusable, match="takes no rows of 2 features"):
        scored(place, place / "rows.parquet", "two", model="model.onnx", features=("a", "b"))
    with pytest.raises(AskedWrongly, match="expected the processor for a model in ONNX"):
        scored(place, place / "rows.parquet", "gpu", model="model.onnx", features=FEATURES, device="cuda")


def test_a_packaged_network_scores_as_the_service_answers(place: Path) -> None:
    """The same bytes, the same checks of every row, the same numbers."""
    signature = Signature(tuple(Input(name, "number", minimum=-10, maximum=10) for name in FEATURES))
    held = {"model": ("model.onnx", (place / "model.onnx").read_bytes()),
            "signature": ("signature.json", json.dumps(signature.written()).encode())}  # fmt: skip
    files = {key: (name, ContentHash.of(each)) for key, (name, each) in held.items()}
    (place / "service").mkdir()
    for name, each in held.values():
        (place / "service" / name).write_bytes(each)
    (place / "service/manifest.json").write_text(json.dumps(Manifest("net", "1.0.0", files).written()))
    approve(place, place / "service")

    scored(place, place / "rows.parquet", model="service", unsafe=None)

    rows = [
        dict(zip(FEATURES, row, strict=True)) for row in np.stack([table(90)[name] for name in FEATURES], 1).tolist()
    ]
    assert read(place / "scores")["prediction"].to_pylist() == read_package(place / "service").load().score(rows)


def test_a_draft_of_a_package_runs_no_code(place: Path) -> None:
    """A bypass stands for a model that nobody approved, and never for the code that reading it would run."""
    files = {
        key: (name, ContentHash.of(b"x")) for key, name in (("model", "model.pt2"), ("signature", "signature.json"))
    }
    signature = json.dumps(Signature((Input("a", "number"),)).written()).encode()
    files["signature"] = ("signature.json", ContentHash.of(signature))
    (place / "service").mkdir()
    (place / "service/model.pt2").write_bytes(b"x")
    (place / "service/signature.json").write_bytes(signature)
    (place / "service/manifest.json").write_text(json.dumps(Manifest("net", "1.0.0", files).written()))

    with pytest.raises(ModelRefused, match="runs code when it is loaded"):
        scored(place, place / "rows.parquet", model="service")
