"""Nothing scores that nobody has approved, unless somebody says why; and no code is run that nobody has approved."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
from rows_and_models import approve, fitted, project, read, scored, skops_file, table, written

from nbproof.errors import ModelUnusable, NotApproved, ScoreRefused
from nbproof.review.ledger import Ledger


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with a model and rows to score."""
    made = project(tmp_path / "project")
    skops_file(made / "model.skops")
    written(made / "rows.parquet", table(50))
    return made


def test_what_nobody_approved_does_not_score(place: Path) -> None:
    """It is refused before anything is written; a bypass stands in the ledger with its reason."""
    rows = place / "rows.parquet"
    with pytest.raises(NotApproved, match="no decision is about a model with the content"):
        scored(place, rows, unsafe=None)
    assert sorted(path.name for path in place.iterdir() if path.name.startswith(("scores", ".scores"))) == []

    found = scored(place, rows)

    noted = Ledger(place).read()[-1]
    assert found.is_draft
    assert (noted.kind, noted.by, noted.notebook) == ("unsafe-bypass", "Bela", "model.skops")
    assert noted.comment.startswith("score although not approved: ")
    assert noted.comment.endswith(": a test")
    manifest = json.loads((place / "scores/_manifest.json").read_text())
    assert manifest["is_draft"] is True
    assert manifest["approval"] == "a draft that nobody approved; Bela scores it: a test"


def test_an_approved_model_scores_until_a_byte_changes(place: Path) -> None:
    """What is loaded is what was approved: the manifest names it by its hash."""
    approve(place, place / "model.skops")

    found = scored(place, place / "rows.parquet", unsafe=None)

    assert (found.is_draft, found.approval) == (False, "approved by Ana with train.ipynb")
    assert not [entry for entry in Ledger(place).read() if entry.kind == "unsafe-bypass"]
    content = (place / "model.skops").read_bytes()
    (place / "model.skops").write_bytes(content + b" ")
    with pytest.raises(NotApproved):
        scored(place, place / "rows.parquet", "others", unsafe=None)


def test_a_pickle_scores_only_when_its_very_bytes_are_approved(place: Path) -> None:
    """Reading one runs what its writer wrote, so a bypass is not enough: it is not even opened."""
    (place / "model.pkl").write_bytes(pickle.dumps(fitted()))

    with pytest.raises(ScoreRefused, match=r"`model.pkl`: found a .pkl file, which can run any code when it is read"):
        scored(place, place / "rows.parquet", model="model.pkl")
    assert not (place / "approvals/ledger.jsonl").exists()

    approve(place, place / "model.pkl")
    scored(place, place / "rows.parquet", model="model.pkl", unsafe=None)
    scored(place, place / "rows.parquet", "as_skops")
    assert read(place / "scores").to_pydict() == read(place / "as_skops").to_pydict()


def test_a_packaged_model_scores_what_its_signature_allows(place: Path) -> None:
    """The folder of a service scores without a list of features, and refuses rows that the service would refuse."""
    from nbproof.errors import DataUnusable
    from nbproof.records import ContentHash
    from nbproof.serve.package import MANIFEST, Manifest
    from nbproof.serve.signature import Input, Signature
    from nbproof.serve.spelling import untrusted_types

    folder = place / "service"
    folder.mkdir()
    shutil.copy(place / "model.skops", folder)
    inputs = (Input("a", "number"), Input("b", "number", nullable=True, minimum=-3.9), Input("c", "number"))
    (folder / "signature.json").write_text(json.dumps(Signature(inputs).written()))
    names = {"model": "model.skops", "signature": "signature.json"}
    held = {key: (name, ContentHash.of((folder / name).read_bytes())) for key, name in names.items()}
    trusted = untrusted_types((folder / "model.skops").read_bytes())
    (folder / MANIFEST).write_text(json.dumps(Manifest("m", "1.0.0", held, trusted).written()))
    approve(place, folder)

    scored(place, place / "rows.parquet", model="service", unsafe=None)

    expected = fitted().predict_proba(table(50).to_pandas()[["a", "b", "c"]])[:, 1]
    assert read(place / "scores")["prediction"].to_pylist() == list(expected)
    low = table(3).set_column(2, "b", [[0.0, -4.0, 0.0]])
    with pytest.raises(DataUnusable, match=r"the column `b`: found -4.0, expected -3.9 to inf, as the signature"):
        scored(place, written(place / "low.parquet", low), "low", model="service", unsafe=None)
    holed = table(3).set_column(1, "a", [[0.0, None, 0.0]])
    with pytest.raises(DataUnusable, match=r"the column `a`: found nothing, expected a value in every row"):
        scored(place, written(place / "holed.parquet", holed), "holed", model="service", unsafe=None)
    (folder / "signature.json").write_text("{}")
    with pytest.raises(NotApproved):
        scored(place, place / "rows.parquet", "others", model="service", unsafe=None)


@pytest.mark.parametrize(("name", "words"), [("gone.skops", "nothing there"), ("model.exe", "the suffix .exe")])
def test_what_is_no_model_is_refused(place: Path, name: str, words: str) -> None:
    """One line says what was found."""
    if name == "model.exe":
        (place / name).write_bytes(b"no model")

    with pytest.raises(ModelUnusable, match=words):
        scored(place, place / "rows.parquet", model=name)
