"""An explanation: attributions of some rows with base value and unit, as plain arrays that say where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import UnknownName
from ..records import ContentHash

Unit = Literal["probability", "log-odds", "raw"]
UNITS: tuple[Unit, ...] = get_args(Unit)

Index = int | str | slice | Sequence[int] | Sequence[str] | NDArray[Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an explanation cost: rows the model was asked about, CPU seconds of this process, seconds by the clock."""

    model_rows: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.model_rows + other.model_rows, self.cpu_s + other.cpu_s, self.wall_s + other.wall_s)


@dataclass(frozen=True, slots=True)
class Origins:
    """The SHA-256 of what was explained and with what; None where there is none or it cannot be known.

    A model's hash is that of its fitted state: a plain function has none, since nothing tells what it does.
    """

    model: ContentHash | None = None
    data: ContentHash | None = None
    background: ContentHash | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Surrogate:
    """The local linear models behind a LIME explanation; float64, `rows` by `outputs`.

    `coefficients` (rows, features, outputs) are zero where a feature was not selected; `selected` (rows, outputs, K)
    are indices of the selected features from the largest coefficient to the smallest, -1 where there are fewer than K.
    `r2` is the weighted R² on the neighbourhood, `local` the surrogate's own answer at the row, `predicted` the
    model's. `bins` (rows, features) tells into which bin of `bin_names` a value fell, -1 where a feature has no bins;
    with bins a coefficient speaks of "being in this bin", without of the standardised value.
    """

    coefficients: NDArray[np.float64]
    intercept: NDArray[np.float64]
    r2: NDArray[np.float64]
    local: NDArray[np.float64]
    predicted: NDArray[np.float64]
    selected: NDArray[np.int64]
    bins: NDArray[np.int64]
    bin_names: tuple[tuple[str, ...], ...] = ()

    def taken(self, rows: Any, outputs: Any) -> Surrogate:
        """The surrogates of some rows and outputs; all features stay, since they were fitted together."""

        def cut(array: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(array[rows][:, outputs])

        return replace(
            self,
            coefficients=self.coefficients[rows][:, :, outputs],
            intercept=cut(self.intercept),
            r2=cut(self.r2),
            local=cut(self.local),
            predicted=cut(self.predicted),
            selected=cut(self.selected),
            bins=self.bins[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why a model answered as it did: for each row, feature and output a share of the answer.

    `values` (rows, features, outputs), float32, in `unit`; `base` (rows, outputs), float64, is the answer before any
    feature is known, `prediction` (rows, outputs) the model's own answer in the same unit. For a Shapley explanation
    `base + values.sum(features)` is the prediction, up to `gap()`.

    A binary classifier has one output, its second class; `complement` names the first, whose shares are the negative
    ones (see `of`). `data` (rows, features) holds the values explained, as text where a feature is categorical.
    `error` (rows, features, outputs) are standard errors of sampled values, None where nothing was sampled;
    `is_exact` says that the values are the method's own, without sampling. `seed` is None where nothing is random.
    `notes` are sentences that a reader must know. `settings` are the method's, as JSON values.
    """

    values: NDArray[np.float32]
    base: NDArray[np.float64]
    prediction: NDArray[np.float64]
    data: NDArray[Any]
    feature_names: tuple[str, ...]
    output_names: tuple[str, ...]
    unit: Unit
    method: str
    is_exact: bool = False
    complement: str | None = None
    feature_units: tuple[str, ...] = ()
    seed: int | None = None
    error: NDArray[np.float32] | None = None
    surrogate: Surrogate | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cost: Cost = Cost()
    origins: Origins = Origins()

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.dtype != np.float32:
            raise ValueError(
                f"values must be float32 (rows, features, outputs): {self.values.dtype} {self.values.shape}"
            )
        rows, features, outputs = self.values.shape
        wanted: dict[str, tuple[int, ...]] = {
            "base": (rows, outputs),
            "prediction": (rows, outputs),
            "data": (rows, features),
        }
        if self.error is not None:
            wanted["error"] = self.values.shape
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have the shape {shape}: {getattr(self, name).shape}")
        if not self.feature_units:
            object.__setattr__(self, "feature_units", ("",) * features)
        for name, length in (("feature_names", features), ("feature_units", features), ("output_names", outputs)):
            if len(getattr(self, name)) != length:
                raise ValueError(f"{name} must name {length}: {getattr(self, name)}")
        if len(set(self.feature_names)) != features or len(set(self.output_names)) != outputs:
            raise ValueError("names of features and of outputs must be distinct")
        if self.unit not in UNITS:
            raise ValueError(f"unknown unit {self.unit!r}; expected one of {', '.join(UNITS)}")
        if self.complement is not None and outputs != 1:
            raise ValueError("only an explanation with one output has a complement")
        object.__setattr__(self, "settings", _as_json(self.settings))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, features, outputs."""
        rows, features, outputs = self.values.shape
        return rows, features, outputs

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Index | tuple[Index, ...]) -> Explanation:
        """Some rows, features and outputs, in this order; features and outputs by name or by position.

        No axis is dropped: one row stays an explanation of one row. Where features are left out, their shares are
        added to `base`, so that the parts still add up to the prediction.

        Raises `UnknownName` for a name that there is not, `IndexError` for a position that there is not.
        """
        given: tuple[Any, ...] = index if isinstance(index, tuple) else (index,)
        if len(given) > 3:
            raise IndexError(f"an explanation has 3 axes (rows, features, outputs), got {len(given)} indices")
        rows_at, features_at, outputs_at = [*given, slice(None), slice(None)][:3]
        rows = _positions(rows_at, len(self), ())
        features = _positions(features_at, self.shape[1], self.feature_names, "feature")
        outputs = _positions(outputs_at, self.shape[2], self.output_names, "output")
        values = self.values[np.ix_(rows, features, outputs)]
        base = self.base[np.ix_(rows, outputs)]
        left_out = np.setdiff1d(np.arange(self.shape[1]), features)
        if len(left_out):
            base = base + self.values[np.ix_(rows, left_out, outputs)].sum(axis=1, dtype=np.float64)
        whole = len(features) == self.shape[1] and (features == np.arange(self.shape[1])).all()
        return replace(
            self,
            values=values,
            base=base,
            prediction=self.prediction[np.ix_(rows, outputs)],
            data=self.data[np.ix_(rows, features)],
            feature_names=tuple(self.feature_names[at] for at in features),
            feature_units=tuple(self.feature_units[at] for at in features),
            output_names=tuple(self.output_names[at] for at in outputs),
            complement=self.complement if len(outputs) else None,
            error=None if self.error is None else self.error[np.ix_(rows, features, outputs)],
            surrogate=self.surrogate.taken(rows, outputs) if self.surrogate is not None and whole else None,
        )

    def of(self, output: str) -> Explanation:
        """The explanation of one output by name; the first class of a binary classifier, too."""
        if output == self.complement:
            return self._complemented()
        known = (*self.output_names, *((self.complement,) if self.complement is not None else ()))
        if output not in self.output_names:
            raise UnknownName("output", output, known)
        return self[:, :, output]

    def total(self) -> NDArray[np.float64]:
        """What base and shares add up to, (rows, outputs)."""
        return np.asarray(self.base + self.values.sum(axis=1, dtype=np.float64))

    def gap(self) -> NDArray[np.float64]:
        """The completeness gap |base + Σ shares − prediction|, (rows, outputs), in `unit`.

        For a surrogate, whose coefficients never promised to add up to the prediction, it is the distance between
        the surrogate's own answer and the model's.
        """
        return np.asarray(np.abs(self.total() - self.prediction))

    def importance(self) -> NDArray[np.float64]:
        """The mean absolute share of each feature, (features, outputs); of no rows it is zero."""
        if not len(self):
            return np.zeros(self.values.shape[1:])
        return np.asarray(np.abs(self.values).mean(axis=0, dtype=np.float64))

    def equals(self, other: Explanation) -> bool:
        """Whether both say the same, bit by bit, and of the same; what they cost may differ."""
        return all(
            _same(getattr(self, each.name), getattr(other, each.name)) for each in fields(self) if each.name != "cost"
        )

    def _complemented(self) -> Explanation:
        """A binary classifier's first class: p becomes 1 − p, and a margin its negative."""
        assert self.complement is not None
        whole = 1.0 if self.unit == "probability" else 0.0
        surrogate = self.surrogate
        if surrogate is not None:
            surrogate = replace(
                surrogate,
                coefficients=-surrogate.coefficients,
                intercept=whole - surrogate.intercept,
                local=whole - surrogate.local,
                predicted=whole - surrogate.predicted,
            )
        return replace(
            self,
            values=-self.values,
            base=whole - self.base,
            prediction=whole - self.prediction,
            output_names=(self.complement,),
            complement=self.output_names[0],
            surrogate=surrogate,
        )


def joined(parts: Sequence[Explanation]) -> Explanation:
    """The rows of several explanations by the same method of the same model, one below the other.

    Raises `ValueError` where they differ in anything but their rows.
    """
    if not parts:
        raise ValueError("nothing to join")
    first = parts[0]
    alike = (
        "feature_names",
        "feature_units",
        "output_names",
        "unit",
        "method",
        "is_exact",
        "complement",
        "seed",
        "settings",
    )
    for part in parts[1:]:
        for name in alike:
            if getattr(part, name) != getattr(first, name):
                raise ValueError(f"{name} differs: {getattr(first, name)!r} and {getattr(part, name)!r}")
        if part.origins.model != first.origins.model or part.origins.background != first.origins.background:
            raise ValueError("the parts come from different models or backgrounds")
    errors = [part.error for part in parts]
    surrogates = [part.surrogate for part in parts]
    return replace(
        first,
        values=np.concatenate([part.values for part in parts]),
        base=np.concatenate([part.base for part in parts]),
        prediction=np.concatenate([part.prediction for part in parts]),
        data=np.concatenate([part.data for part in parts]),
        error=None
        if any(each is None for each in errors)
        else np.concatenate([each for each in errors if each is not None]),
        surrogate=_joined_surrogates([each for each in surrogates if each is not None]) if all(surrogates) else None,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        cost=sum((part.cost for part in parts), Cost()),
        origins=replace(first.origins, data=None),
    )


def _joined_surrogates(parts: Sequence[Surrogate]) -> Surrogate:
    arrays = [each.name for each in fields(Surrogate) if each.name != "bin_names"]
    held: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays}
    return replace(parts[0], **held)


def _positions(at: Index, length: int, names: tuple[str, ...], kind: str = "row") -> NDArray[np.int64]:
    """The positions on one axis that an index means."""
    if isinstance(at, str):
        at = [at]
    if isinstance(at, np.ndarray) and at.dtype.kind in "OUT":
        at = at.tolist()
    if isinstance(at, slice):
        return np.arange(length)[at]
    if isinstance(at, int | np.integer):
        at = [int(at)]
    if isinstance(at, list | tuple) and at and all(isinstance(each, str) for each in at):
        for each in at:
            if each not in names:
                raise UnknownName(kind, str(each), names)
        return np.array([names.index(each) for each in at if isinstance(each, str)], dtype=np.int64)
    return np.asarray(np.arange(length)[np.asarray(at, dtype=None if len(at) else np.int64)])


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a file would give them back. Raises `ValueError` for what JSON cannot hold."""
    try:
        held: dict[str, Any] = json.loads(json.dumps(dict(settings), default=_plain, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"settings must be JSON values: {error}") from error
    return held


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is none")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
            return False
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype == object:
            return all(a == b or (a != a and b != b) for a, b in zip(one.flat, other.flat, strict=True))
        return one.tobytes() == other.tobytes()
    if isinstance(one, Surrogate) and isinstance(other, Surrogate):
        return all(_same(getattr(one, each.name), getattr(other, each.name)) for each in fields(Surrogate))
    return bool(one == other)
