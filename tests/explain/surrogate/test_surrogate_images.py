"""LIME for pictures beside the real one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from beside_lime import apart, orders, orders_of, read
from numpy.typing import NDArray

from nbproof.errors import DataUnusable
from nbproof.explain.surrogate import images

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lime.lime_image import LimeImageExplainer


def picture(kind: str) -> NDArray[Any]:
    random = np.random.default_rng(3)
    smooth = np.kron(random.random((4, 5, 3)), np.ones((5, 4, 1)))
    return smooth if kind == "float" else (255 * smooth).astype(np.uint8)


def blocks(image: NDArray[Any]) -> NDArray[np.int64]:
    """Six segments, by position."""
    height, width = image.shape[:2]
    return (np.arange(height)[:, None] * 2 // height) * 3 + np.arange(width)[None] * 3 // width


def classes(pictures: Any) -> NDArray[np.float64]:
    """Probabilities of two classes by the left and the lower part of a picture."""
    whole = pictures.astype(float) / (255 if pictures.dtype == np.uint8 else 1)
    score = np.tanh((whole[:, :, :9] ** 2).mean(axis=(1, 2, 3)) * 4 - 1) + whole[:, 5:, :, 0].max(axis=2).mean(axis=1)
    high = 1 / (1 + np.exp(-score))
    return np.stack([1 - high, high], axis=1)


def by_lime(image: NDArray[Any], parts: int, *, seed: int, samples: int, **options: Any) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = []
        for label in range(2):
            explained = LimeImageExplainer(random_state=seed).explain_instance(
                image, classes, labels=(label,), top_labels=None, num_samples=samples, **options
            )
            found.append(read(explained, label, parts))
        return [found]


@pytest.mark.parametrize("kind", ["float", "whole"])
@pytest.mark.parametrize("hidden", [None, 0])
@pytest.mark.parametrize("features", [None, 3])
def test_a_picture_gets_the_numbers_of_lime(kind: str, hidden: float | None, features: int | None) -> None:
    """With the same segments: lime's coefficients, order, intercept, R² and answer, in whole numbers and fractions."""
    image = picture(kind)

    (ours,) = images.explain(
        classes, [image], seed=8, samples=150, segmenting=blocks, hidden=hidden, features=features, unit="probability"
    )
    theirs = by_lime(
        image, 6, seed=8, samples=150, segmentation_fn=blocks, hide_color=hidden, num_features=features or 100_000
    )

    assert apart(ours.explanation, theirs) <= 1e-9
    assert orders(ours.explanation) == orders_of(theirs)


def test_the_segments_are_lime_s_own_where_none_are_given() -> None:
    """Quickshift as lime calls it finds lime's segments, and the numbers are the same."""
    image = np.kron(np.random.default_rng(3).random((3, 3, 3)), np.ones((16, 16, 1)))

    (ours,) = images.explain(classes, [image], seed=8, samples=60, hidden=0.0, unit="probability")
    theirs = by_lime(image, ours.explanation.shape[1], seed=8, samples=60, hide_color=0.0)

    assert ours.explanation.shape[1] > 1
    assert apart(ours.explanation, theirs) <= 1e-9


def test_a_grey_picture_is_explained_in_three_colours() -> None:
    """Two dimensions are greys, as in lime; the shares lie where the segments are."""
    (found,) = images.explain(
        classes, [picture("float")[:, :, 0]], samples=60, segmenting=lambda image: 10 * blocks(image) + 5,
        output_names=("low", "high"),
    )  # fmt: skip

    assert found.explanation.feature_names == tuple(f"segment {at}" for at in range(6))
    assert found.shares("high").shape == (20, 20)
    assert np.array_equal(np.unique(found.segments), np.arange(6))
    assert found.shares("high")[0, 0] == found.explanation.values[0, 0, 1]
    assert found.explanation.data.sum() == 400


def test_a_picture_is_explained_to_the_same_bit_twice() -> None:
    """Same seed, same picture: the same explanation, alone or after another."""
    first = images.explain(classes, [picture("float"), picture("float")[::-1]], samples=60, segmenting=blocks)
    again = images.explain(classes, [picture("float")[::-1]], samples=60, segmenting=blocks)

    assert first[1].explanation.equals(again[0].explanation)


def test_what_is_no_picture_is_refused() -> None:
    """Another shape, and segments of another picture, are refused with what was found."""
    with pytest.raises(DataUnusable, match=r"picture 0: found the shape \(4, 4, 4\)"):
        images.explain(classes, [np.zeros((4, 4, 4))])
    with pytest.raises(DataUnusable, match=r"the segments of picture 0: found the shape \(2, 2\)"):
        images.explain(classes, [picture("float")], segmenting=lambda image: np.zeros((2, 2), dtype=int))
    with pytest.raises(DataUnusable, match="the pictures: found none"):
        images.explain(classes, [])
