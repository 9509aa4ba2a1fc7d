"""A package is loaded only when it is whole and nobody put foreign code in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from nbproof.errors import ModelRefused
from nbproof.serve.package import PROBES, Manifest, load_estimator, probes, read
from nbproof.serve.signature import Input, Signature

ROWS = [{"age": 30, "status": 2, "ratio": 0.25}, {"age": 70, "status": -1, "ratio": None}]


@pytest.fixture
def copied(package_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(package_folder, tmp_path / "package"))


def test_a_package_scores_as_the_model_it_was_made_of(package_folder: Path, estimator: Any) -> None:
    """Packing changes no score."""
    model = read(package_folder).load()

    import pandas as pd

    expected = estimator.predict_proba(pd.DataFrame(model.signature.columns(ROWS)))[:, 1].tolist()
    assert model.score(ROWS) == expected


@pytest.mark.parametrize("file", ["model.skops", "signature.json"])
def test_a_changed_byte_is_refused(copied: Path, file: str) -> None:
    """A file that is not the one that the manifest names is never loaded."""
    content = bytearray((copied / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / file).write_bytes(content)

    with pytest.raises(ModelRefused, match=r"found `.*` with sha256:"):
        read(copied).load()


@pytest.mark.parametrize("file", ["manifest.json", "model.skops", "signature.json"])
def test_a_missing_file_is_named(copied: Path, file: str) -> None:
    """The error says which file is not there."""
    (copied / file).unlink()

    with pytest.raises(ModelRefused, match=file):
        read(copied).load()


def test_a_manifest_cut_short_is_refused(copied: Path) -> None:
    """Half a manifest is none."""
    text = (copied / "manifest.json").read_text()
    (copied / "manifest.json").write_text(text[: len(text) // 2])

    with pytest.raises(ModelRefused, match=r"manifest\.json"):
        read(copied)


def test_a_type_that_nobody_vouched_for_is_refused(copied: Path) -> None:
    """A type in the model file that the manifest does not name stops the loading."""
    manifest = json.loads((copied / "manifest.json").read_text())
    assert manifest["trusted_types"]
    (copied / "manifest.json").write_text(json.dumps({**manifest, "trusted_types": []}))

    with pytest.raises(ModelRefused, match="types that no one trusts"):
        read(copied).load()


def test_foreign_code_is_refused_even_when_trusted() -> None:
    """A manifest cannot trust a function of the operating system."""
    import skops.io

    content = skops.io.dumps(make_pipeline(FunctionTransformer(shutil.rmtree)))

    with pytest.raises(ModelRefused, match=r"shutil\.rmtree"):
        load_estimator(content, [], where=Path())
    with pytest.raises(ValueError, match="no trusted package"):
        Manifest.read({**_manifest(), "trusted_types": ["shutil.rmtree"]})


@pytest.mark.parametrize("change", [{"format": 2}, {"files": {}}, {"trusted_types": None}, {"name": None, "files": 3}])
def test_what_is_no_manifest_is_refused(change: dict[str, Any]) -> None:
    """A damaged manifest raises."""
    with pytest.raises(ValueError, match=r"manifest|format|package"):
        Manifest.read({**_manifest(), **change})


def test_a_package_reads_nothing_outside_its_folder() -> None:
    """A file name with a folder in it is refused."""
    files = {**_manifest()["files"], "model": {"file": "../model.skops", "sha256": "0" * 64}}

    with pytest.raises(ValueError, match="holds its files directly"):
        Manifest.read({**_manifest(), "files": files})


def _manifest() -> dict[str, Any]:
    files = {key: {"file": f"{key}.x", "sha256": "0" * 64} for key in ("model", "signature")}
    return {"format": 1, "name": "toy", "version": "1.0.0", "files": files, "trusted_types": []}


@given(st.lists(st.builds(
    Input, st.just("a"), st.sampled_from(["integer", "number", "boolean"]), st.booleans(),
    st.none() | st.integers(-2000, 0), st.none() | st.integers(1, 2000),
), min_size=1, max_size=1))  # fmt: skip
def test_rows_to_try_a_model_on_are_rows_that_its_signature_admits(inputs: list[Input]) -> None:
    """Of the type, within the bounds where there are any, and no infinity among them."""
    (field,) = inputs
    column = probes(Signature((field,)))[:, 0]
    known = column[~np.isnan(column)]

    assert np.isfinite(known).all()
    assert field.nullable or len(known) == PROBES
    if field.type == "boolean":
        assert set(known) <= {0.0, 1.0}
        return
    assert field.type == "number" or (known == known.round()).all()
    assert field.minimum is None or (known >= field.minimum).all()
    assert field.maximum is None or (known <= field.maximum).all()
