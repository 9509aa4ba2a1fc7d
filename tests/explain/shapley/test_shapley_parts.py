"""Words of a text and patches of an image."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import shap
from numpy.typing import NDArray
from shapley_reference import by_definition
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from nbproof.errors import DataUnusable
from nbproof.explain.shapley import images, text

TEXTS = ["a good film", "good, very good", "a bad film", "bad and long", "good cast", "bad cast"]


@lru_cache(1)
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
        return model.decision_function(texts)

    expected = by_definition(shown, np.ones(6), np.zeros((1, 6)))
    assert found.data[0].tolist() == words
    assert (found.output_names, found.complement, found.unit, found.is_exact) == (("-",), "+", "log-odds", True)
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


class _Flat(shap.maskers.Text):
    """shap's masker for texts without its tree of words, so that shap computes Shapley and not Owen values."""

    clustering = None


def _chance(texts: Any) -> Any:
    return _classifier().predict_proba([str(each) for each in texts])[:, 1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("given", ["A good, good film: bad end!", "good-ish"])
@pytest.mark.parametrize("options", [{}, {"mask_token": "[UNK]"}, {"collapse_mask_token": False}], ids=str)
def test_shaps_masker_gives_shaps_own_values_of_words(given: str, options: dict[str, Any]) -> None:
    """With one of shap's maskers the words, the base and the values are those of shap's exact explainer."""
    masker = _Flat(r"\W+", **options)

    found = text.explain(_chance, given, masker=masker, unit="probability")

    expected = shap.explainers.Exact(_chance, masker)([given], silent=True)
    assert found.feature_names == tuple(text._distinct([each.strip() for each in expected.data[0]]))
    assert found.values[0, :, 0] == pytest.approx(expected.values[0], abs=1e-6)
    assert found.base[0, 0] == pytest.approx(float(expected.base_values[0]), abs=1e-6)
    assert found.is_exact
    assert found.settings["masker"] == "_Flat"


@pytest.mark.filterwarnings("ignore")
def test_our_hiding_of_words_gives_the_values_of_shaps() -> None:
    """Where words are cut alike, and the model reads words alone, it is the same whose hiding is used."""
    given = "a good film and a bad end"

    ours = text.explain(_chance, given, hidden="...", unit="probability")

    expected = shap.explainers.Exact(_chance, _Flat(r"\W+"))([given], silent=True)
    assert ours.values[0, :, 0] == pytest.approx(expected.values[0], abs=1e-6)
    assert ours.base[0, 0] == pytest.approx(float(expected.base_values[0]), abs=1e-6)


def _colourful(shown: NDArray[Any]) -> Any:
    flat = shown.reshape(len(shown), -1)
    return np.tanh(flat[:, 0] * flat[:, 1] / 2) + flat[:, 2:].max(axis=1)


@pytest.mark.filterwarnings("ignore")
def test_our_cover_and_shaps_masker_give_shaps_own_values_of_pixels() -> None:
    """Every pixel a patch: our cover, and shap's masker in its place, both have shap's own values."""
    random = np.random.default_rng(0)
    image, cover = random.normal(size=(3, 3, 1)), random.normal(size=(3, 3, 1))
    masker = shap.maskers.Image(cover, image.shape)
    patches = np.arange(9).reshape(3, 3)

    ours = images.explain(_colourful, image, patches=patches, cover=cover)
    theirs = images.explain(_colourful, image, patches=patches, masker=masker)

    masker.clustering = None
    expected = shap.explainers.Exact(_colourful, masker)(image[None], silent=True)
    for found in (ours, theirs):
        assert found.is_exact
        assert images.in_place(found, patches)[:, :, 0] == pytest.approx(expected.values[0, :, :, 0], abs=1e-6)
        assert found.base[0, 0] == pytest.approx(float(expected.base_values[0]), abs=1e-6)
    assert theirs.settings["cover"] == "shap's Image masker"


def test_a_patch_of_shaps_masker_is_all_its_colours() -> None:
    """shap's masker takes each colour of a pixel as a feature; a patch of ours hides and shows all of them."""
    image = np.random.default_rng(1).normal(size=(4, 4, 3))
    cover = np.zeros_like(image)
    patches = images.grid(image.shape, side=2)

    theirs = images.explain(_colourful, image, patches=patches, masker=shap.maskers.Image(cover, image.shape))

    ours = images.explain(_colourful, image, patches=patches, cover=cover)
    assert theirs.values == pytest.approx(ours.values, abs=1e-6)


def test_maskers_of_other_things_are_refused() -> None:
    """A masker that makes numbers of tokens, or images of another shape, is refused by what it makes."""
    numbers = _Flat(r"\W+", output_type="token_ids")
    with pytest.raises(DataUnusable, match="makes no texts"):
        text.explain(_chance, "a good film", masker=numbers)
    with pytest.raises(DataUnusable, match="the masker: found"):
        images.explain(_colourful, np.zeros((4, 4, 3)), masker=shap.maskers.Image(np.zeros((2, 2, 3)), (2, 2, 3)))
