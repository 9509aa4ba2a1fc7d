"""Explanations as plain files: they come back as they were, or not at all."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.errors import ExplanationRefused, Unwritable
from nbproof.explain.explanation import Cost, Explanation, Origins, Surrogate
from nbproof.explain.folder import MANIFEST, load, save
from nbproof.records import ContentHash

QUICK = settings(deadline=None, max_examples=40)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
CELLS = st.one_of(st.floats(allow_nan=True), st.text(max_size=5), st.none(), st.booleans(), st.integers())


@st.composite
def explanations(draw: st.DrawFn) -> Explanation:
    """Any explanation: odd names, text and numbers in its data, with and without errors and surrogate."""
    rows, features, outputs = (draw(st.integers(1, 3)) for _ in range(3))
    random = np.random.default_rng(draw(st.integers(0, 99)))

    def numbers(*shape: int) -> Any:
        return random.normal(size=shape)

    data: Any = numbers(rows, features)
    if draw(st.booleans()):
        data = np.empty((rows, features), dtype=object)
        for at in np.ndindex(rows, features):
            data[at] = draw(CELLS)
    surrogate = None
    if draw(st.booleans()):
        surrogate = Surrogate(
            coefficients=numbers(rows, features, outputs),
            intercept=numbers(rows, outputs),
            r2=numbers(rows, outputs),
            local=numbers(rows, outputs),
            predicted=numbers(rows, outputs),
            selected=random.integers(-1, features, (rows, outputs, 2)),
            bins=random.integers(-1, 4, (rows, features)),
            bin_names=draw(st.sampled_from([(), (("a <= 1", "a > 1"),) * features])),
        )
    return Explanation(
        values=numbers(rows, features, outputs).astype(np.float32),
        base=numbers(rows, outputs),
        prediction=numbers(rows, outputs),
        data=data,
        feature_names=tuple(draw(st.lists(NAMES, min_size=features, max_size=features, unique=True))),
        output_names=tuple(draw(st.lists(NAMES, min_size=outputs, max_size=outputs, unique=True))),
        unit=draw(st.sampled_from(["probability", "log-odds", "raw"])),
        method=draw(NAMES),
        is_exact=draw(st.booleans()),
        complement=draw(NAMES) if outputs == 1 else None,
        feature_units=tuple(draw(st.lists(st.text(max_size=3), min_size=features, max_size=features))),
        seed=draw(st.none() | st.integers(0, 2**40)),
        error=numbers(rows, features, outputs).astype(np.float32) if draw(st.booleans()) else None,
        surrogate=surrogate,
        settings=draw(st.dictionaries(NAMES, st.none() | st.booleans() | FLOATS | st.lists(st.integers()))),
        notes=tuple(draw(st.lists(NAMES, max_size=2))),
        cost=Cost(7, 0.5, 0.25),
        origins=Origins(model=ContentHash.of(b"model"), data=draw(st.none() | st.just(ContentHash.of(b"data")))),
    )


def one(seed: int = 0) -> Explanation:
    """A small explanation with text in its data."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(4, 2, 1)).astype(np.float32)
    return Explanation(
        values=values,
        base=np.zeros((4, 1)),
        prediction=values.sum(axis=1, dtype=np.float64),
        data=np.array([[1.0, "a"], [2.0, "b"], [float("nan"), ""], [3.0, "a"]], dtype=object),
        feature_names=("age", "town"),
        output_names=("yes",),
        unit="log-odds",
        method="by hand",
    )


@given(explanations())
@QUICK
def test_what_is_saved_comes_back_equal(made: Explanation) -> None:
    """Bit by bit, whatever the explanation, and with its cost."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "kept"

        save(folder, shap=made)

        back = load(folder).shap
    assert back is not None
    assert back.equals(made)
    assert back.cost == made.cost


def test_both_methods_stand_beside_each_other(tmp_path: Path) -> None:
    """SHAP and LIME are kept in one folder, as plain files by the names that a reader expects."""
    save(tmp_path / "new" / "folder", shap=one(1), lime=one(2))

    kept = load(tmp_path / "new" / "folder")

    assert kept.shap is not None
    assert kept.lime is not None
    assert kept.shap.equals(one(1))
    assert kept.lime.equals(one(2))
    assert kept.audit is None
    assert sorted(file.name for file in (tmp_path / "new" / "folder").iterdir()) == [
        "lime.npz", "manifest.json", "shap.npz",
    ]  # fmt: skip


def test_the_same_explanation_is_the_same_bytes(tmp_path: Path) -> None:
    """Saved twice, every file has the same content, so that its hash can be signed."""
    save(tmp_path / "one", shap=one())
    save(tmp_path / "two", shap=one())

    for name in ("shap.npz", MANIFEST):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_saving_again_replaces_what_was_there(tmp_path: Path) -> None:
    """A folder holds the last explanation alone; what is not nbproof's in it is left."""
    (tmp_path / "mine.txt").write_text("mine")
    save(tmp_path, shap=one(1), lime=one(2))

    save(tmp_path, lime=one(3))

    kept = load(tmp_path)
    assert kept.shap is None
    assert kept.lime is not None
    assert kept.lime.equals(one(3))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lime.npz", "manifest.json", "mine.txt"]


