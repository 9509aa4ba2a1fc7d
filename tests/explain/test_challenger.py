"""The glass box beside the model: what opacity buys, on data where the answer is known."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

import numpy as np
import pytest

from nbproof.errors import DataUnusable, ExtraMissing
from nbproof.explain import challenger


def tables(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.random.default_rng(seed).normal(size=(rows, 3))
    return points, np.exp(points[:, 0]) + points[:, 1] ** 2


TRAIN, TEST = tables(300, 0), tables(200, 1)


def test_an_additive_world_needs_no_black_box() -> None:
    """Where the truth is a sum of curves, a noisy model is beaten by the glass box, and the sentence says so."""
    noisy = TEST[1] + np.random.default_rng(2).normal(size=200) * TEST[1].std()

    found = challenger.challenge(*TRAIN, *TEST, noisy, task="regression", bags=2)

    assert found.glass > 0.7
    assert found.high is not None
    assert found.high < 0
    assert found.sentence.startswith("A glass box is better than the model by")


def test_a_model_that_knows_everything_is_worth_it() -> None:
    """A model that foretells classes without an error beats the glass box, by an interval above zero."""
    random = np.random.default_rng(3)
    train, test = random.normal(size=(300, 3)), random.normal(size=(300, 3))
    # Noise that no feature tells: only a model that looks at the answers knows it.
    told, happened = (random.integers(2, size=300) for _ in range(2))

    found = challenger.challenge(train, told, test, happened, happened + 0.0, task="classification", bags=2)

    assert found.model == 1.0
    assert found.glass == pytest.approx(0.5, abs=0.1)
    assert found.low is not None
    assert found.low > 0.3
    assert found.sentence.startswith("The model is better than a glass box by")


def test_the_glass_box_against_itself_cannot_be_told() -> None:
    """The same answers on both sides have a gap of exactly zero, and training again gives the same machine."""
    first = challenger.challenge(*TRAIN, *TEST, TEST[1], task="regression", bags=2)

    again = challenger.challenge(*TRAIN, *TEST, first.glass_box.predict(TEST[0]), task="regression", bags=2)

    assert (again.gap, again.low, again.high) == (0.0, 0.0, 0.0)
    assert again.sentence.startswith("The model cannot be told from a glass box on 200 test rows")


def test_values_that_do_not_fit_are_refused() -> None:
    """Three classes, a missing value and another width each have their one line."""
    ones = np.arange(200) % 3
    with pytest.raises(DataUnusable, match="found the classes 0, 1, 2"):
        challenger.challenge(TRAIN[0], np.arange(300) % 3, TEST[0], ones, TEST[1], task="classification")
    with pytest.raises(DataUnusable, match="the test rows: found 2 columns, expected 3"):
        challenger.challenge(*TRAIN, TEST[0][:, :2], TEST[1], TEST[1], task="regression")
    with pytest.raises(DataUnusable, match="the model values: found a value that is missing"):
        challenger.challenge(*TRAIN, *TEST, np.full(200, np.nan), task="regression")


def test_without_interpret_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where interpret is not installed the error says what to type."""
    found = PathFinder.find_spec
    monkeypatch.delitem(sys.modules, "interpret", raising=False)
    monkeypatch.setattr(
        PathFinder, "find_spec", lambda name, *rest: None if name == "interpret" else found(name, *rest)
    )

    with pytest.raises(ExtraMissing) as missing:
        challenger.challenge(*TRAIN, *TEST, TEST[1], task="regression")
    assert missing.value.hint == "pip install 'nbproof[explain-more]'"
