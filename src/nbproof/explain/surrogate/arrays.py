"""Where the heavy algebra is done: numpy on the CPU, or torch on a device of its own; the code above is one."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ...errors import UnknownName
from ...extras import is_installed

# An array of numpy or of torch, both of which know `@`, arithmetic, comparison, indexing, `sum` and `argmax`.
Array = Any


class Arrays(Protocol):
    """What numpy and torch spell differently; everything else they share."""

    @property
    def device(self) -> str: ...

    @property
    def xp(self) -> Any:
        """The module with `where`, `exp`, `sqrt`, `clip` and `linalg.solve`."""

    def put(self, array: NDArray[Any]) -> Array: ...

    def get(self, array: Array) -> NDArray[Any]: ...

    def empty(self, *shape: int) -> Array:
        """Room for float64."""

    def copied(self, array: Array) -> Array: ...

    def taken(self, table: Array, index: Array) -> Array:
        """The entries of a one-dimensional table at small whole numbers."""

    def counted(self, claims: Array) -> Array:
        """How many of the claims (rows, features, samples) hold, over the features."""

    def ordered(self, array: Array) -> Array:
        """The positions that sort each row, from the least; equals keep their order."""

    def quantile_of_normal(self, mass: Array) -> Array: ...


@dataclass(frozen=True, slots=True)
class Numpy:
    """Numpy, on the CPU."""

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def xp(self) -> ModuleType:
        return np

    def put(self, array: NDArray[Any]) -> Array:
        return array

    def get(self, array: Array) -> NDArray[Any]:
        return np.asarray(array)

    def empty(self, *shape: int) -> Array:
        return np.empty(shape)

    def copied(self, array: Array) -> Array:
        return array.copy()

    def taken(self, table: Array, index: Array) -> Array:
        return table.take(index)

    def counted(self, claims: Array) -> Array:
        if claims.shape[1] > np.iinfo(np.int8).max:
            return claims.sum(1, dtype=np.int32)
        return claims.view(np.int8).sum(1, dtype=np.int8)

    def ordered(self, array: Array) -> Array:
        return np.argsort(array, axis=1, kind="stable")

    def quantile_of_normal(self, mass: Array) -> Array:
        return ndtri(mass)


@dataclass(frozen=True, slots=True)
class Torch:
    """Torch, in double precision, on the device called `device`."""

    device: str

    @property
    def xp(self) -> Any:
        import torch

        return torch

    def put(self, array: NDArray[Any]) -> Array:
        import torch

        return torch.as_tensor(np.ascontiguousarray(array), device=self.device)

    def get(self, array: Array) -> NDArray[Any]:
        return np.asarray(array.cpu().numpy())

    def empty(self, *shape: int) -> Array:
        import torch

        return torch.empty(shape, dtype=torch.float64, device=self.device)

    def copied(self, array: Array) -> Array:
        return array.clone()

    def taken(self, table: Array, index: Array) -> Array:
        return table[index.long()]

    def counted(self, claims: Array) -> Array:
        return claims.sum(1)

    def ordered(self, array: Array) -> Array:
        import torch

        return torch.argsort(array, dim=1, stable=True)

    def quantile_of_normal(self, mass: Array) -> Array:
        import torch

        return torch.special.ndtri(mass)


def on(device: str | Arrays) -> Arrays:
    """The arrays of `device`: of "cuda" (or "cuda:1", …) where there is one, and otherwise the CPU's.

    Raises `UnknownName` for another device.
    """
    if not isinstance(device, str):
        return device
    if device.split(":")[0] not in ("cpu", "cuda"):
        raise UnknownName("device", device, ("cpu", "cuda"))
    if device.startswith("cuda") and is_installed("torch"):
        import torch

        if torch.cuda.is_available():
            return Torch(device)
    return Numpy()
