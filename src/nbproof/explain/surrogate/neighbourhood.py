"""The points around a row at which the model is asked, drawn as lime 0.2.0.1 draws them, number for number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.special import ndtr

from .arrays import Array, Arrays
from .discretizing import Bins
from .kernel import Kernel

# The least and the greatest mass whose normal quantile is finite.
LEAST_MASS, GREATEST_MASS = 1e-300, 1.0 - 2.0**-53

# Up to so many levels, comparing with each is faster than searching.
FEW = 12


@dataclass(frozen=True, slots=True)
class Drawn:
    """Random points of D neighbourhoods: `points` (D, samples, features), of which the first is left to the row.

    `levels` (D, features, samples) say which of a feature's levels each point has; without bins only the
    categorical features have any.
    """

    points: NDArray[np.float64]
    levels: Array

    def joined(self, others: Sequence[Drawn], arrays: Arrays) -> Drawn:
        together = [self, *others]
        if not others:
            return self
        levels = np.concatenate([arrays.get(each.levels) for each in together])
        return Drawn(np.concatenate([each.points for each in together]), arrays.put(levels))


@dataclass(frozen=True, slots=True)
class Seen:
    """The columns of a surrogate at every point, less `shift`: `columns` (R, features, samples).

    `own` (R, features) are the rows' own columns, `roots` (R, samples) the roots of the points' weights.
    """

    columns: Array
    own: Array
    roots: Array
    shift: Array


class Sampler(Protocol):
    """Draws the points around rows, and sees them as a surrogate does."""

    @property
    def is_shared(self) -> bool:
        """Whether the points do not depend on the row, so that rows with one seed share their neighbourhood."""

    def draw(self, random: RandomState, samples: int, arrays: Arrays) -> Drawn: ...

    def points(self, drawn: Drawn, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The points (D or R, samples, features) around the rows; the first of each means nothing."""

    def seen(self, drawn: Drawn, rows: NDArray[np.float64], arrays: Arrays, kernel: Kernel) -> Seen: ...


