"""Looks for models and tables among the names of a notebook; a model is asked nothing but whether it is fitted."""

from __future__ import annotations

import inspect
import keyword
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...errors import NbproofError
from .. import model as models

Form = Literal["frame", "array"]

# More names than that no list can be read.
MOST_FOUND, MOST_COLUMNS = 100, 200
LIBRARIES = ("sklearn", "xgboost", "lightgbm", "catboost", "torch")
ASKED_BY = ("predict_proba", "predict", "decision_function", "score_samples")


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model under its name; `problem` says why it cannot be explained as it is, and is empty otherwise."""

    name: str
    kind: str
    library: str
    features: int | None = None
    feature_names: tuple[str, ...] | None = None
    classes: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    problem: str = ""

    def written(self) -> dict[str, Any]:
        return {
            "name": self.name, "kind": self.kind, "library": self.library, "features": self.features,
            "classes": list(self.classes[:MOST_COLUMNS]), "units": list(self.units), "problem": self.problem,
            "is_named": self.feature_names is not None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fit:
    """That a model takes a table: all its columns as they stand, or those with the labels `columns`."""

    columns: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table under its name, with the labels of its columns where it has any."""

    name: str
    kind: str
    form: Form
    rows: int
    width: int
    labels: tuple[Any, ...] | None = None

    def fit(self, model: FoundModel) -> Fit | None:
        """Which columns the model takes; None where it cannot take these."""
        if self.labels is None or model.feature_names is None:
            return Fit() if model.features in (None, self.width) else None
        spelled = {_spelled(label, model): label for label in self.labels}
        if len(spelled) != len(self.labels) or any(name not in spelled for name in model.feature_names):
            return None
        chosen = tuple(spelled[name] for name in model.feature_names)
        if chosen == self.labels:
            return Fit()
        return Fit(chosen) if all(isinstance(label, str | int) for label in chosen) else None

    def written(self, found: list[FoundModel]) -> dict[str, Any]:
        fits = {
            each.name: "all" if fit.columns is None else "part" for each in found if (fit := self.fit(each)) is not None
        }
        columns = [str(label)[:200] for label in (self.labels or ())[:MOST_COLUMNS]]
        return {
            "name": self.name, "kind": self.kind, "rows": self.rows, "width": self.width,
            "columns": columns, "fits": fits,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """The models and the tables of a namespace, each kind in the order in which they were made."""

    models: list[FoundModel]
    tables: list[FoundTable]

    def written(self) -> dict[str, Any]:
        return {
            "models": [each.written() for each in self.models],
            "tables": [each.written(self.models) for each in self.tables],
        }


def look(namespace: Mapping[str, Any]) -> Found:
    """What of a namespace can be explained, and by which tables."""
    models_found: list[FoundModel] = []
    functions: list[FoundModel] = []
    tables: list[FoundTable] = []
    for name, value in _named(namespace):
        table = table_of(name, value)
        if table is not None:
            tables.append(table)
        elif (model := model_of(name, value)) is not None:
            (functions if model.library == "function" else models_found).append(model)
    return Found([*models_found, *functions][:MOST_FOUND], tables[:MOST_FOUND])


def model_of(name: str, value: Any) -> FoundModel | None:
    """The model that a value is, None where it is none."""
    if isinstance(value, type | types.ModuleType):
        return None
    library = _library(value)
    if library == "torch":
        return _network(name, value)
    if _has_static(value, ASKED_BY):
        return _estimator(name, value, library) if library else _stranger(name, value)
    if isinstance(value, types.FunctionType) and value.__module__ == "__main__" and _takes_rows(value):
        return FoundModel(name, "function of rows", "function")
    return None


def table_of(name: str, value: Any) -> FoundTable | None:
    """The table that a value is: a frame, or a matrix of numbers; None where it is none."""
    top, kind = type(value).__module__.split(".")[0], type(value).__name__
    if top in ("pandas", "polars") and kind == "DataFrame":
        labels = tuple(value.columns)
        form: Form = "frame" if top == "pandas" else "array"
        return FoundTable(name, f"{top} DataFrame", form, len(value), len(labels), labels) if len(value) else None
    is_matrix = (top, kind) in (("numpy", "ndarray"), ("torch", "Tensor")) or (top == "scipy" and kind.startswith("cs"))
    if not is_matrix or value.ndim != 2 or 0 in value.shape:
        return None
    return FoundTable(name, f"{top} {kind}", "array", int(value.shape[0]), int(value.shape[1]))


def _named(namespace: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The names that a user gave. A cell may add some meanwhile, so that a copy is taken, again if need be."""
    while True:
        try:
            taken = list(namespace.items())
            break
        except RuntimeError:
            continue
    for name, value in taken:
        is_name = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
        if is_name and not name.startswith("_") and name not in ("In", "Out"):
            yield name, value


def _library(value: Any) -> str:
    if not isinstance(value, object) or isinstance(value, types.FunctionType):
        return ""
    tops = [kind.__module__.split(".")[0] for kind in type(value).__mro__]
    if "torch" in tops:
        return "torch" if any(kind.__name__ == "Module" for kind in type(value).__mro__) else ""
    return next((top for top in tops if top in LIBRARIES), "")


def _has_static(value: Any, names: tuple[str, ...]) -> bool:
    """Whether a class offers one of these; asked in a way that runs none of its code."""
    missing = object()
    return any(inspect.getattr_static(type(value), name, missing) is not missing for name in names)


def _estimator(name: str, value: Any, library: str) -> FoundModel:
    kind = type(value).__name__
    try:
        read = models.read(value)
    except NbproofError as error:
        return FoundModel(name, kind, library, problem=str(error)[:500])
    except Exception as error:  # What a stranger's class raises on being looked at is its own affair.
        return FoundModel(name, kind, library, problem=f"{type(error).__name__}: {error}"[:500])
    return _described(name, kind, library, read)


def _stranger(name: str, value: Any) -> FoundModel:
    """An object of a library that we do not know; what it says of itself is read only once it is chosen."""
    width = inspect.getattr_static(value, "n_features_in_", None)
    return FoundModel(name, type(value).__name__, "other", width if isinstance(width, int) else None)


def _described(name: str, kind: str, library: str, read: models.Model) -> FoundModel:
    own = read.answers[0]
    classes = own.outputs if own.complement is None else (own.complement, *own.outputs)
    return FoundModel(name, kind, library, read.features, read.feature_names, classes, read.units)


def _network(name: str, module: Any) -> FoundModel:
    """A torch module, described by its layers: it is not asked anything yet."""
    kind = type(module).__name__
    width = next((each.in_features for each in module.modules() if hasattr(each, "in_features")), None)
    is_shaky = module.training and any(
        type(each).__name__.startswith(("Dropout", "BatchNorm")) for each in module.modules()
    )
    problem = f"{kind} is in training mode, so that its answers change: call {name}.eval() first" if is_shaky else ""
    return FoundModel(name, kind, "torch", width, problem=problem)


def _takes_rows(function: types.FunctionType) -> bool:
    """Whether a function can be called with one thing, the rows."""
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        return False
    return bool(inspect.signature(function).parameters)


def _spelled(label: Any, model: FoundModel) -> str:
    """A column's label as the model's library spells it; LightGBM keeps its names without blanks."""
    return str(label).replace(" ", "_") if model.library == "lightgbm" else str(label)
