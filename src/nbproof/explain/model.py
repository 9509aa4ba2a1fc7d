"""A fitted model as explainers see it: what family it is of, what it answers, in which unit, and how to ask it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataUnusable, ModelUnsteady, ModelUnusable
from ..records import ContentHash
from .explanation import Unit
from .fitted_state import hash_of_state
from .keras_files import is_chance, is_keras, state_of, width_of
from .schema import Schema

Family = Literal["xgboost", "lightgbm", "catboost", "trees", "linear", "network", "function"]

# Answers per call: few enough that points, activations and answers of one call stay within some hundred megabytes.
ASKED_AT_ONCE = 262_144
# Scikit-learn's tree models that shap's TreeExplainer reads, by name, since importing them costs a second.
TREES = {
    "DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor",
    "ExtraTreesClassifier", "ExtraTreesRegressor", "GradientBoostingClassifier", "GradientBoostingRegressor",
    "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "IsolationForest",
    "RandomForestClassifier", "RandomForestRegressor",
}  # fmt: skip
LINEAR = {
    "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars", "Lasso", "LassoCV",
    "LinearRegression", "LinearSVC", "LinearSVR", "LogisticRegression", "LogisticRegressionCV", "Ridge", "RidgeCV",
    "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier", "SGDRegressor", "TheilSenRegressor",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answers:
    """One way to ask a model: the unit of its answers, what they are called, and how to get them.

    A binary classifier answers for its second class alone; `complement` names the first.
    """

    unit: Unit
    outputs: tuple[str, ...]
    ask: Callable[[Any], Any]
    complement: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted model. `answers` are the ways to ask it, the model's own first; `fitted` is the object itself."""

    name: str
    family: Family
    fitted: Any
    answers: tuple[Answers, ...]
    features: int | None = None
    feature_names: tuple[str, ...] | None = None

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(each.unit for each in self.answers)

    def answering(self, unit: Unit | None) -> Answers:
        """How to ask for answers in `unit` (None: the model's own). Raises `ModelUnusable` where it has none such."""
        if unit is None:
            return self.answers[0]
        for each in self.answers:
            if each.unit == unit:
                return each
        raise ModelUnusable(self.name, f"answers in {' or '.join(self.units)}", f"answers in {unit}")

    def fits(self, schema: Schema) -> None:
        """Raise `DataUnusable` unless the table has the columns that the model was fitted on."""
        width = len(schema.columns)
        if self.features is not None and width != self.features:
            raise DataUnusable("the data", f"{width} columns", f"{self.features}, on which {self.name} was fitted")
        if self.feature_names is None or schema.form != "frame":
            return
        # LightGBM keeps its names without blanks.
        names = [name.replace(" ", "_") if self.family == "lightgbm" else name for name in schema.names]
        odd = next((at for at, name in enumerate(names) if name != self.feature_names[at]), None)
        if odd is not None:
            raise DataUnusable(
                "the data",
                f"`{schema.names[odd]}` as column {odd}",
                f"`{self.feature_names[odd]}`, as when {self.name} was fitted",
            )


