"""Models and data from files and from MLflow, by formats that bring no code with them.

A pickle is a program: reading one that somebody made carries out what they wrote. None is read, unless it was asked for
by a name with "unsafe" in it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import AskedWrongly, DataUnusable, ExplanationRefused, ModelUnusable
from ..extras import require
from .keras_files import KERAS, read_keras
from .tables import Table
from .torch_files import exported

# Plain classes that skops asks about: they hold arrays and settings, and nothing runs when they are made.
TRUSTED = frozenset({
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
})  # fmt: skip
# Formats that carry code, with what to do instead.
PICKLES: Mapping[str, str] = {
    ".pkl": "save it with skops.io.dump(model, FILE.skops)",
    ".pickle": "save it with skops.io.dump(model, FILE.skops)",
    ".joblib": "save it with skops.io.dump(model, FILE.skops)",
    ".pt": "in Python: module.load_state_dict(torch.load(FILE, weights_only=True)), then explain the module",
    ".pth": "in Python: module.load_state_dict(torch.load(FILE, weights_only=True)), then explain the module",
    ".pt2": "in Python: module.load_state_dict(torch.load(FILE, weights_only=True)), then explain the module",
}
FORMATS = "skops, XGBoost's .json and .ubj, LightGBM's .txt, CatBoost's .cbm, Keras's .keras, or an MLflow URI"
AT_ONCE = 65_536
SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")


def model(source: str | Path, *, trusted: Sequence[str] = (), unsafe_read_pickles: bool = False) -> Any:
    """The model in a file, or at an MLflow URI (`models:/credit@champion`, `runs:/RUN/model`).

    `trusted` names classes that a skops file may bring to life beside those that nbproof and skops trust.

    Raises `ModelUnusable` for a file that is no model, `ExplanationRefused` for a format that carries code, and for
    a skops file with classes that nobody vouched for.
    """
    if str(source).startswith(SCHEMES):
        with _downloaded(str(source)) as folder:
            return _from_mlflow(folder, str(source), trusted, unsafe_read_pickles)
    file = Path(source)
    if (file / "MLmodel").is_file():
        return _from_mlflow(file, str(source), trusted, unsafe_read_pickles)
    if not file.is_file():
        raise ModelUnusable(f"`{file}`", "no file", f"a model: {FORMATS}", hint="nbproof explain --help")
    return _from_file(file, trusted, unsafe_read_pickles)


def table(source: Path, *, rows: int | None = None, columns: Sequence[str] | None = None) -> Any:
    """The first `rows` (None: all) of a Parquet or CSV file as a frame, of these `columns` (None: all), in this order.

    Of a Parquet file no more is read than is asked for. Raises `DataUnusable`.
    """
    import pyarrow

    opened = Table.of(source, AT_ONCE if rows is None else max(min(rows, AT_ONCE), 1))
    taken = opened.names if columns is None else tuple(columns)
    missing = [name for name in taken if name not in opened.names]
    if missing:
        raise DataUnusable(f"`{source}`", f"no column {missing[0]}", f"the columns {', '.join(taken)}")
    held: list[Any] = []
    count = 0
    for batch in opened.batches(taken) if rows != 0 else ():
        held.append(batch if rows is None else batch.slice(0, rows - count))
        count += len(held[-1])
        if rows is not None and count >= rows:
            break
    if not held:
        held = [pyarrow.schema([opened.schema.field(name) for name in taken]).empty_table()]
    return pyarrow.concat_tables(held).to_pandas()


@contextmanager
def _downloaded(uri: str) -> Iterator[Path]:
    """What MLflow keeps at a URI, in a folder that goes again."""
    require("mlflow")
    import mlflow
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        try:
            found = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)
        except (MlflowException, OSError) as error:
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelUnusable(
                uri, f"no model ({said})", "a model that MLflow keeps", hint="set MLFLOW_TRACKING_URI, or name a file"
            ) from error
        yield Path(found)


def _from_mlflow(folder: Path, source: str, trusted: Sequence[str], unsafe_read_pickles: bool) -> Any:
    """The model of a folder that MLflow wrote: the file of the library's own flavour, never MLflow's loader."""
    import yaml

    try:
        flavours = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["flavors"]
        if "keras" in flavours:
            # It lies under one name, whatever the model is called.
            return _from_file(folder / "data" / f"model{KERAS}", trusted, unsafe_read_pickles)
        named = {name: flavours[name] for name in ("sklearn", "xgboost", "lightgbm", "catboost") if name in flavours}
        files = [held.get("pickled_model") or held.get("data") for held in named.values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ModelUnusable(source, "no MLmodel that can be read", "a model that MLflow logged") from error
    if not files or not files[0]:
        known = ", ".join(sorted(flavours)) or "none"
        raise ModelUnusable(
            source, f"the flavours {known}", "sklearn (as skops), xgboost, lightgbm, catboost or keras",
            hint="load it in a notebook, where you vouch for it, and explain it there",
        )  # fmt: skip
    # A file beside the model, and no way out of its folder.
    return _from_file(folder / Path(files[0]).name, trusted, unsafe_read_pickles)


def _from_file(file: Path, trusted: Sequence[str], unsafe_read_pickles: bool) -> Any:
    suffix = file.suffix.lower()
    if suffix in PICKLES:
        if unsafe_read_pickles:
            return _pickled(file)
        raise ExplanationRefused(
            f"`{file.name}`",
            f"a {suffix} file, which can carry out any code when it is read",
            FORMATS,
            hint=f"{PICKLES[suffix]}; or, if you trust who wrote it, --unsafe-read-pickles",
        )
    readers: Mapping[str, Callable[[Path], Any]] = {
        ".skops": lambda found: _skops(found, trusted),
        ".json": _xgboost,
        ".ubj": _xgboost,
        ".txt": _lightgbm,
        ".lgb": _lightgbm,
        ".cbm": _catboost,
        ".cb": _catboost,
        KERAS: lambda found: read_keras(found.read_bytes(), f"`{found.name}`"),
    }
    read = readers.get(suffix)
    if read is None:
        raise ModelUnusable(f"`{file.name}`", f"the suffix {suffix or 'none'}", FORMATS)
    try:
        return read(file)
    except AskedWrongly:
        raise
    except ExplanationRefused:
        raise
    except ModuleNotFoundError as error:
        raise ModelUnusable(
            f"`{file.name}`", f"that {error.name} is not installed", "the library of the model",
            hint=f"pip install {error.name}",
        ) from error  # fmt: skip
    except Exception as error:
        # Each library has its own errors for a file that is not its own.
        said = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ModelUnusable(f"`{file.name}`", f"no model that can be read ({said})", FORMATS) from error


def _skops(file: Path, trusted: Sequence[str]) -> Any:
    require("skops")
    import skops.io

    content = file.read_bytes()
    asked = set(skops.io.get_untrusted_types(data=content))
    unknown = sorted(asked - TRUSTED - set(trusted))
    if unknown:
        raise ExplanationRefused(
            f"`{file.name}`",
            f"classes that no one vouched for: {', '.join(unknown)}",
            "those that nbproof and skops trust",
            hint=" ".join(f"--trust {name}" for name in unknown) + ", if you trust them",
        )
    return skops.io.loads(content, trusted=sorted(asked))


def _xgboost(file: Path) -> Any:
    """A booster in the estimator that its objective tells."""
    import xgboost

    booster = xgboost.Booster(model_file=str(file))
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    if objective.startswith(("binary:", "multi:")):
        found: Any = xgboost.XGBClassifier()
    elif objective.startswith(("reg:", "count:", "survival:")):
        found = xgboost.XGBRegressor()
    else:
        raise ModelUnusable(f"`{file.name}`", f"the objective {objective}", "a classifier or a regressor")
    found.load_model(str(file))
    return found


def _lightgbm(file: Path) -> Any:
    """A booster in the estimator that its objective tells; classes are numbers, since the file does not name them."""
    import lightgbm
    import numpy as np

    booster = lightgbm.Booster(model_file=str(file))
    objective = str(booster.dump_model(num_iteration=1).get("objective", "")).split(" ")[0]
    if objective in ("binary", "multiclass", "multiclassova"):
        found: Any = lightgbm.LGBMClassifier(objective=objective)
        found._n_classes = max(booster.num_model_per_iteration(), 2)
        found._classes = np.arange(found._n_classes)
        found._le = None
    elif objective in ("lambdarank", "rank_xendcg"):
        raise ModelUnusable(f"`{file.name}`", f"the objective {objective}", "a classifier or a regressor")
    else:
        found = lightgbm.LGBMRegressor(objective=objective or None)
    found._Booster = booster
    found._n_features = found._n_features_in = booster.num_feature()
    found._best_iteration = booster.best_iteration
    found._objective = objective
    found.fitted_ = True
    return found


def _catboost(file: Path) -> Any:
    """A model in the estimator that its loss tells."""
    import catboost

    plain = catboost.CatBoost().load_model(str(file))
    loss = str(plain.get_all_params().get("loss_function", "")).split(":")[0]
    if loss in ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll"):
        return catboost.CatBoostClassifier().load_model(str(file))
    if loss in ("YetiRank", "PairLogit", "QueryRMSE", "QuerySoftMax", "YetiRankPairwise", "PairLogitPairwise"):
        raise ModelUnusable(f"`{file.name}`", f"the loss {loss}", "a classifier or a regressor")
    return catboost.CatBoostRegressor().load_model(str(file))


def _pickled(file: Path) -> Any:
    """What a pickle brings to life. Only for a file whose writer is trusted."""
    if file.suffix.lower() in (".pt", ".pth", ".pt2"):
        require("torch")
        import torch

        if file.suffix.lower() == ".pt2":
            return exported(str(file))
        return torch.load(file, weights_only=False)
    import joblib

    return joblib.load(file)
