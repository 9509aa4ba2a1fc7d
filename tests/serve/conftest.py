"""A small real model in a package, for the tests of the service."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier

from nbproof.records import ContentHash
from nbproof.serve.package import Manifest
from nbproof.serve.signature import Input, Signature

SIGNATURE = Signature(
    (
        Input("age", "integer", minimum=18, maximum=100),
        Input("status", "integer", categories=(-1, 0, 1, 2)),
        Input("ratio", "number", nullable=True, minimum=0),
    )
)


@pytest.fixture
def own_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Opening a registry sets variables that MLflow reads; none of them outlives its test."""
    before = dict(os.environ)
    for name in [each for each in before if each.startswith("MLFLOW_TRACKING")]:
        monkeypatch.delenv(name)
    yield
    os.environ.clear()
    os.environ.update(before)


def fitted() -> HistGradientBoostingClassifier:
    """A gradient boosting that learnt from 400 rows, with missing values among them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, 400),
            "status": rng.integers(-1, 3, 400),
            "ratio": np.where(rng.random(400) < 0.2, np.nan, rng.random(400)),
        }
    )
    return HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(
        frame, (frame.status + rng.random(400) > 1).astype(int)
    )


@pytest.fixture(scope="session")
def estimator() -> HistGradientBoostingClassifier:
    """That model, fitted once."""
    return fitted()


def write_package(
    folder: Path, model: Any, *, trusted: list[str] | None = None, content: bytes = b"", file: str = "model.skops"
) -> Path:
    """Write a package of `model` to `folder`; `content` is what its `file` holds, if it is not a skops file."""
    folder.mkdir(exist_ok=True)
    trusted = [] if content else trusted
    content = content or skops.io.dumps(model)
    signature = json.dumps(SIGNATURE.written()).encode()
    if trusted is None:
        trusted = skops.io.get_untrusted_types(data=content)
    manifest = Manifest(
        "toy",
        "1.2.3",
        {
            "model": (file, ContentHash.of(content)),
            "signature": ("signature.json", ContentHash.of(signature)),
        },
        tuple(trusted),
    )
    (folder / file).write_bytes(content)
    (folder / "signature.json").write_bytes(signature)
    (folder / "manifest.json").write_text(json.dumps(manifest.written()))
    return folder


@pytest.fixture(scope="session")
def package_folder(estimator: HistGradientBoostingClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole package of that model."""
    return write_package(tmp_path_factory.mktemp("package"), estimator)