@dataclass(slots=True)
class Asked:
    """A model being asked: coded rows in, float64 (rows, outputs) out; counts the rows that it was asked about."""

    model: Model
    schema: Schema
    answers: Answers
    rows: int = 0

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The answers for coded rows, asked in calls of a fixed size. Raises `ModelUnusable` for an odd answer."""
        parts = [
            self._ask(values[start : start + ASKED_AT_ONCE]) for start in range(0, max(len(values), 1), ASKED_AT_ONCE)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _ask(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        outputs = len(self.answers.outputs)
        if not len(values):
            return np.zeros((0, outputs))
        try:
            given = self.answers.ask(self.schema.decoded(values))
        except (TypeError, ValueError, IndexError, KeyError, RuntimeError) as error:
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            text = [column.name for column in self.schema.columns if column.is_categorical]
            where = f" (text stands in {', '.join(text)})" if text else ""
            raise ModelUnusable(
                self.model.name, f"that it cannot answer these rows: {said}{where}", "an answer"
            ) from error
        found = np.asarray(given, dtype=np.float64)
        found = found[:, None] if found.ndim == 1 else found
        if found.shape != (len(values), outputs):
            raise ModelUnusable(
                self.model.name,
                f"answers of the shape {found.shape}",
                f"{(len(values), outputs)}: a row of {outputs} each",
            )
        if not np.isfinite(found).all():
            raise ModelUnusable(self.model.name, "an answer that is not finite", "finite numbers")
        self.rows += len(values)
        return found


def refuse_unsteady(asked: Asked, values: NDArray[np.float64], *, probe: int = 32) -> None:
    """Raise `ModelUnsteady` where the model, asked twice about the same rows, does not answer the same.

    What changes between two calls (dropout left on, noise, a state that calls leave behind) has no explanation.
    """
    rows = values[:probe]
    first, second = asked(rows), asked(rows)
    apart = float(np.abs(first - second).max(initial=0.0))
    if apart > 0.0:
        raise ModelUnsteady(asked.model.name, apart)


def read(
    model: Any,
    *,
    unit: Unit | None = None,
    output_names: Sequence[str] | None = None,
) -> Model:
    """Read a fitted model: scikit-learn's, XGBoost's, LightGBM's, CatBoost's, Keras's, a torch module, or a function.

    `unit` says what the answers of a function or of a network are (None: raw, or a network's last activation);
    of other models it is known. `output_names` names the outputs, of a binary classifier the one of its second class.

    Raises `ModelUnusable` for what is not fitted, or cannot be asked.
    """
    if isinstance(model, Model):
        found = model
    else:
        library = _library(model)
        found = _READERS.get(library, _callable)(model, unit)
    if output_names is None:
        return found
    named = []
    for each in found.answers:
        if len(each.outputs) not in (len(output_names), 0):
            raise ModelUnusable(found.name, f"{len(each.outputs)} outputs", f"{len(output_names)}, as they are named")
        named.append(replace(each, outputs=tuple(output_names)))
    return replace(found, answers=tuple(named))


def hash_of(model: Model) -> ContentHash | None:
    """The SHA-256 of a model's fitted state; None for a function, of which nothing can be known."""
    fitted = model.fitted
    if model.family == "xgboost":
        booster = fitted.get_booster() if hasattr(fitted, "get_booster") else fitted
        return ContentHash.of(bytes(booster.save_raw("ubj")))
    if model.family == "lightgbm":
        booster = getattr(fitted, "booster_", fitted)
        return ContentHash.of(booster.model_to_string().encode())
    if model.family == "catboost":
        return _hash_of_catboost(fitted)
    if model.family == "network" and is_keras(fitted):
        return ContentHash.of(state_of(fitted))
    if model.family == "network":
        import torch

        held = io.BytesIO()
        for name, tensor in fitted.state_dict().items():
            array = tensor.detach().cpu()
            held.write(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
            held.write(array.contiguous().view(torch.uint8).numpy().tobytes() if array.numel() else b"")
        return ContentHash.of(repr(fitted).encode() + held.getvalue())
    if model.family == "function" and not hasattr(fitted, "get_params"):
        return None
    return hash_of_state(fitted)


def _hash_of_catboost(fitted: Any) -> ContentHash:
    """Of a copy with nothing but the trees: each training and each file adds a name, a time, spellings of settings."""
    bare = fitted.copy()
    held = bare.get_metadata()
    for key in list(held.keys()):
        del held[key]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.cbm"
        bare.save_model(str(file))
        return ContentHash.of(repr(_classes(fitted)).encode() + file.read_bytes())


def _library(model: Any) -> str:
    """The library that a model's class comes from, also where a user's class derives from it."""
    for kind in type(model).__mro__:
        top = kind.__module__.split(".")[0]
        if top in _READERS:
            return top
    return ""


def _refuse_unfitted(model: Any) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise ModelUnusable(
            type(model).__name__, "a model that is not fitted", "a fitted model", hint="call its fit(X, y) first"
        ) from error
    except TypeError:
        # It is no scikit-learn estimator, and cannot tell.
        return


def _classes(model: Any) -> tuple[str, ...] | None:
    classes = getattr(model, "classes_", None)
    if classes is None:
        return None
    if isinstance(classes, list):
        raise ModelUnusable(
            type(model).__name__, "several targets at once", "one target", hint="explain one estimator of it at a time"
        )
    return tuple(str(each) for each in classes)


def _probability(ask: Callable[[Any], Any], classes: Sequence[str]) -> Answers:
    """Answers by a `predict_proba`: of two classes only the second."""
    if len(classes) == 2:
        return Answers("probability", (classes[1],), lambda rows: np.asarray(ask(rows))[:, 1:], classes[0])
    return Answers("probability", tuple(classes), ask)


def _log_odds(ask: Callable[[Any], Any], classes: Sequence[str]) -> Answers:
    """Margins: log-odds of the second of two classes; of more classes they are scores, and raw."""
    if len(classes) == 2:
        return Answers("log-odds", (classes[1],), ask, classes[0])
    return Answers("raw", tuple(classes), ask)


def _sklearn(model: Any, unit: Unit | None) -> Model:
    name = type(model).__name__
    _refuse_unfitted(model)
    if name == "Pipeline" and type(model).__module__.startswith("sklearn.") and len(model.steps) > 1:
        as_last = _as_last_step(model)
        if as_last is not None:
            return Model(name, "function", model, as_last, *_inputs(model))
    answers: list[Answers] = []
    classes = _classes(model)
    if hasattr(model, "predict_proba") and classes is not None:
        answers.append(_probability(model.predict_proba, classes))
        if hasattr(model, "decision_function") and _is_logistic(model):
            # Its terms, or its trees, add up in log-odds.
            answers.insert(0, _log_odds(model.decision_function, classes))
    elif hasattr(model, "decision_function") and classes is not None:
        binary = len(classes) == 2
        outputs = (classes[1],) if binary else classes
        answers.append(Answers("raw", outputs, model.decision_function, classes[0] if binary else None))
    elif hasattr(model, "score_samples") and not hasattr(model, "classes_"):
        answers.append(Answers("raw", ("score",), model.score_samples))
    elif hasattr(model, "predict") and classes is None:
        answers.append(Answers("raw", _targets(model), model.predict))
    else:
        raise ModelUnusable(
            name, "a model without predict_proba, decision_function or predict", "one that can be asked"
        )
    family: Family = "trees" if name in TREES else "linear" if name in LINEAR else "function"
    return Model(name, family, model, tuple(answers), *_inputs(model))


def _as_last_step(pipeline: Any) -> tuple[Answers, ...] | None:
    """The answers of a pipeline: those of its last step alone, in the same units and order; None where it has none."""
    before, last = pipeline[:-1], pipeline.steps[-1][1]
    try:
        read_last = read(last)
    except ModelUnusable:
        return None
    return tuple(replace(each, ask=_after(before, each.ask)) for each in read_last.answers)


def _after(before: Any, ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda rows: ask(before.transform(rows))


def _targets(model: Any) -> tuple[str, ...]:
    """What the outputs of a regressor are called."""
    width = 1
    for attribute in ("coef_", "intercept_"):
        held = getattr(model, attribute, None)
        if held is not None and np.ndim(held) == (2 if attribute == "coef_" else 1):
            width = max(width, np.shape(held)[0])
    width = max(width, int(getattr(model, "n_outputs_", 1)))
    return ("prediction",) if width == 1 else tuple(f"prediction {at}" for at in range(width))


def _is_boosted(name: str) -> bool:
    return name in ("GradientBoostingClassifier", "HistGradientBoostingClassifier")


def _is_logistic(model: Any) -> bool:
    """Whether the margin of this classifier is the log-odds of its probability."""
    name = type(model).__name__
    if name == "Pipeline":
        return _is_logistic(model.steps[-1][1])
    if name == "SGDClassifier":
        return bool(model.loss == "log_loss")
    return name in ("LogisticRegression", "LogisticRegressionCV") or _is_boosted(name)


def _inputs(model: Any) -> tuple[int | None, tuple[str, ...] | None]:
    """How many features a model was fitted on, and what they were called."""
    names = getattr(model, "feature_names_in_", None)
    width = getattr(model, "n_features_in_", None)
    return (None if width is None else int(width), None if names is None else tuple(map(str, names)))


def _xgboost(model: Any, unit: Unit | None) -> Model:
    name = type(model).__name__
    if name == "Booster":
        raise ModelUnusable(
            name, "a bare Booster, which does not tell what its classes are", "XGBClassifier or XGBRegressor",
            hint="model = xgboost.XGBClassifier(); model.load_model(FILE)",
        )  # fmt: skip
    if not model.__sklearn_is_fitted__():
        raise ModelUnusable(name, "a model that is not fitted", "a fitted model", hint="call its fit(X, y) first")
    return _boosted(
        model,
        "xgboost",
        lambda rows: model.predict(rows, output_margin=True),
        tuple(model.feature_names_in_) if _has(model, "feature_names_in_") else None,
    )


def _lightgbm(model: Any, unit: Unit | None) -> Model:
    name = type(model).__name__
    if name == "Booster":
        raise ModelUnusable(
            name, "a bare Booster, which does not tell what its classes are", "LGBMClassifier or LGBMRegressor"
        )
    if not model.__sklearn_is_fitted__():
        raise ModelUnusable(name, "a model that is not fitted", "a fitted model", hint="call its fit(X, y) first")
    return _boosted(
        model, "lightgbm", lambda rows: model.predict(rows, raw_score=True), tuple(map(str, model.feature_name_))
    )


def _catboost(model: Any, unit: Unit | None) -> Model:
    if not model.is_fitted():
        raise ModelUnusable(
            type(model).__name__, "a model that is not fitted", "a fitted model", hint="call its fit(X, y) first"
        )
    return _boosted(
        model,
        "catboost",
        lambda rows: model.predict(rows, prediction_type="RawFormulaVal"),
        tuple(map(str, model.feature_names_)),
    )


def _boosted(model: Any, family: Family, margin: Callable[[Any], Any], names: tuple[str, ...] | None) -> Model:
    """A booster with scikit-learn's interface: margins first, since its trees add up in them."""
    name = type(model).__name__
    if hasattr(model, "predict_proba"):
        classes = _classes(model)
        assert classes is not None
        answers: tuple[Answers, ...] = (_log_odds(margin, classes), _probability(model.predict_proba, classes))
    else:
        answers = (Answers("raw", ("prediction",), model.predict),)
    # A CatBoost model that was read from a file says 0.
    width = getattr(model, "n_features_in_", 0) or len(names or ())
    return Model(name, family, model, answers, int(width) or None, _given_names(names))


def _given_names(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Feature names that the user gave; those that a library makes up for an array say nothing."""
    if names is None or all(name in (f"Column_{at}", str(at), f"f{at}") for at, name in enumerate(names)):
        return None
    return names


def _has(model: Any, attribute: str) -> bool:
    try:
        return getattr(model, attribute) is not None
    except AttributeError:
        return False


def _network(module: Any, unit: Unit | None) -> Model:
    name = type(module).__name__
    if module.training and any(type(each).__name__.startswith(("Dropout", "BatchNorm")) for each in module.modules()):
        raise ModelUnusable(
            name, "a module in training mode, whose answers change", "one in evaluation mode", hint="model.eval()"
        )
    last = [each for each in module.modules() if not list(each.children())][-1:] or [module]
    activation = type(last[0]).__name__
    known: Unit = unit or ("probability" if activation in ("Sigmoid", "Softmax") else "raw")
    width = next((each.in_features for each in module.modules() if hasattr(each, "in_features")), None)
    return _asked_in_blocks(module, known, width)


def _keras(model: Any, unit: Unit | None) -> Model:
    if not is_keras(model):
        is_module = any(kind.__module__.startswith("torch.") for kind in type(model).__mro__)
        # With another backend it is asked by its `predict`, as anything that has one.
        return _network(model, unit) if is_module else _callable(model, unit)
    width = width_of(model, type(model).__name__)
    return _asked_in_blocks(model, unit or ("probability" if is_chance(model) else "raw"), width)


def _asked_in_blocks(module: Any, unit: Unit, width: int | None) -> Model:
    """A network that takes blocks of numbers, (rows, `width`)."""
    import torch

    def ask(rows: Any) -> Any:
        held = next(module.parameters(), None)
        device = held.device if held is not None else torch.device("cpu")
        dtype = held.dtype if held is not None and held.dtype.is_floating_point else torch.float32
        with torch.no_grad():
            given = module(torch.as_tensor(np.ascontiguousarray(rows), dtype=dtype, device=device))
        return given.reshape(len(rows), -1).double().cpu().numpy()

    outputs = _width_of(ask, width)
    named = ("prediction",) if outputs == 1 else tuple(f"output {at}" for at in range(outputs))
    return Model(type(module).__name__, "network", module, (Answers(unit, named, ask),), width)


def _width_of(ask: Callable[[Any], Any], width: int | None) -> int:
    """How many outputs a network has, by asking it about a row of zeros."""
    if width is None:
        return 1
    try:
        return int(np.asarray(ask(np.zeros((1, width)))).shape[1])
    except (RuntimeError, ValueError, IndexError):
        return 1


def _callable(model: Any, unit: Unit | None) -> Model:
    """A plain function, or an object of a library we do not know that can be asked."""
    name = getattr(model, "__name__", type(model).__name__)
    if hasattr(model, "predict_proba") or hasattr(model, "predict"):
        classes = _classes(model)
        if hasattr(model, "predict_proba") and classes is not None:
            return Model(name, "function", model, (_probability(model.predict_proba, classes),), *_inputs(model))
        if hasattr(model, "predict"):
            return Model(
                name, "function", model, (Answers(unit or "raw", ("prediction",), model.predict),), *_inputs(model)
            )
    if callable(model):
        return Model(name, "function", model, (Answers(unit or "raw", (), model),))
    raise ModelUnusable(name, f"a {type(model).__name__}", "a fitted model, a torch module or a function of rows")


_READERS: Mapping[str, Callable[[Any, Unit | None], Model]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
    "keras": _keras,
    "torch": _network,
}
