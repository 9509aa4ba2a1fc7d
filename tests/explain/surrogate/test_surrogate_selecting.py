"""Moments of a neighbourhood, the columns chosen by them, and the ridge regression on those."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge, lars_path

from nbproof.errors import UnknownName
from nbproof.explain.surrogate.arrays import Numpy
from nbproof.explain.surrogate.moments import Moments, moments
from nbproof.explain.surrogate.selecting import along_lasso_path, heaviest, one_by_one, select, way
from nbproof.explain.surrogate.solving import ridge

ARRAYS = Numpy()


def neighbourhood(
    seed: int = 0, samples: int = 200, features: int = 6
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Columns (samples, features) of ones and noughts, answers (samples,) and weights (samples,)."""
    random = np.random.default_rng(seed)
    columns = (random.random((samples, features)) < 0.4).astype(float)
    columns[0] = 1.0
    answers = np.tanh(columns @ random.normal(size=features)) + 0.1 * random.normal(size=samples)
    return columns, answers, random.random(samples)


def held(columns: NDArray[np.float64], answers: NDArray[np.float64], weights: NDArray[np.float64]) -> Moments:
    shift = np.zeros((1, columns.shape[1]))
    return moments(ARRAYS, columns.T[None], answers[None, :, None], np.sqrt(weights)[None], shift)


def test_moments_are_sums_about_weighted_means() -> None:
    """Every moment is what its definition says."""
    columns, answers, weights = neighbourhood()
    apart = columns - np.average(columns, axis=0, weights=weights)
    off = answers - np.average(answers, weights=weights)

    found = held(columns, answers, weights)

    assert np.allclose(found.gram[0], apart.T @ (apart * weights[:, None]), rtol=0, atol=1e-12)
    assert np.allclose(found.cross[0, :, 0], apart.T @ (off * weights), rtol=0, atol=1e-12)
    assert found.square[0, 0] == pytest.approx(off @ (off * weights), rel=1e-12)
    assert found.column_means[0] == pytest.approx(np.average(columns, axis=0, weights=weights))
    assert found.answer_means[0, 0] == pytest.approx(np.average(answers, weights=weights))


def test_large_answers_that_differ_by_little_keep_their_digits() -> None:
    """A million added to all answers changes the mean and, but for its rounding, nothing else."""
    columns, answers, weights = neighbourhood()

    one, other = held(columns, answers, weights), held(columns, answers + 1e6, weights)

    assert np.allclose(one.cross, other.cross, rtol=0, atol=1e-7)
    assert other.square[0, 0] == pytest.approx(one.square[0, 0], rel=1e-8)
    assert other.answer_means[0, 0] == pytest.approx(one.answer_means[0, 0] + 1e6)


def test_ridge_is_scikit_learn_s() -> None:
    """Coefficients, intercept, R² and the answer at the row, in the order of size, -1 for no column."""
    columns, answers, weights = neighbourhood()
    fit = Ridge(alpha=1.0).fit(columns[:, [4, 1, 3]], answers, sample_weight=weights)
    order = np.argsort(-np.abs(fit.coef_))
    centred = columns[:, [4, 1, 3]] - np.average(columns[:, [4, 1, 3]], axis=0, weights=weights)
    gram = centred.T @ (centred * weights[:, None])
    inverse = np.linalg.inv(gram + np.eye(3))
    residuals = answers - fit.predict(columns[:, [4, 1, 3]])
    noise = (weights * residuals**2).sum() / (len(columns) - 4)
    errors = np.sqrt(noise * np.diag(inverse @ gram @ inverse))

    found = ridge(ARRAYS, held(columns, answers, weights), 0, np.array([[4, -1, 1, 3]]), columns[:1], len(columns))

    assert found.selected[0].tolist() == [*np.array([4, 1, 3])[order], -1]
    assert found.coefficients[0] == pytest.approx([*fit.coef_[order], 0.0], abs=1e-12)
    assert found.intercept[0] == pytest.approx(fit.intercept_, abs=1e-12)
    assert found.r2[0] == pytest.approx(fit.score(columns[:, [4, 1, 3]], answers, weights), abs=1e-12)
    assert found.local[0] == pytest.approx(fit.predict(columns[:1, [4, 1, 3]])[0], abs=1e-12)
    assert found.errors is not None
    assert found.errors[0] == pytest.approx([*errors[order], 0.0], rel=1e-9)


