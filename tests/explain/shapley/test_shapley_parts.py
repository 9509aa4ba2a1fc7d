"""Words of a text and patches of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from shapley_reference import by_definition
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from nbproof.errors import DataUnusable
from nbproof.explain.shapley import images, text

TEXTS = ["a good film", "good, very good", "a bad film", "bad and long", "good cast", "bad cast"]


def _classifier() -> Any:
    return make_pipeline(CountVectorizer(), LogisticRegression()).fit(TEXTS, ["+", "+", "-", "-", "+", "-"])


def test_words_have_their_values_by_definition() -> None:
    """Up to 11 words, values are exact and those of the definition, for the second class."""
    model, given = _classifier(), "A good film, a bad end!"

    found = text.explain(model, given)

    words = ["A", "good", "film", "a", "bad", "end"]

    def shown(masks: NDArray[np.float64]) -> Any:
        pattern = "{} {} {}, {} {} {}!"
        texts = [pattern.format(*(w if keep else "" for w, keep in zip(words, mask, strict=True))) for mask in masks]
        return model.predict_proba(texts)[:, 1]

    expected = by_definition(shown, np.ones(6), np.zeros((1, 6)))
    assert found.data[0].tolist() == words
    assert (found.output_names, found.complement, found.unit, found.is_exact) == (("-",), "+", "probability", True)
    assert found.values[0, :, 0] == pytest.approx(expected, abs=1e-6)
    assert found.values[0, 1, 0] < 0 < found.values[0, 4, 0]


def test_a_word_that_comes_again_has_its_own_value() -> None:
    """Names are distinct; a long text is estimated, and its values add up."""
    model, given = _classifier(), "good bad good " * 5

    found = text.explain(model, given, seed=3, samples=128)

    assert found.feature_names[:4] == ("good", "bad", "good (2)", "good (3)")
    assert (found.method, found.seed, found.is_exact) == ("sampled", 3, False)
    assert found.error is not None
    assert found.gap().max() <= 1e-6


def test_hidden_words_leave_a_sign() -> None:
    """Where a word is left out its stand-in is shown."""
    seen: list[str] = []

    def model(texts: list[str]) -> list[float]:
        seen.extend(texts)
        return [float(len(each)) for each in texts]

    text.explain(model, "one, two", hidden="[…]")

    assert {"one, two", "[…], two", "one, […]", "[…], […]"} == set(seen)


def test_a_text_without_words_is_refused() -> None:
    """Dots are no words."""
    with pytest.raises(DataUnusable, match="no word in it"):
        text.explain(_classifier(), "...")


def test_the_patch_that_matters_has_the_value() -> None:
    """A model that looks at one corner gives that corner the whole difference, in its place."""
    image = np.zeros((12, 12))
    image[:4, :4] = 1.0

    def corner(shown: NDArray[Any]) -> Any:
        return shown[:, :4, :4].mean(axis=(1, 2))

    patches = images.grid(image.shape, side=3)
    found = images.explain(corner, image, patches=patches, cover=np.zeros_like(image))

    expected = np.zeros((12, 12, 1), dtype=np.float32)
    expected[:4, :4] = 1.0
    assert (found.method, found.is_exact) == ("enumerated", True)
    assert images.in_place(found, patches) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("cover", ["mean", "blur"])
def test_colours_and_classes_are_kept(cover: Any) -> None:
    """An image of bytes is asked about as bytes; several answers each have values that add up, with errors."""
    image = np.random.default_rng(0).integers(0, 255, (28, 28, 3)).astype(np.uint8)
    kinds = set()

    def model(shown: NDArray[Any]) -> Any:
        kinds.add((shown.dtype, shown.shape[1:]))
        return np.tanh(shown.mean(axis=(1, 2)) / 100)

    found = images.explain(model, image, cover=cover, output_names=["red", "green", "blue"], samples=200)

    assert kinds == {(np.dtype(np.uint8), (28, 28, 3))}
    assert found.shape == (1, 49, 3)
    assert found.gap().max() <= 1e-6


def test_other_patches_are_refused() -> None:
    """Patches must have the shape of the image."""
    with pytest.raises(DataUnusable, match=r"the patches: found the shape \(3, 3\)"):
        images.explain(lambda shown: shown.mean(axis=(1, 2)), np.zeros((4, 4)), patches=np.zeros((3, 3), dtype=int))
