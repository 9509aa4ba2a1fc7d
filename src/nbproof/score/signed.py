"""A packaged model with its signature: each row is held against it, as the service does, a column at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataUnusable
from ..serve.network import Network
from ..serve.package import read
from ..serve.rows import RowsRefused
from ..serve.signature import Input, Signature
from .columns import Form, Missing
from .device import Device
from .estimator import Estimator
from .scorer import Pending, named


class Signed:
    """The scorer of a packaged model, which is only asked about rows that its signature allows."""

    form: Form = "frame"
    missing: Missing = "pass"
    is_stateless = False

    def __init__(self, signature: Signature, inner: Estimator | Served, model: str) -> None:
        self._signature, self._inner, self._model = signature, inner, model
        self.features = tuple(each.name for each in signature.inputs)
        self.outputs, self.dtype, self.answer_dtype = inner.outputs, inner.dtype, inner.answer_dtype

    @classmethod
    def read(cls, folder: Path, device: Device, *, name: str, model: str, runs_code: bool = False) -> Signed:
        """The packaged model in a folder. Raises `ModelRefused` when it is not whole, or not what it says.

        So it does for a model that runs code when it is loaded, unless somebody vouches for that (`runs_code`).
        """
        found = read(folder).load(runs_code=runs_code)
        if isinstance(found.estimator, Network):
            return cls(found.signature, Served(found.estimator, name), model)
        names = [each.name for each in found.signature.inputs]
        return cls(found.signature, Estimator(found.estimator, names, device, name=name, model=model), model)

    def block(self, rows: int) -> NDArray[Any]:
        return np.empty((rows, 0))

    def begin(self, rows: Any) -> Pending:
        import pandas as pd

        columns = {each.name: _checked(each, rows[each.name], self._model) for each in self._signature.inputs}
        return self._inner.begin(pd.DataFrame(columns))


class Served:
    """A network as the service asks it: the same numbers, for the same rows."""

    answer_dtype = np.dtype("float64")

    def __init__(self, network: Network, name: str) -> None:
        self._network, self.dtype, self.outputs = network, network.dtype, named(["1"], name)

    def begin(self, rows: Any) -> Pending:
        """Answer rows of a frame."""
        try:
            found = self._network.predict_proba(rows.to_numpy(dtype=np.float64))[:, 1]
        except RowsRefused as error:
            raise DataUnusable("the rows", error.problems[0][1], "smaller numbers") from None
        return Pending(lambda: found)


def _checked(field: Input, column: Any, model: str) -> Any:
    """A column as the signature spells it; raises `DataUnusable` for the first value that it does not allow."""
    holes = column.isna().to_numpy()
    if holes.any() and not field.nullable:
        raise _unfit(field, model, "nothing", f"a value in every row (row {int(holes.argmax())} of the batch)")
    held = column[~holes]
    kind = held.dtype.kind
    wanted = {"integer": "iuf", "number": "iuf", "boolean": "b", "string": "OTU"}[field.type]
    if len(held) and kind not in wanted:
        raise _unfit(field, model, str(held.dtype), field.type)
    if field.type == "integer" and kind == "f" and not (np.mod(held, 1) == 0).all():
        raise _unfit(field, model, "a fraction", "whole numbers")
    if field.type == "number" and kind == "f" and not np.isfinite(held).all():
        raise _unfit(field, model, "infinity", "finite numbers")
    low = -np.inf if field.minimum is None else field.minimum
    high = np.inf if field.maximum is None else field.maximum
    if field.type in ("integer", "number") and not held.between(low, high).all():
        raise _unfit(field, model, f"{held[~held.between(low, high)].iloc[0]}", f"{low:g} to {high:g}")
    if field.categories and not held.isin(field.categories).all():
        odd = held[~held.isin(field.categories)].iloc[0]
        raise _unfit(field, model, f"{odd}", f"one of {', '.join(map(str, field.categories))}")
    if field.type == "number" or (field.type == "integer" and field.nullable):
        return column.astype(float)
    return column.astype("int64") if field.type == "integer" else column


def _unfit(field: Input, model: str, found: str, expected: str) -> DataUnusable:
    return DataUnusable(
        f"the column `{field.name}`", found, f"{expected}, as the signature of {model} says",
        hint="nbproof score scores what the service would; look at the rows that do not fit",
    )  # fmt: skip
