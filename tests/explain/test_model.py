"""A model as explainers see it: what it answers, in which unit, and that it is what it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbproof.errors import DataUnusable, ModelUnsteady, ModelUnusable
from nbproof.explain.model import Asked, hash_of, read, refuse_unsteady
from nbproof.explain.schema import Schema

DRAW = np.random.default_rng(0)
ROWS = DRAW.normal(size=(80, 3))
TWO = np.where(ROWS[:, 0] + ROWS[:, 1] > 0, "good", "bad")
THREE = np.digitize(ROWS[:, 0], [-0.5, 0.5])


def of_sklearn(name: str, **settings: Any) -> Any:
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.svm

    for module in (sklearn.ensemble, sklearn.linear_model, sklearn.svm):
        if hasattr(module, name):
            return getattr(module, name)(**settings)
    raise AssertionError(name)


def of_xgboost(name: str) -> Any:
    return getattr(pytest.importorskip("xgboost"), name)(n_estimators=3, n_jobs=1)


def of_lightgbm(name: str) -> Any:
    return getattr(pytest.importorskip("lightgbm"), name)(n_estimators=3, n_jobs=1, verbose=-1, min_child_samples=5)


def of_catboost(name: str) -> Any:
    kind = getattr(pytest.importorskip("catboost"), name)
    return kind(iterations=3, verbose=False, thread_count=1, allow_writing_files=False)


CLASSIFIERS: dict[str, tuple[Callable[[], Any], str, tuple[str, ...]]] = {
    "forest": (lambda: of_sklearn("RandomForestClassifier", n_estimators=3, random_state=0), "trees", ("probability",)),
    "histogram boosting": (
        lambda: of_sklearn("HistGradientBoostingClassifier", max_iter=3, random_state=0), "trees",
        ("log-odds", "probability"),
    ),
    "logistic": (lambda: of_sklearn("LogisticRegression"), "linear", ("log-odds", "probability")),
    "support vectors": (lambda: of_sklearn("SVC"), "function", ("raw",)),
    "xgboost": (lambda: of_xgboost("XGBClassifier"), "xgboost", ("log-odds", "probability")),
    "lightgbm": (lambda: of_lightgbm("LGBMClassifier"), "lightgbm", ("log-odds", "probability")),
    "catboost": (lambda: of_catboost("CatBoostClassifier"), "catboost", ("log-odds", "probability")),
}  # fmt: skip
REGRESSORS: dict[str, tuple[Callable[[], Any], str]] = {
    "forest": (lambda: of_sklearn("RandomForestRegressor", n_estimators=3), "trees"),
    "ridge": (lambda: of_sklearn("Ridge"), "linear"),
    "xgboost": (lambda: of_xgboost("XGBRegressor"), "xgboost"),
    "lightgbm": (lambda: of_lightgbm("LGBMRegressor"), "lightgbm"),
    "catboost": (lambda: of_catboost("CatBoostRegressor"), "catboost"),
}


def targets_for(library: str) -> Any:
    """XGBoost takes classes as numbers only."""
    return (TWO == "good").astype(int) if library == "xgboost" else TWO


@pytest.mark.parametrize("library", CLASSIFIERS)
def test_a_binary_classifier_answers_for_its_second_class(library: str) -> None:
    """Whatever the library, there is one output with the name of the second class, and the first is its complement."""
    make, family, units = CLASSIFIERS[library]
    targets = targets_for(library)

    model = read(make().fit(ROWS, targets))

    first, second = map(str, np.unique(targets))
    assert (model.family, model.units) == (family, units)
    assert [(each.outputs, each.complement) for each in model.answers] == [((second,), first)] * len(units)
    assert model.features == 3


@pytest.mark.parametrize("library", CLASSIFIERS)
def test_answers_are_the_model_s_own(library: str) -> None:
    """The probability is the one that the model gives, and the log-odds are the logarithm of its odds."""
    make, _, units = CLASSIFIERS[library]
    fitted = make().fit(ROWS, targets_for(library))
    model, schema = read(fitted), Schema.of(ROWS)
    answers = {each: Asked(model, schema, model.answering(each))(ROWS)[:, 0] for each in units}

    if "probability" in units:
        np.testing.assert_array_equal(answers["probability"], fitted.predict_proba(ROWS)[:, 1])
    if "log-odds" in units:
        odds = fitted.predict_proba(ROWS)[:, 1].astype(float)
        np.testing.assert_allclose(answers["log-odds"], np.log(odds / (1 - odds)), atol=2e-6)


@pytest.mark.parametrize("library", REGRESSORS)
def test_a_regressor_answers_its_prediction(library: str) -> None:
    """A regressor has one output, called prediction, in the raw unit."""
    make, family = REGRESSORS[library]
    fitted = make().fit(ROWS, ROWS[:, 0] * 2)

    model = read(fitted)

    assert (model.family, model.units, model.answers[0].outputs) == (family, ("raw",), ("prediction",))
    np.testing.assert_array_equal(
        Asked(model, Schema.of(ROWS), model.answers[0])(ROWS)[:, 0], fitted.predict(ROWS).astype(float)
    )


@pytest.mark.parametrize("library", [each for each in CLASSIFIERS if each != "support vectors"])
def test_more_classes_have_an_output_each(library: str) -> None:
    """Of three classes each is an output by its name, and none has a complement."""
    make, _, _ = CLASSIFIERS[library]
    fitted = make().fit(ROWS, THREE)

    model = read(fitted)

    for answers in model.answers:
        assert (answers.outputs, answers.complement) == (("0", "1", "2"), None)
        assert Asked(model, Schema.of(ROWS), answers)(ROWS).shape == (80, 3)


@pytest.mark.parametrize("library", [*CLASSIFIERS, "torch module"])
def test_a_model_that_is_not_fitted_is_refused(library: str) -> None:
    """An unfitted model of any library is told in one line, with what to type next."""
    if library == "torch module":
        torch = pytest.importorskip("torch")
        made: Any = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout())
        said, hint = "Sequential: found a module in training mode, whose answers change, expected one in", "model.eval"
    else:
        made = CLASSIFIERS[library][0]()
        said, hint = f"{type(made).__name__}: found a model that is not fitted, expected a fitted model", "fit"

    with pytest.raises(ModelUnusable, match=said) as raised:
        read(made)

    assert hint in raised.value.hint
    assert "\n" not in str(raised.value)


def test_what_is_no_model_is_refused() -> None:
    """A number, a bare booster and a model of two targets are told apart from a model that can be explained."""
    xgboost = pytest.importorskip("xgboost")
    booster = of_xgboost("XGBRegressor").fit(ROWS, ROWS[:, 0]).get_booster()
    two = of_sklearn("RandomForestClassifier", n_estimators=2).fit(ROWS, np.column_stack([TWO, TWO]))

    assert isinstance(booster, xgboost.Booster)
    for model, said in (
        (3, "int: found a int, expected a fitted model, a torch module or a function of rows"),
        (booster, "Booster: found a bare Booster, .*, expected XGBClassifier or XGBRegressor"),
        (two, "RandomForestClassifier: found several targets at once, expected one target"),
    ):
        with pytest.raises(ModelUnusable, match=said):
            read(model)


def test_a_unit_that_the_model_does_not_have_is_refused() -> None:
    """A forest votes; it has no log-odds, and none are made up."""
    model = read(of_sklearn("RandomForestClassifier", n_estimators=2).fit(ROWS, TWO))

    with pytest.raises(ModelUnusable, match="found answers in probability, expected answers in log-odds"):
        model.answering("log-odds")


@pytest.mark.parametrize("library", ["forest", "xgboost", "lightgbm", "catboost"])
def test_columns_have_the_names_that_the_model_knows(library: str) -> None:
    """A frame with a space in a column's name fits the model that was fitted on it; in another order it does not."""
    frame = pd.DataFrame(ROWS, columns=["age in years", "income", "debt"])
    model = read(CLASSIFIERS[library][0]().fit(frame, targets_for(library)))

    model.fits(Schema.of(frame))

    with pytest.raises(DataUnusable, match=r"the data: found `income` as column 0, expected `age.in.years`, as when"):
        model.fits(Schema.of(frame[["income", "age in years", "debt"]]))
    with pytest.raises(DataUnusable, match=r"the data: found 2 columns, expected 3, on which .* was fitted"):
        model.fits(Schema.of(ROWS[:, :2]))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda rows: rows, r"answers of the shape \(2, 3\), expected \(2, 1\)"),
        (lambda rows: rows[:1, 0], r"answers of the shape \(1, 1\), expected \(2, 1\)"),
        (lambda rows: rows[:, 0] * np.nan, "an answer that is not finite, expected finite numbers"),
        (lambda rows: rows["age"], "that it cannot answer these rows: only integers, .* expected an answer"),
        (lambda rows: float("x"), "that it cannot answer these rows: could not convert string to float: 'x'"),
    ],
)
def test_an_odd_answer_is_refused(answer: Callable[[Any], Any], said: str) -> None:
    """A function that answers too little, too much, nothing finite, or raises, is told in one line."""
    model = read(answer, output_names=["y"])

    with pytest.raises(ModelUnusable, match=said) as raised:
        Asked(model, Schema.of(ROWS), model.answers[0])(ROWS[:2])

    assert "\n" not in str(raised.value)