@dataclass(frozen=True, slots=True)
class Levels:
    """The values that a discrete column takes in the training data, ascending, with their cumulated frequencies."""

    values: NDArray[np.float64]
    cumulated: NDArray[np.float64]

    @classmethod
    def of(cls, column: NDArray[np.float64]) -> Levels:
        values, counts = np.unique(column, return_counts=True)
        cumulated = np.cumsum(counts / float(counts.sum()))
        return cls(values, cumulated / cumulated[-1])

    def drawn(self, uniforms: NDArray[np.float64]) -> NDArray[np.signedinteger[Any]]:
        """Which value each uniform number means: what RandomState.choice(values, p=frequencies) does with it."""
        if len(self.values) > FEW:
            return np.searchsorted(self.cumulated, uniforms, side="right")
        found = np.zeros(uniforms.shape, dtype=np.int8)
        for mass in self.cumulated[:-1]:
            found += (uniforms >= mass).view(np.int8)
        return found

    def holding(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Which level each value is, -1 for one that the training data does not have."""
        at = np.minimum(np.searchsorted(self.values, values), len(self.values) - 1)
        return np.where(self.values[at] == values, at, -1)


@dataclass(frozen=True, slots=True)
class Truncated:
    """The values of continuous features within their bins: normals cut at the ends of the bin, from tables.

    The tables are of all levels of these features, one feature behind the other, from `starts` on. `mass_below` and
    `mass_within` belong to the tail in which the quantile keeps its digits; `sign` turns it the right way round.
    Where a bin has one value only, `is_point`, the value is `means` itself and no random number is used up.
    """

    starts: NDArray[np.int64]
    mass_below: NDArray[np.float64]
    mass_within: NDArray[np.float64]
    sign: NDArray[np.float64]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    is_point: NDArray[np.bool_]

    @classmethod
    def of(cls, bins: Sequence[Bins], levels: Sequence[Levels], *, fix_point_mass: bool) -> Truncated:
        """The tables of the bins that occur.

        lime 0.2.0.1 asks for the standardised value of a bin with one value as if it were the value itself; that is
        what happens here, too, unless `fix_point_mass`.
        """
        parts = [
            np.stack([each.lows, each.highs, each.means, each.deviations])[:, level.values.astype(np.int64)]
            for each, level in zip(bins, levels, strict=True)
        ]
        low, high, means, deviations = np.concatenate(parts, axis=1) if parts else np.zeros((4, 0))
        from_mean, to_mean = (low - means) / deviations, (high - means) / deviations
        is_point = from_mean == to_mean
        sign = np.where(from_mean < 0, 1.0, -1.0)
        mass_below, mass_above = ndtr(sign * from_mean), ndtr(sign * to_mean)
        starts = np.cumsum([0, *(len(each.values) for each in levels)])[:-1]
        point = low if fix_point_mass else from_mean
        return cls(
            starts=starts,
            mass_below=mass_below,
            mass_within=mass_above - mass_below,
            sign=sign,
            means=np.where(is_point, point, means),
            deviations=np.where(is_point, 0.0, deviations),
            is_point=is_point,
        )

    def drawn(self, levels: NDArray[np.signedinteger[Any]], random: RandomState, arrays: Arrays) -> NDArray[np.float64]:
        """A value for each level in (features, points)."""
        at = levels + self.starts[:, None]
        if self.is_point.any():
            uniforms = np.zeros(at.shape)
            for feature, counted in enumerate(~self.is_point[at]):
                uniforms[feature, counted] = random.random_sample(int(counted.sum()))
        else:
            uniforms = random.random_sample(at.shape)
        index, xp = arrays.put(at), arrays.xp
        mass = arrays.put(uniforms)
        mass *= arrays.taken(arrays.put(self.mass_within), index)
        mass += arrays.taken(arrays.put(self.mass_below), index)
        found = arrays.quantile_of_normal(xp.clip(mass, LEAST_MASS, GREATEST_MASS))
        if (self.sign < 0).any():
            found *= arrays.taken(arrays.put(self.sign), index)
        found *= arrays.taken(arrays.put(self.deviations), index)
        found += arrays.taken(arrays.put(self.means), index)
        return arrays.get(found)


@dataclass(frozen=True, slots=True)
class Binned:
    """With bins: a column of the surrogate says whether a point is in the row's bin, or of its category.

    The points do not depend on the row.
    """

    levels: tuple[Levels, ...]
    bins: Mapping[int, Bins]
    truncated: Truncated

    @classmethod
    def of(cls, training: NDArray[np.float64], bins: Mapping[int, Bins], *, fix_point_mass: bool = False) -> Binned:
        """Bins and categories as often as they occur in the training data (rows, features)."""
        levels = tuple(
            Levels.of(bins[at].holding(column).astype(np.float64) if at in bins else column)
            for at, column in enumerate(training.T)
        )
        own = [levels[at] for at in bins]
        return cls(levels, bins, Truncated.of(tuple(bins.values()), own, fix_point_mass=fix_point_mass))

    @property
    def is_shared(self) -> bool:
        return True

    def draw(self, random: RandomState, samples: int, arrays: Arrays) -> Drawn:
        uniforms = random.random_sample((len(self.levels), samples))
        drawn = np.empty(uniforms.shape, dtype=self._kind)
        # Feature by feature; turned into rows in one go, which is faster than writing into columns.
        values = np.zeros(uniforms.shape)
        for at, level in enumerate(self.levels):
            drawn[at] = level.drawn(uniforms[at])
            if at not in self.bins:
                values[at] = level.values[drawn[at]]
        within = list(self.bins)
        values[within, 1:] = self.truncated.drawn(drawn[within, 1:], random, arrays)
        return Drawn(np.ascontiguousarray(values.T)[None], arrays.put(drawn[None]))

    def points(self, drawn: Drawn, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return drawn.points

    def seen(self, drawn: Drawn, rows: NDArray[np.float64], arrays: Arrays, kernel: Kernel) -> Seen:
        own = arrays.put(self.holding(rows).astype(self._kind))
        same = drawn.levels == own[:, :, None]
        same[:, :, 0] = True
        table = arrays.put(kernel.table(len(self.levels)))
        roots = arrays.taken(table, arrays.counted(same))
        return Seen(same, arrays.put(np.ones(rows.shape)), roots, arrays.put(np.zeros(rows.shape)))

    def holding(self, rows: NDArray[np.float64]) -> NDArray[np.int64]:
        """Which level of each feature the rows have, -1 for one that the training data does not have."""
        return np.stack(
            [
                level.holding(self.bins[at].holding(column).astype(np.float64) if at in self.bins else column)
                for at, (level, column) in enumerate(zip(self.levels, rows.T, strict=True))
            ],
            axis=1,
        )

    def misplaced(self) -> list[tuple[int, float, float, float]]:
        """Bins of one value at which the model is asked elsewhere: the feature, how often, where, and the value."""
        found = []
        for start, (at, bins) in zip(self.truncated.starts, self.bins.items(), strict=True):
            shares = np.diff(self.levels[at].cumulated, prepend=0.0)
            for place, level in enumerate(self.levels[at].values.astype(np.int64)):
                asked, value = float(self.truncated.means[start + place]), float(bins.lows[level])
                if self.truncated.is_point[start + place] and asked != value:
                    found.append((at, float(shares[place]), asked, value))
        return found

    @property
    def _kind(self) -> type[Any]:
        most = max(len(each.values) for each in self.levels)
        return np.int8 if most <= np.iinfo(np.int8).max else np.int32


@dataclass(frozen=True, slots=True)
class Standardised:
    """Without bins: points from a normal with the training data's deviations, around its means or around the row.

    A column of the surrogate is the standardised value; of a categorical feature, whether it is the row's. `spread` is
    how far points are drawn, `deviations` what values are divided by: for a constant column lime takes 1 for both.
    """

    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    spread: NDArray[np.float64]
    levels: Mapping[int, Levels]
    around_row: bool

    @classmethod
    def of(
        cls,
        training: NDArray[np.float64],
        categorical: Sequence[int],
        *,
        around_row: bool,
        fix_point_mass: bool = False,
    ) -> Standardised:
        """Means and deviations as scikit-learn's StandardScaler takes them, which leaves constant columns unscaled.

        With `fix_point_mass` the points keep the value of a constant column.
        """
        means, deviations = scaled_by(training)
        spread = np.where(np.ptp(training, axis=0) == 0.0, 0.0, deviations) if fix_point_mass else deviations
        for at in categorical:
            means[at], deviations[at] = 0.0, 1.0
        return cls(means, deviations, spread, {at: Levels.of(training[:, at]) for at in categorical}, around_row)

    @property
    def is_shared(self) -> bool:
        return not self.around_row

    def draw(self, random: RandomState, samples: int, arrays: Arrays) -> Drawn:
        points = random.normal(0, 1, samples * len(self.means)).reshape(samples, len(self.means))
        if not self.around_row:
            points = points * self.spread + self.means
        drawn = np.zeros((len(self.levels), samples), dtype=np.int64)
        for place, (at, level) in enumerate(self.levels.items()):
            drawn[place] = level.drawn(random.random_sample(samples))
            points[:, at] = level.values[drawn[place]]
        return Drawn(points[None], arrays.put(drawn[None]))

    def points(self, drawn: Drawn, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.around_row:
            return drawn.points
        points = drawn.points * self.spread + rows[:, None, :]
        points[:, :, list(self.levels)] = drawn.points[:, :, list(self.levels)]
        return points

    def seen(self, drawn: Drawn, rows: NDArray[np.float64], arrays: Arrays, kernel: Kernel) -> Seen:
        points = np.broadcast_to(self.points(drawn, rows), (len(rows), *drawn.points.shape[1:])).copy()
        points[:, 0] = rows
        columns = arrays.put((points - self.means) / self.deviations).swapaxes(1, 2)
        own = (rows - self.means) / self.deviations
        for place, (at, level) in enumerate(self.levels.items()):
            same = drawn.levels[:, place] == arrays.put(level.holding(rows[:, at]))[:, None]
            same[:, 0] = True
            columns[:, at] = same
            own[:, at] = 1.0
        own_there = arrays.put(own)
        apart = columns - own_there[:, :, None]
        roots = kernel.roots(arrays, (apart * apart).sum(1))
        if not self.around_row:
            return Seen(columns, own_there, roots, arrays.put(np.zeros(own.shape)))
        # Points around an outlying row are far from nought and near one another; their products would lose digits.
        return Seen(apart, own_there, roots, own_there)


def scaled_by(training: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of each column and what lime divides it by."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(with_mean=False).fit(training)
    return np.array(scaler.mean_), np.array(scaler.scale_)
