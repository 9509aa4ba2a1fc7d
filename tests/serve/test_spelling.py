"""One estimator has one spelling."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from nbproof.serve.spelling import dump, untrusted_types

TRAIN = """
import hashlib, numpy as np
from sklearn.linear_model import LogisticRegression
from nbproof.serve.spelling import dump
rows = np.arange(40.0).reshape(-1, 2)
print(hashlib.sha256(dump(LogisticRegression().fit(rows, rows[:, 0] > 17))).hexdigest())
"""


def _fitted(seed: int = 0):
    rows = np.random.default_rng(seed).integers(-2, 8, size=(200, 3)).astype(float)
    encode = make_column_transformer(
        (FunctionTransformer(np.arcsinh), [0, 1]), (OneHotEncoder(handle_unknown="ignore", sparse_output=False), [2])
    )
    model = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=5, random_state=0))
    return model.fit(rows, rows.sum(axis=1) > 6), rows


def test_two_dumps_of_one_estimator_are_equal() -> None:
    """The bytes depend on the estimator alone, not on addresses or on the time."""
    model, _ = _fitted()

    assert skops.io.dumps(model) != skops.io.dumps(model)
    assert dump(model) == dump(model)


def test_training_again_in_another_process_gives_the_same_bytes() -> None:
    """The hash of a model means the same in every process."""
    elsewhere = subprocess.run([sys.executable, "-c", TRAIN], check=True, capture_output=True, text=True).stdout
    rows = np.arange(40.0).reshape(-1, 2)

    here = hashlib.sha256(dump(LogisticRegression().fit(rows, rows[:, 0] > 17))).hexdigest()

    assert elsewhere.strip() == here


def test_other_estimators_have_other_bytes() -> None:
    """Trained on other rows, a model is spelt otherwise."""
    assert dump(_fitted(0)[0]) != dump(_fitted(1)[0])


def test_what_is_dumped_loads_and_predicts_the_same() -> None:
    """Renaming what is inside changes nothing that a reader sees."""
    model, rows = _fitted()
    content = dump(model)

    loaded = skops.io.loads(content, trusted=list(untrusted_types(content)))

    np.testing.assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))


def test_types_to_vouch_for_are_named() -> None:
    """A tree model holds a type that skops does not trust by itself."""
    assert "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor" in untrusted_types(dump(_fitted()[0]))
