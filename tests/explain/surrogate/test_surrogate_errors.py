"""Standard errors of LIME's coefficients: they foretell how far other seeds move them."""

from __future__ import annotations

import numpy as np

from nbproof.explain.question import Question, ask
from nbproof.explain.surrogate import tabular

TRAINING = np.random.default_rng(0).normal(size=(400, 4))


def curved(rows: np.ndarray) -> np.ndarray:
    return np.tanh(rows[:, 0]) + 0.5 * rows[:, 1] * rows[:, 2]


def question() -> Question:
    return ask(curved, TRAINING[:8], background=TRAINING)


def test_errors_are_as_large_as_what_other_seeds_change() -> None:
    """Over sixty seeds a coefficient spreads as its standard error says, within the factor that weights allow."""
    asked = question()
    found = [tabular.explain(asked, seed=seed, samples=800, features=None) for seed in range(60)]

    spread = np.std([each.values for each in found], axis=0, ddof=1)
    foretold = np.mean([each.error for each in found if each.error is not None], axis=0)
    ratio = spread / foretold

    assert 0.7 < np.median(ratio) < 1.4
    assert (ratio > 0.4).all()
    assert (ratio < 2.5).all()


def test_errors_shrink_with_the_root_of_the_samples() -> None:
    """Four times as many points halve them."""
    few, many = (tabular.explain(question(), samples=samples, features=None).error for samples in (2000, 8000))

    assert few is not None
    assert many is not None
    assert np.allclose(np.median(few / many), 2.0, atol=0.2)


def test_what_is_not_selected_has_no_error() -> None:
    """A feature that was left out has neither a coefficient nor an error."""
    found = tabular.explain(question(), features=2)

    assert found.error is not None
    assert ((found.error > 0) == (found.values != 0)).all()
    assert ((found.error > 0).sum(axis=1) == 2).all()