def test_the_heaviest_are_those_of_a_ridge_with_lime_s_small_penalty() -> None:
    """With weights so small that the penalty decides, the order is that of alpha 0.01, and of no other."""
    columns, answers, weights = neighbourhood(seed=3, features=9)
    weights = weights * 2e-4

    def order(alpha: float) -> list[int]:
        fit = Ridge(alpha=alpha).fit(columns, answers, sample_weight=weights)
        return np.argsort(-np.abs(fit.coef_), kind="stable").tolist()

    found = held(columns, answers, weights)

    chosen = heaviest(ARRAYS, found.gram, found.cross[:, :, 0], columns[:1], 9)[0].tolist()
    assert chosen == order(0.01)
    assert chosen != order(0.5)
    assert chosen != order(0.0)


def test_one_by_one_is_the_greedy_search_by_refitting() -> None:
    """Sweeping finds the columns that fitting every candidate finds."""
    columns, answers, weights = neighbourhood(seed=2)
    used: list[int] = []
    for _ in range(4):
        left = [at for at in range(6) if at not in used]
        scores = [
            Ridge(alpha=0.0)
            .fit(columns[:, [*used, at]], answers, weights)
            .score(columns[:, [*used, at]], answers, weights)
            for at in left
        ]
        used.append(left[int(np.argmax(scores))])
    found = held(columns, answers, weights)

    assert one_by_one(ARRAYS, found.gram, found.cross[:, :, 0], 4)[0].tolist() == used


def test_of_columns_that_are_alike_the_first_is_taken_and_the_other_adds_nothing() -> None:
    """A copy and a constant are chosen last, and the gains of the others do not change."""
    columns, answers, weights = neighbourhood(seed=5)
    copied = np.column_stack([columns, columns[:, 2], np.ones(len(columns))])
    plain, more = held(columns, answers, weights), held(copied, answers, weights)

    alone = one_by_one(ARRAYS, plain.gram, plain.cross[:, :, 0], 6)[0].tolist()
    together = one_by_one(ARRAYS, more.gram, more.cross[:, :, 0], 8)[0].tolist()

    assert together[:6] == alone
    assert set(together[6:]) == {6, 7}


def test_the_lasso_path_is_scikit_learn_s_on_the_points_themselves() -> None:
    """From moments, the last point of the path with few enough columns has those of the path from the points."""
    columns, answers, weights = neighbourhood(seed=4)
    roots = np.sqrt(weights)
    apart = (columns - np.average(columns, axis=0, weights=weights)) * roots[:, None]
    off = (answers - np.average(answers, weights=weights)) * roots
    _, _, path = lars_path(apart, off, method="lasso")
    found = held(columns, answers, weights)

    for count in (1, 3, 5):
        wanted = next(np.flatnonzero(step) for step in path.T[::-1] if 0 < len(np.flatnonzero(step)) <= count)
        assert along_lasso_path(found.gram, found.cross[:, :, 0], count, len(columns))[0].tolist() == wanted.tolist()


def test_few_columns_are_added_one_by_one_and_many_taken_by_weight() -> None:
    """ "auto" means what lime means by it; an unknown way is named with the known ones."""
    assert (way("auto", 6), way("auto", 7), way("none", 3)) == ("forward_selection", "highest_weights", "none")
    with pytest.raises(UnknownName, match="no selection is called `all`; known: auto, forward_selection"):
        way("all", 5)


def test_no_selection_takes_every_column() -> None:
    """ "none" uses all columns, whatever number is asked for."""
    columns, answers, weights = neighbourhood()

    found = select(ARRAYS, "none", held(columns, answers, weights), 0, columns[:1], 2, len(columns))

    assert found.tolist() == [[0, 1, 2, 3, 4, 5]]