def test_rows_that_were_asked_are_counted() -> None:
    """Every row that the model saw counts, and no rows ask nothing."""
    model = read(lambda rows: rows[:, 0], output_names=["y"])
    asked = Asked(model, Schema.of(ROWS), model.answers[0])

    assert asked(ROWS[:0]).shape == (0, 1)
    asked(ROWS[:5])
    asked(ROWS[:7])

    assert asked.rows == 12


def test_a_model_that_changes_its_answer_is_refused() -> None:
    """A function that draws, and one that remembers, have no explanation."""
    draw = np.random.default_rng(0)
    calls: list[int] = []

    def remembers(rows: Any) -> Any:
        calls.append(1)
        return rows[:, 0] + len(calls)

    for answer in (lambda rows: draw.normal(size=len(rows)), remembers):
        model = read(answer, output_names=["y"])
        with pytest.raises(ModelUnsteady, match=r"found answers that differ by .* between two calls"):
            refuse_unsteady(Asked(model, Schema.of(ROWS), model.answers[0]), ROWS)


def test_a_torch_module_is_asked_in_its_own_precision() -> None:
    """A module's last activation tells the unit, its last layer the outputs, and its answers are its own."""
    torch = pytest.importorskip("torch")
    made = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Softmax(dim=1)).double().eval()

    model = read(made)

    assert (model.family, model.units, model.features) == ("network", ("probability",), 3)
    assert model.answers[0].outputs == ("output 0", "output 1")
    with torch.no_grad():
        expected = made(torch.as_tensor(ROWS)).numpy()
    np.testing.assert_array_equal(Asked(model, Schema.of(ROWS), model.answers[0])(ROWS), expected)
    assert read(made.float(), output_names=["no", "yes"]).answers[0].outputs == ("no", "yes")


