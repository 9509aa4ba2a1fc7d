"""LIME for texts beside the real one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from beside_lime import apart, orders, orders_of, read
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nbproof.errors import DataUnusable
from nbproof.explain.surrogate import text

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lime.lime_text import LimeTextExplainer

TEXT = "The loan, the very loan: was it repaid? It was not repaid in time; it was late, late, LATE."


def classes(texts: Any) -> NDArray[np.float64]:
    """Probabilities of three classes by words, their order and the length of a text."""
    scores = np.array(
        [
            [
                each.count("late") - 0.3 * each.count("loan"),
                len(each) / 40,
                each.count("was not") + each.count("UNK") / 9,
            ]
            for each in texts
        ]
    )
    powers = np.exp(scores)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def by_lime(given_text: str, *, seed: int, samples: int, features: int, **options: Any) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = []
        for label in range(3):
            explainer = LimeTextExplainer(random_state=seed, **options)
            explained = explainer.explain_instance(
                given_text, classes, labels=(label,), num_features=features, num_samples=samples
            )
            found.append(read(explained, label, explained.domain_mapper.indexed_string.num_words()))
        return [found]


@pytest.mark.parametrize("is_bag", [True, False])
@pytest.mark.parametrize(("selection", "features"), [("auto", 4), ("auto", 8), ("none", 9), ("lasso_path", 3)])
def test_a_text_gets_the_numbers_of_lime(is_bag: bool, selection: str, features: int) -> None:
    """Words as a bag and word by word, in every selection: lime's coefficients, order, intercept, R² and answer."""
    (ours,) = text.explain(
        classes, [TEXT], seed=6, samples=300, features=features, selection=selection, is_bag=is_bag, unit="probability"
    )
    theirs = by_lime(TEXT, seed=6, samples=300, features=features, feature_selection=selection, bow=is_bag)

    assert apart(ours, theirs) <= 1e-9
    assert orders(ours) == orders_of(theirs)


@settings(max_examples=15, deadline=None)
@given(
    words=st.lists(st.sampled_from(["late", "loan", "was not", "paid", "x", "Über", "3"]), min_size=5, max_size=20),
    seed=st.integers(0, 2**31),
    features=st.integers(1, 9),
)
def test_on_any_text_the_numbers_are_those_of_lime(words: list[str], seed: int, features: int) -> None:
    """Any words, repeated or not, and any seed."""
    given_text = ", ".join(words) + "."
    (ours,) = text.explain(classes, [given_text], seed=seed, samples=200, features=features, unit="probability")

    assert apart(ours, by_lime(given_text, seed=seed, samples=200, features=features), with_r2=False) <= 1e-9


def test_each_different_text_is_asked_about_once() -> None:
    """A text of two words has four variants, and the model is asked about no more."""
    asked: list[list[str]] = []

    def recording(texts: list[str]) -> NDArray[np.float64]:
        asked.append(list(texts))
        return classes(texts)

    text.explain(recording, ["late loan"], samples=1000)

    assert sorted(asked[-1]) == [" ", " loan", "late ", "late loan"]


def test_a_pipeline_is_explained_for_its_second_class() -> None:
    """A fitted pipeline of texts has one output and its mirror, and every text an explanation of its own."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = ["paid in time", "paid early", "late again", "very late"] * 5
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["good", "good", "bad", "bad"] * 5)

    found = text.explain(model, ["paid late", "paid in time"], samples=300, unit="probability")

    assert [each.output_names for each in found] == [("good",), ("good",)]
    assert found[0].complement == "bad"
    assert found[0].feature_names == ("paid", "late")
    assert found[0].values[0, 0, 0] > 0 > found[0].values[0, 1, 0]
    assert found[0].data.tolist() == [["paid", "late"]]
    assert found[0].origins.model is not None


def test_a_text_s_explanation_does_not_depend_on_the_others() -> None:
    """Alone or among others, before or after, a text is explained to the same bit."""
    together = text.explain(classes, ["a loan", TEXT], samples=100, seed=2)
    alone = text.explain(classes, [TEXT], samples=100, seed=2)

    assert together[1].equals(alone[0])


def test_texts_without_words_are_refused() -> None:
    """Nothing can be left out of a text without words, and one text is no list of texts."""
    with pytest.raises(DataUnusable, match="text 1: found no words"):
        text.explain(classes, ["a loan", "?!"])
    with pytest.raises(DataUnusable, match="the texts: found one text, expected a list of texts"):
        text.explain(classes, "a loan")
