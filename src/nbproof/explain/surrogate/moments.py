"""The weighted second moments of neighbourhoods: all that a linear model on them needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from .arrays import Array, Arrays

# Answers that differ by no more than this share of their size are the same but for rounding.
NOISE = 1e-13


@dataclass(frozen=True, slots=True)
class Moments:
    """Of R neighbourhoods with F columns and K outputs, about their weighted means.

    `gram` (R, F, F) and `cross` (R, F, K) are sums of weighted products, `square` (R, K) those of the answers alone,
    zero where the model answers the same everywhere; `column_means` (R, F) and `answer_means` (R, K).
    """

    gram: Array
    cross: Array
    square: Array
    column_means: Array
    answer_means: Array


def moments(arrays: Arrays, columns: Array, answers: Array, roots: Array, shift: Array) -> Moments:
    """The moments of `columns` (R, F, samples) and `answers` (R, samples, K); `roots` (R, samples) are of the weights.

    `shift` (R, F) is what was taken from the columns; only their means know it.
    """
    count, features, samples = columns.shape
    outputs = answers.shape[2]
    weights = roots * roots
    total = weights.sum(1)
    # About their mean before they are multiplied, since answers may be large and differ by little.
    means = (weights[:, None, :] @ answers)[:, 0] / total[:, None]
    apart = answers - means[:, None, :]
    # One product of a matrix with itself gives every sum, and BLAS computes half of it.
    joint = arrays.empty(count, features + 1 + outputs, samples)
    joint[:, :features] = columns
    joint[:, :features] *= roots[:, None, :]
    joint[:, features] = roots
    joint[:, features + 1 :] = (apart * roots[:, :, None]).swapaxes(1, 2)
    sums = joint @ joint.swapaxes(1, 2)
    columns_sum, answers_sum = sums[:, :features, features], sums[:, features, features + 1 :]
    centre = columns_sum / total[:, None]
    xp = arrays.xp
    flat = xp.amax(abs(answers - answers[:, :1]), 1) <= NOISE * xp.amax(abs(answers), 1)
    square = sums.diagonal(0, 1, 2)[:, features + 1 :] - answers_sum**2 / total[:, None]
    return Moments(
        gram=sums[:, :features, :features] - columns_sum[:, :, None] * centre[:, None, :],
        cross=sums[:, :features, features + 1 :] - centre[:, :, None] * answers_sum[:, None, :],
        square=xp.where(flat, 0.0, square),
        column_means=centre + shift,
        answer_means=means + answers_sum / total[:, None],
    )
