"""A network of Keras scores rows as it answers them, as a file and as a package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rows_and_models import FEATURES, approve, project, read, scored, table, written

from keras_networks import network, saved
from nbproof.errors import AskedWrongly, ModelUnusable
from nbproof.records import ContentHash
from nbproof.serve.package import Manifest
from nbproof.serve.package import read as read_package
from nbproof.serve.signature import Input, Signature

ROWS = np.stack([table(90)[name] for name in FEATURES], 1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with rows to score and a network."""
    made = project(tmp_path / "project")
    written(made / "rows.parquet", table(90), 40)
    (made / "model.keras").write_bytes(saved(network(), tmp_path))
    return made


def test_a_network_scores_as_it_answers(place: Path) -> None:
    """Reading it runs no code, so a draft may score; names of its features are asked for, as it knows none."""
    with pytest.raises(ModelUnusable, match="no names of its features"):
        scored(place, place / "rows.parquet", model="model.keras")
    scored(place, place / "rows.parquet", model="model.keras", features=FEATURES)

    found = read(place / "scores")
    assert found.column_names == ["id", "prediction"]
    expected = network()(ROWS.astype(np.float32), training=False).detach().numpy()[:, 0]
    np.testing.assert_allclose(found["prediction"], expected, rtol=0, atol=1e-6)
    with pytest.raises(ModelUnusable, match="takes no rows of 2 features"):
        scored(place, place / "rows.parquet", "two", model="model.keras", features=("a", "b"))
    with pytest.raises(AskedWrongly, match="expected the processor for a model of Keras"):
        scored(place, place / "rows.parquet", "gpu", model="model.keras", features=FEATURES, device="cuda")


def test_an_approved_package_scores_as_the_service_answers(place: Path) -> None:
    """The same bytes, the same checks of every row, the same numbers."""
    signature = Signature(tuple(Input(name, "number", minimum=-10, maximum=10) for name in FEATURES))
    held = {"model": ("model.keras", (place / "model.keras").read_bytes()),
            "signature": ("signature.json", json.dumps(signature.written()).encode())}  # fmt: skip
    files = {key: (name, ContentHash.of(each)) for key, (name, each) in held.items()}
    (place / "service").mkdir()
    for name, each in held.values():
        (place / "service" / name).write_bytes(each)
    (place / "service/manifest.json").write_text(json.dumps(Manifest("net", "1.0.0", files).written()))
    approve(place, place / "service")

    scored(place, place / "rows.parquet", model="service", unsafe=None)

    rows = [dict(zip(FEATURES, row, strict=True)) for row in ROWS.tolist()]
    assert read(place / "scores")["prediction"].to_pylist() == read_package(place / "service").load().score(rows)
