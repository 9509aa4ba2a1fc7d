"""An explanation in a real MLflow store comes back equal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_store import own_store

from nbproof.errors import EntryInvalid, ExplanationRefused, NbproofError, UnknownName
from nbproof.explain import folder, tracking
from nbproof.explain.explanation import Explanation
from nbproof.explain.folder import MANIFEST, Kept
from nbproof.records import ContentHash

mlflow = pytest.importorskip("mlflow")


def made(seed: int) -> Explanation:
    random = np.random.default_rng(seed)
    values = random.normal(size=(4, 2, 1)).astype(np.float32)
    return Explanation(
        values=values,
        base=np.zeros((4, 1)),
        prediction=values.sum(axis=1, dtype=np.float64) + 0.25,
        data=np.array([[1.0, "a"], [2.0, "b"], [float("nan"), ""], [3.0, "a"]], dtype=object),
        feature_names=("age", "town"),
        output_names=("yes",),
        unit="log-odds",
        method="by hand",
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store in SQLite, with its artifacts beside it; one for all, since it takes seconds to make."""
    place = tmp_path_factory.mktemp("store")
    with own_store(place, "explained"):
        yield place


def test_what_is_logged_comes_back_equal(store: Path) -> None:
    """Through SQLite and files, by the URI that logging gives, bit by bit; it is plain files and no pickle."""
    with mlflow.start_run() as run:
        uri = tracking.log(Kept(made(1), made(2)))

    back = tracking.load(uri)

    assert uri == f"runs:/{run.info.run_id}/explain"
    assert back.shap is not None
    assert back.lime is not None
    assert back.shap.equals(made(1))
    assert back.lime.equals(made(2))
    files = [each.path for each in mlflow.MlflowClient().list_artifacts(run.info.run_id, "explain")]
    assert files == ["explain/lime.npz", "explain/manifest.json", "explain/shap.npz"]


def test_a_run_can_be_gated_by_its_numbers(store: Path) -> None:
    """Metrics are flat and finite, and a tag binds the run to the manifest."""
    with mlflow.start_run() as run:
        uri = tracking.log(Kept(made(1)))

    logged = mlflow.get_run(run.info.run_id)
    assert logged.data.metrics["explain.rows"] == 4
    assert logged.data.metrics["explain.completeness_max"] == pytest.approx(0.25, abs=1e-6)
    manifest = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/{MANIFEST}")).read_bytes()
    assert logged.data.tags["explain.manifest_sha256"] == ContentHash.of(manifest).hex


def test_a_run_that_has_ended_can_be_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an active run the one named is taken, or the one that the environment names."""
    with mlflow.start_run() as run:
        pass

    assert tracking.log(Kept(made(1)), run_id=run.info.run_id, artifact_path="other").endswith("/other")
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    assert tracking.log(Kept(made(1))) == f"runs:/{run.info.run_id}/explain"


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: tracking.log(Kept(made(1))), EntryInvalid, "the explanation: found no active run"),
        (lambda: tracking.log(Kept(made(1)), run_id="0" * 32), UnknownName, "no run of the tracker is called `000"),
        (lambda: tracking.load(f"runs:/{'0' * 32}/explain"), UnknownName, "no run of the tracker is called `runs:/00"),
    ],
)
def test_what_there_is_not_is_told(
    store: Path, monkeypatch: pytest.MonkeyPatch, call: Any, error: type[NbproofError], said: str
) -> None:
    """No active run, an unknown run and an unknown URI are told in one line."""
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)

    with pytest.raises(error, match=said) as raised:
        call()

    assert "\n" not in str(raised.value)


def test_the_command_line_logs_to_a_run(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`nbproof explain … --run RUN` keeps the folder and logs the same files."""
    import pandas as pd
    import skops.io
    from sklearn.linear_model import LinearRegression

    from nbproof.cli.main import carry_out

    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["a", "b"])
    skops.io.dump(LinearRegression().fit(frame, frame["a"]), tmp_path / "model.skops")
    frame.to_parquet(tmp_path / "data.parquet")
    with mlflow.start_run() as run:
        pass
    data = str(tmp_path / "data.parquet")

    code = carry_out(["explain", str(tmp_path / "model.skops"), data, "-b", data, "--no-lime", "--no-audit", "-o",
                      str(tmp_path / "e"), "--run", run.info.run_id])  # fmt: skip

    logged, kept = tracking.load(f"runs:/{run.info.run_id}/explain").shap, folder.load(tmp_path / "e").shap
    assert code == 0
    assert logged is not None
    assert kept is not None
    assert logged.equals(kept)
    assert f"logged: runs:/{run.info.run_id}/explain" in capsys.readouterr().out


def test_another_s_artifacts_are_refused(store: Path, tmp_path: Path) -> None:
    """A folder of a run that nbproof did not write is no explanation."""
    (tmp_path / "notes.txt").write_text("hello")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path), "explain")

    with pytest.raises(ExplanationRefused, match=r"manifest\.json`: found no file"):
        tracking.load(f"runs:/{run.info.run_id}/explain")


# What MLflow says of type hints in its own functions.
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")
def test_a_model_is_loaded_from_the_store(store: Path) -> None:
    """`models:/…` and `runs:/…` give the library's own estimator, not MLflow's wrapper."""
    from sklearn.linear_model import LogisticRegression

    from nbproof.errors import ModelUnusable
    from nbproof.explain import loading

    rows = np.random.default_rng(0).normal(size=(40, 2))
    fitted = LogisticRegression().fit(rows, rows[:, 0] > 0)
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(fitted, name="model", serialization_format="skops", pip_requirements=[])

    loaded = loading.model(info.model_uri)

    np.testing.assert_array_equal(loaded.predict_proba(rows), fitted.predict_proba(rows))
    with pytest.raises(ModelUnusable, match="models:/nothing/1: found no model"):
        loading.model("models:/nothing/1")
