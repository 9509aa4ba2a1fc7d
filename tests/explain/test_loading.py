"""Models and data from files: what is read answers as what was saved, and no code comes with it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbproof.errors import DataUnusable, ExplanationRefused, ModelUnusable
from nbproof.explain import loading
from nbproof.explain.model import hash_of, read

DRAW = np.random.default_rng(0)
ROWS = DRAW.normal(size=(80, 3))
TWO = (ROWS[:, 0] > 0).astype(int)
THREE = np.digitize(ROWS[:, 0], [-0.5, 0.5])


def saved_skops(folder: Path, target: Any) -> tuple[Any, Path]:
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    fitted = RandomForestClassifier(3, random_state=0).fit(ROWS, target)
    skops.io.dump(fitted, folder / "model.skops")
    return fitted, folder / "model.skops"


def saved_xgboost(name: str, suffix: str) -> Callable[[Path, Any], tuple[Any, Path]]:
    def save(folder: Path, target: Any) -> tuple[Any, Path]:
        xgboost = pytest.importorskip("xgboost")
        fitted = getattr(xgboost, name)(n_estimators=3, n_jobs=1).fit(ROWS, target)
        fitted.save_model(folder / f"model{suffix}")
        return fitted, folder / f"model{suffix}"

    return save


def saved_lightgbm(name: str) -> Callable[[Path, Any], tuple[Any, Path]]:
    def save(folder: Path, target: Any) -> tuple[Any, Path]:
        lightgbm = pytest.importorskip("lightgbm")
        fitted = getattr(lightgbm, name)(n_estimators=3, n_jobs=1, verbose=-1, min_child_samples=5).fit(ROWS, target)
        fitted.booster_.save_model(str(folder / "model.txt"))
        return fitted, folder / "model.txt"

    return save


def saved_catboost(name: str) -> Callable[[Path, Any], tuple[Any, Path]]:
    def save(folder: Path, target: Any) -> tuple[Any, Path]:
        catboost = pytest.importorskip("catboost")
        fitted = getattr(catboost, name)(iterations=3, verbose=False, thread_count=1, allow_writing_files=False)
        fitted.fit(ROWS, target).save_model(str(folder / "model.cbm"))
        return fitted, folder / "model.cbm"

    return save


SAVERS: dict[str, tuple[Callable[[Path, Any], tuple[Any, Path]], Any]] = {
    "skops": (saved_skops, TWO),
    "xgboost json": (saved_xgboost("XGBClassifier", ".json"), TWO),
    "xgboost ubj, three classes": (saved_xgboost("XGBClassifier", ".ubj"), THREE),
    "xgboost regressor": (saved_xgboost("XGBRegressor", ".ubj"), ROWS[:, 0]),
    "lightgbm": (saved_lightgbm("LGBMClassifier"), TWO),
    "lightgbm, three classes": (saved_lightgbm("LGBMClassifier"), THREE),
    "lightgbm regressor": (saved_lightgbm("LGBMRegressor"), ROWS[:, 0]),
    "catboost": (saved_catboost("CatBoostClassifier"), TWO),
    "catboost, three classes": (saved_catboost("CatBoostClassifier"), THREE),
    "catboost regressor": (saved_catboost("CatBoostRegressor"), ROWS[:, 0]),
}


@pytest.mark.parametrize("kind", SAVERS)
def test_a_loaded_model_answers_as_the_saved_one(tmp_path: Path, kind: str) -> None:
    """From every format: the same answers, bit by bit, the same units, the same names of outputs."""
    save, target = SAVERS[kind]
    fitted, file = save(tmp_path, target)

    loaded = loading.model(file)

    before, after = read(fitted), read(loaded)
    assert after.units == before.units
    assert after.family == before.family
    assert after.features == 3
    for one, other in zip(before.answers, after.answers, strict=True):
        assert (one.outputs, one.complement) == (other.outputs, other.complement)
        np.testing.assert_array_equal(np.asarray(one.ask(ROWS)), np.asarray(other.ask(ROWS)))


@pytest.mark.parametrize("kind", SAVERS)
def test_a_loaded_model_is_the_same_model(tmp_path: Path, kind: str) -> None:
    """Its hash does not depend on whether it was just fitted, or read from its file."""
    save, target = SAVERS[kind]
    fitted, file = save(tmp_path, target)

    assert hash_of(read(loading.model(file))) == hash_of(read(fitted))


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("was-here"),))


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib", ".pt", ".pth", ".pt2"])
def test_a_pickle_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """A file that could carry out code is refused by its kind, with what to do instead; nothing of it is run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"model{suffix}").write_bytes(pickle.dumps(Evil()))

    with pytest.raises(ExplanationRefused, match="which can carry out any code when it is read") as raised:
        loading.model(tmp_path / f"model{suffix}")

    assert "unsafe" in raised.value.hint
    assert not (tmp_path / "was-here").exists()


def test_a_pickle_is_read_where_that_was_asked_for(tmp_path: Path) -> None:
    """The unsafe choice has unsafe in its name."""
    import joblib
    from sklearn.linear_model import LinearRegression

    joblib.dump(LinearRegression().fit(ROWS, TWO), tmp_path / "model.joblib")

    assert read(loading.model(tmp_path / "model.joblib", unsafe_read_pickles=True)).family == "linear"