def test_the_manifest_can_be_read_by_anybody(tmp_path: Path) -> None:
    """It is JSON that says unit, names, method, hashes and the versions that made the numbers."""
    save(tmp_path, shap=one())

    facts = json.loads((tmp_path / MANIFEST).read_text())

    assert facts["format"] == "nbproof.explanation"
    assert facts["explanations"]["shap"]["unit"] == "log-odds"
    assert facts["explanations"]["shap"]["shape"] == [4, 2, 1]
    assert facts["libraries"]["numpy"] == np.__version__
    assert facts["files"]["shap.npz"]["bytes"] == (tmp_path / "shap.npz").stat().st_size


@pytest.mark.parametrize("name", ["shap.npz", MANIFEST])
@pytest.mark.parametrize("keep", [0, 1, 0.5, 0.99])
def test_a_file_cut_short_is_refused(tmp_path: Path, name: str, keep: float) -> None:
    """Wherever a file was cut, loading refuses and names it."""
    save(tmp_path, shap=one())
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * keep) if keep < 1 else -1])

    # The last byte of the manifest is a line's end, which says nothing.
    if name == MANIFEST and keep == 1:
        assert load(tmp_path).shap is not None
        return
    with pytest.raises(ExplanationRefused, match=name):
        load(tmp_path)


@given(st.integers(0, 10**6), st.integers(0, 7))
@QUICK
def test_one_bit_changed_is_refused(at: int, bit: int) -> None:
    """No bit of the arrays can be changed unseen."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(folder, shap=one())
        content = bytearray((folder / "shap.npz").read_bytes())
        content[at % len(content)] ^= 1 << bit
        (folder / "shap.npz").write_bytes(content)

        with pytest.raises(ExplanationRefused, match=r"shap\.npz`: found .* bytes with .*; expected"):
            load(folder)


def changed(manifest: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return {**manifest, "explanations": {"shap": {**manifest["explanations"]["shap"], **facts}}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: changed(found, unit="probability"), "a manifest that was changed after it was written"),
        (lambda found: {**found, "version": 2}, "found version 2; expected version 1"),
        (lambda found: {**found, "format": "other"}, "a file that nbproof did not write"),
        (lambda found: [found], "a file that nbproof did not write"),
        (lambda found: {**found, "files": {}}, "a manifest that was changed"),
    ],
)
def test_a_changed_manifest_is_refused(tmp_path: Path, change: Any, said: str) -> None:
    """A unit, a name or a number that was changed by hand is seen."""
    save(tmp_path, shap=one())
    (tmp_path / MANIFEST).write_text(json.dumps(change(json.loads((tmp_path / MANIFEST).read_text()))))

    with pytest.raises(ExplanationRefused, match=said) as raised:
        load(tmp_path)

    assert MANIFEST in str(raised.value)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    """A folder without a manifest, another's file, and another's arrays are named."""
    with pytest.raises(ExplanationRefused, match=r"manifest\.json`: found no file that can be read"):
        load(tmp_path)

    (tmp_path / MANIFEST).write_text("hello")
    with pytest.raises(ExplanationRefused, match=r"manifest\.json`: found no JSON"):
        load(tmp_path)

    save(tmp_path, shap=one())
    (tmp_path / "shap.npz").unlink()
    with pytest.raises(ExplanationRefused, match=r"shap\.npz`: found no file that can be read"):
        load(tmp_path)


def forged(folder: Path, content: bytes) -> None:
    """Put `content` in place of the arrays, with a manifest that agrees to it."""
    from nbproof.explain.folder import _digest
    from nbproof.records import ContentHash

    found = json.loads((folder / MANIFEST).read_text())
    del found["sha256"]
    found["files"]["shap.npz"] = {"bytes": len(content), "sha256": ContentHash.of(content).hex}
    found["sha256"] = _digest(found)
    (folder / MANIFEST).write_text(json.dumps(found))
    (folder / "shap.npz").write_bytes(content)


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("was-here"),))


def pickled_arrays() -> bytes:
    out = io.BytesIO()
    np.savez(out, values=np.array([Evil()], dtype=object), data=np.zeros((4, 2)))
    return out.getvalue()


def compressed_arrays() -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, values=np.zeros((4, 2, 1), np.float32))
    return out.getvalue()


def other_arrays() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("readme.txt", "no arrays")
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [pickle.dumps(Evil()), pickled_arrays(), compressed_arrays(), other_arrays(), b"", b"PK\x03\x04 cut"],
    ids=["a pickle", "pickled arrays", "compressed", "other", "empty", "broken"],
)
def test_a_forged_file_brings_nothing_to_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Even where manifest and hash agree, a pickle is never read, and odd arrays are refused by name."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path, shap=one())
    forged(tmp_path, content)

    with pytest.raises(ExplanationRefused, match=r"shap\.npz`: found arrays that are no explanation"):
        load(tmp_path)

    assert not (tmp_path / "was-here").exists()


def test_nothing_to_save_is_refused(tmp_path: Path) -> None:
    """An empty folder is no explanation, and what is no plain value is not saved as something else."""
    with pytest.raises(ValueError, match="nothing to save"):
        save(tmp_path)
    data = np.empty((4, 2), dtype=object)
    data[0, 0] = [1]
    with pytest.raises(ValueError, match="the data hold a list"):
        save(tmp_path, shap=replace(one(), data=data))

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Where a file stands in the way, the error names the folder."""
    (tmp_path / "taken").write_text("")

    with pytest.raises(Unwritable, match="taken"):
        save(tmp_path / "taken", shap=one())
