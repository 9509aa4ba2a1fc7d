"""How much a perturbed point weighs by its distance from the row: lime's exponential kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, Arrays


@dataclass(frozen=True, slots=True)
class Kernel:
    """The weight √exp(-d²/width²) at the distance d (Ribeiro et al. 2016, as lime 0.2.0.1 computes it)."""

    width: float

    @classmethod
    def for_columns(cls, columns: int) -> Kernel:
        """Lime's own choice for a table: three quarters of the root of the number of columns."""
        return cls(float(np.sqrt(columns) * 0.75))

    def roots(self, arrays: Arrays, squared: Array) -> Array:
        """The root of the weight at each squared distance; what is multiplied by it counts with the weight, squared."""
        xp = arrays.xp
        return xp.sqrt(xp.sqrt(xp.exp(-squared / self.width**2)))

    def table(self, columns: int) -> NDArray[np.float64]:
        """The root of the weight where 0, 1, … of `columns` yes-or-no columns agree with the row."""
        differing = np.arange(columns, -1.0, -1.0)
        return np.asarray(np.sqrt(np.sqrt(np.exp(-differing / self.width**2))))