FITTED = """
import json, sys, warnings
sys.path.insert(0, {tests!r})
from test_model import *
warnings.simplefilter("ignore")
print(json.dumps(hashes()))
"""


def hashes() -> dict[str, str | None]:
    """The hash of one fitted model of each library."""
    found: dict[str, str | None] = {}
    for library, (make, _, _) in CLASSIFIERS.items():
        fitted = make().fit(ROWS, targets_for(library))
        found[library] = getattr(hash_of(read(fitted)), "hex", None)
    torch = pytest.importorskip("torch")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).eval()
    found["network"] = getattr(hash_of(read(module)), "hex", None)
    found["function"] = getattr(hash_of(read(len)), "hex", None)
    return found


def test_a_model_has_the_same_hash_in_another_process() -> None:
    """Fitted again from the same data in a fresh process a model has its hash again; a function has none."""
    code = FITTED.format(tests=str(os.path.dirname(__file__)))  # noqa: PTH120
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        here = hashes()

    assert json.loads(ran.stdout.splitlines()[-1]) == here
    assert here.pop("function") is None
    assert None not in here.values()
    assert len(set(here.values())) == len(here)


@pytest.mark.parametrize("library", CLASSIFIERS)
def test_asking_a_model_does_not_change_its_hash(library: str) -> None:
    """The hash is of what was fitted: predictions leave it, other data change it."""
    fitted = CLASSIFIERS[library][0]().fit(ROWS, targets_for(library))
    before = hash_of(read(fitted))

    fitted.predict(ROWS)

    assert hash_of(read(fitted)) == before
    assert hash_of(read(CLASSIFIERS[library][0]().fit(ROWS[::2], targets_for(library)[::2]))) != before


def test_one_weight_makes_another_network() -> None:
    """A module's hash covers every weight and how the layers are set up."""
    torch = pytest.importorskip("torch")
    made = torch.nn.Linear(3, 1).eval()
    before = hash_of(read(made))

    with torch.no_grad():
        made.weight[0, 0] += 1

    assert hash_of(read(made)) != before
