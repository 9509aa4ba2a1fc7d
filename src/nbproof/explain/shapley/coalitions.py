"""Coalitions of features, which of them to ask about, and what they are worth.

A coalition is a row of booleans: True where the feature's value is that of the row explained.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

# Points per call of the model; see `pacing.Calls` for slow ones.
POINTS = 8192
# Up to so many coalitions of one size are listed to draw from; of more, they are drawn until they are distinct.
LISTED = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Drawn coalitions (draws, m, features), each of which stands for itself and for its complement.

    Every draw is one of its own, with as many of each size. `stratum` (m,) is the size of the coalition, `of` (m,) how
    many such pairs there are, `drawn` (m,) how many of them were drawn; `weight` (m,) is the kernel's weight of the
    pair over its chance to be drawn.
    """

    masks: NDArray[np.bool_]
    stratum: NDArray[np.int64]
    of: NDArray[np.float64]
    drawn: NDArray[np.int64]
    weight: NDArray[np.float64]


def every(features: int) -> NDArray[np.bool_]:
    """All 2^features coalitions: the i-th holds the features whose bits are set in i."""
    numbers = np.arange(2**features)
    return np.asarray((numbers[:, None] >> np.arange(features)) & 1, dtype=np.bool_)


def drawn_pairs(features: int, pairs: int, rng: np.random.Generator, *, draws: int = 1) -> Pairs:
    """About `pairs` pairs of complementary coalitions by their leverage, equally many of every size; `draws` times.

    Sizes with fewer coalitions than their part are taken whole; within a size none is drawn twice. Musco and Witter,
    "Provably Accurate Shapley Value Estimation via Leverage Score Sampling" (ICLR 2025).
    """
    sizes = np.arange(1, features // 2 + 1)
    # Of a size that is its own complement, every pair would be counted twice.
    of = np.array([comb(features, int(s)) / (2 if 2 * s == features else 1) for s in sizes])
    part = np.where(2 * sizes == features, 0.5, 1.0)
    counts = _allotted(part, of, pairs, rng)
    masks, stratum, chances = [], [], []
    for size, count, total in zip(sizes, counts, of, strict=True):
        if not count:
            continue
        masks.append(np.stack([_of_size(features, int(size), int(count), int(total), rng) for _ in range(draws)]))
        stratum.append(np.full(count, size))
        chances.append(np.full(count, count / total))
    chosen, chance = np.concatenate(stratum), np.concatenate(chances)
    kernel = np.array([(features - 1) / (comb(features, int(s)) * s * (features - s)) for s in chosen])
    return Pairs(np.concatenate(masks, axis=1), chosen, of[chosen - 1], counts[chosen - 1], kernel / chance)


def _allotted(
    part: NDArray[np.float64], of: NDArray[np.float64], pairs: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """How many pairs of each size: in proportion to `part`, at most `of`, and rounded by chance."""
    wanted = np.zeros(len(part))
    left = float(min(pairs, of.sum()))
    while left > 1e-9:
        is_open = wanted < of
        more = np.where(is_open, part, 0.0)
        more *= left / more.sum()
        more = np.minimum(more, of - wanted)
        wanted += more
        left -= float(more.sum())
    counts = np.floor(wanted).astype(np.int64)
    rest = wanted - counts
    spare = round(min(pairs, of.sum()) - counts.sum())
    if spare:
        # Systematic rounding: each size gets one more with a chance of its remainder.
        ticks = np.concatenate([[0.0], np.cumsum(rest)])
        at = np.floor(ticks - rng.random() + 1.0)
        counts += np.diff(at).astype(np.int64)
    return np.minimum(counts, of.astype(np.int64))


def _of_size(features: int, size: int, count: int, total: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """`count` of the `total` coalitions of a size, none twice and none beside its own complement."""
    if total <= LISTED:
        listed = list(combinations(range(features), size))[:total]
        chosen = np.sort(rng.choice(total, count, replace=False)) if count < total else np.arange(total)
        masks = np.zeros((count, features), dtype=np.bool_)
        for at, number in enumerate(chosen):
            masks[at, list(listed[number])] = True
        return masks
    found: dict[bytes, NDArray[np.bool_]] = {}
    while len(found) < count:
        order = np.argpartition(rng.random((count, features)), size - 1, axis=1)[:, :size]
        masks = np.zeros((count, features), dtype=np.bool_)
        np.put_along_axis(masks, order, True, axis=1)
        if 2 * size == features:
            # Of a coalition and its complement the one with the first feature stands for both.
            masks = np.where(masks[:, :1], masks, ~masks)
        for mask in masks:
            if len(found) < count:
                found.setdefault(mask.tobytes(), mask)
    return np.stack(list(found.values()))