def unfamiliar(rows: Any) -> Any:
    return rows


def test_classes_that_no_one_vouched_for_are_refused(tmp_path: Path) -> None:
    """A skops file with a function of somebody's own is refused, naming it; trusted by name it is read."""
    import skops.io
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    fitted = make_pipeline(FunctionTransformer(unfamiliar), LinearRegression()).fit(ROWS, TWO)
    skops.io.dump(fitted, tmp_path / "model.skops")

    with pytest.raises(ExplanationRefused, match=r"classes that no one vouched for: .*unfamiliar") as raised:
        loading.model(tmp_path / "model.skops")

    name = f"{unfamiliar.__module__}.unfamiliar"
    assert f"--trust {name}" in raised.value.hint
    assert loading.model(tmp_path / "model.skops", trusted=[name]).predict(ROWS).shape == (80,)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.json", b"{}", r"`model\.json`: found no model that can be read"),
        ("model.ubj", b"\x00\x01", r"`model\.ubj`: found no model that can be read"),
        ("model.txt", b"hello", r"`model\.txt`: found no model that can be read"),
        ("model.cbm", b"hello", r"`model\.cbm`: found no model that can be read"),
        ("model.skops", b"hello", r"`model\.skops`: found no model that can be read"),
        ("model.onnx", b"", r"`model\.onnx`: found the suffix \.onnx, expected skops"),
        ("model", b"", r"`model`: found the suffix none, expected skops"),
    ],
)
def test_a_file_that_is_no_model_is_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """Another's file, an empty one and an unknown kind are named in one line."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ModelUnusable, match=said) as raised:
        loading.model(tmp_path / name)

    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The missing file is named, for a model and for data."""
    with pytest.raises(ModelUnusable, match=r"nothing\.skops`: found no file"):
        loading.model(tmp_path / "nothing.skops")
    with pytest.raises(DataUnusable, match=r"nothing\.csv`: found no such file"):
        loading.table(tmp_path / "nothing.csv")


def mlflow_folder(folder: Path, flavours: dict[str, Any]) -> Path:
    (folder / "MLmodel").write_text(json.dumps({"flavors": flavours}))
    return folder


def test_a_folder_that_mlflow_wrote_is_read_by_the_library_s_own_file(tmp_path: Path) -> None:
    """Of an MLmodel the flavour's file is taken, by its own suffix; a pickle in it is refused like any other."""
    fitted, _ = saved_skops(tmp_path, TWO)

    loaded = loading.model(
        mlflow_folder(tmp_path, {"sklearn": {"pickled_model": "model.skops"}, "python_function": {}})
    )

    np.testing.assert_array_equal(loaded.predict_proba(ROWS), fitted.predict_proba(ROWS))
    with pytest.raises(ExplanationRefused, match=r"`model\.pkl`: found a \.pkl file"):
        loading.model(mlflow_folder(tmp_path, {"sklearn": {"pickled_model": "model.pkl"}}))
    with pytest.raises(ModelUnusable, match="found the flavours pytorch, expected sklearn"):
        loading.model(mlflow_folder(tmp_path, {"pytorch": {"model_data": "data"}}))
    with pytest.raises(ExplanationRefused, match=r"`evil\.pkl`"):
        loading.model(mlflow_folder(tmp_path, {"sklearn": {"pickled_model": "../../evil.pkl"}}))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_rows_and_columns_are_those_that_were_asked_for(tmp_path: Path, suffix: str) -> None:
    """The first rows, the named columns, in the order asked for, with their dtypes."""
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [0.5, 1.5, 2.5]})
    if suffix == ".csv":
        frame.to_csv(tmp_path / "data.csv", index=False)
    else:
        frame.to_parquet(tmp_path / "data.parquet", row_group_size=1)
    file = tmp_path / f"data{suffix}"

    pd.testing.assert_frame_equal(loading.table(file), frame)
    pd.testing.assert_frame_equal(loading.table(file, rows=2), frame.iloc[:2])
    pd.testing.assert_frame_equal(loading.table(file, columns=["c", "a"]), frame[["c", "a"]])
    pd.testing.assert_frame_equal(loading.table(file, rows=2, columns=["c", "a"]), frame[["c", "a"]].iloc[:2])
    assert len(loading.table(file, rows=0)) == 0
    with pytest.raises(DataUnusable, match="found no column d, expected the columns d, a"):
        loading.table(file, columns=["d", "a"])


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    """A file of another kind, and one that is only named like a table, are told in one line."""
    (tmp_path / "data.parquet").write_bytes(b"hello")
    (tmp_path / "data.xlsx").write_bytes(b"")
    (tmp_path / "data.csv").write_text("a,b\n1,2\n3\n")

    with pytest.raises(DataUnusable, match=r"data\.parquet`: found no Parquet file") as raised:
        loading.table(tmp_path / "data.parquet")
    assert "\n" not in str(raised.value)
    with pytest.raises(DataUnusable, match=r"data\.xlsx`: found the ending \.xlsx, expected \.parquet or \.csv"):
        loading.table(tmp_path / "data.xlsx")
    with pytest.raises(DataUnusable, match=r"data\.csv`: found what is not like the rows before"):
        loading.table(tmp_path / "data.csv")
