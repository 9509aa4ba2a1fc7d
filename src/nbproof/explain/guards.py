"""Guards: what would make an explanation say something wrong, found before a number is shown.

| what is found | then |
|---|---|
| shares that claim to be exact and do not add up | refused |
| shares in different units side by side, or of different features, outputs or rows | refused |
| a background that is one row over and over, or of which half or more is the explained row | refused |
| a regularised fit that dropped features beyond a number (l1) | refused |
| a background that contains an explained row, or is a single row | a caution |
| a column with a point mass, where lime asks the model about values that no row has | a caution |
| a column of two or a few whole numbers that LIME takes for continuous | a caution |
| one class shown of a model with many | a caution |
| values outside the range of the background or the training data | a caution |
| sampled or approximate shares that do not add up | a caution |

What is refused is wrong for certain. What gets a caution may be meant: a reader must know it, and decides. Under
`strict` a caution is a refusal, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ExplanationRefused, UnknownName
from .explanation import Explanation
from .metrics import completeness
from .question import Question

# A whole-numbered column with so few values stands for kinds of things more often than for an amount.
FEW_VALUES = 10
# Shares of an exact method may miss the answer by rounding alone, an approximation's by a hundredth (of the spread).
EXACT_GAP, NEAR_GAP = 1e-3, 1e-2
# lime's and shap's default number of features, beyond which a regularised fit is silent.
KEPT = 10


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that a reader must know before reading a number. `check` names the guard, `feature` the column."""

    check: str
    sentence: str
    feature: str | None = None


def before_shap(question: Question, *, strict: bool = False) -> tuple[Caution, ...]:
    """Look at rows and background before Shapley values are computed. Raises `ExplanationRefused`."""
    if question.background is None:
        return ()
    names = question.schema.names
    found = [
        *check_thinness(question.background),
        *check_leakage(question.rows, question.background),
        *check_range(question.rows, question.background, names),
    ]
    return _judged(found, strict)


def before_lime(
    question: Question,
    *,
    categorical: Sequence[int | str] = (),
    fix_point_mass: bool = False,
    discretizer: str | None = "quartile",
    strict: bool = False,
) -> tuple[Caution, ...]:
    """Look at rows and training data before LIME perturbs them; `categorical` are columns declared beside the schema's.

    Raises `ExplanationRefused`, `DataUnusable` where there is no training data, `UnknownName` for an unknown column.
    """
    training = question.needs_background("LIME")
    names = question.schema.names
    declared = {*question.schema.categorical, *(_position(each, names) for each in categorical)}
    continuous = [at for at in range(len(names)) if at not in declared]
    found = [
        *check_thinness(training),
        *check_undeclared(training, names, continuous),
        *(check_point_masses(training, names, continuous) if discretizer is not None and not fix_point_mass else ()),
        *check_range(question.rows, training, names),
    ]
    return _judged(found, strict)


def before_showing(
    explanation: Explanation, *, model_outputs: Sequence[str] = (), strict: bool = False
) -> tuple[Caution, ...]:
    """Look at an explanation before it is shown; `model_outputs` are all that the model has.

    Raises `ExplanationRefused`.
    """
    found = [
        *check_additivity(explanation),
        *check_truncation(explanation),
        *check_one_class(explanation, model_outputs),
    ]
    return _judged(found, strict)


def side_by_side(one: Explanation, other: Explanation) -> None:
    """Raise `ExplanationRefused` where two explanations cannot be compared: another unit, features, outputs or rows."""
    if one.unit != other.unit:
        raise ExplanationRefused(
            "two explanations side by side",
            f"{one.method} in {one.unit} and {other.method} in {other.unit}",
            "one unit for both",
            hint=f'ask for both with unit="{one.unit}"',
        )
    for what in ("feature_names", "output_names"):
        first, second = getattr(one, what), getattr(other, what)
        if first != second:
            raise ExplanationRefused(
                "two explanations side by side",
                f"{what.replace('_', ' ')} {_listed(first)} and {_listed(second)}",
                "the same in the same order",
            )
    if one.origins.model != other.origins.model:
        raise ExplanationRefused("two explanations side by side", "two different models", "one model")
    known = one.origins.data is not None and other.origins.data is not None
    if (
        (known and one.origins.data != other.origins.data)
        or one.prediction.shape != other.prediction.shape
        # A model that is asked about other numbers of rows at a time may differ in the last digits.
        or not np.allclose(one.prediction, other.prediction, rtol=1e-6, atol=1e-9)
    ):
        raise ExplanationRefused("two explanations side by side", "different rows", "the same rows in the same order")


def check_thinness(background: NDArray[np.float64]) -> tuple[Caution, ...]:
    """A single row is a baseline, which may be meant; many equal rows are a mistake, and refused."""
    if len(background) == 1:
        return (
            Caution(
                "single background row",
                "The background is one single row: every share says how the model's answer differs from that row's, "
                "not from the usual one.",
            ),
        )
    if (_same(background, background[0])).all():
        raise ExplanationRefused(
            "the background",
            f"{len(background)} equal rows",
            "rows that differ, or one row if a baseline is meant",
            hint="draw the background from the training data",
        )
    return ()


def check_leakage(rows: NDArray[np.float64], background: NDArray[np.float64]) -> tuple[Caution, ...]:
    """A row that is in its own background is compared with itself, and its shares shrink by that part.

    Refused from half of the background on; below that a caution with the largest part.
    """
    counts = _counts(background)
    parts = np.array([counts.get(row.tobytes(), 0) for row in _plain(rows)]) / len(background)
    held = int((parts > 0).sum())
    if not held:
        return ()
    worst = int(parts.argmax())
    if parts[worst] >= 0.5:
        raise ExplanationRefused(
            "the background",
            f"row {worst} itself as {parts[worst]:.0%} of it",
            "a background in which an explained row is the exception",
            hint="draw the background from other rows than those explained",
        )
    return (
        Caution(
            "background contains the row",
            f"{held} of {len(rows)} explained rows stand in the background, too: against itself a row differs in "
            f"nothing, so their shares are up to {parts[worst]:.1%} too small.",
        ),
    )


def check_range(rows: NDArray[np.float64], reference: NDArray[np.float64], names: Sequence[str]) -> tuple[Caution, ...]:
    """Values below or above all those of the background or the training data, or missing where none of them is."""
    low, high = np.fmin.reduce(reference, axis=0), np.fmax.reduce(reference, axis=0)
    outside = (rows < low) | (rows > high) | (np.isnan(rows) & ~np.isnan(reference).any(axis=0))
    return tuple(
        Caution(
            "outside the range",
            f"{int(outside[:, at].sum())} of {len(rows)} rows have a value of {names[at]} that lies outside what the "
            f"reference rows hold ({low[at]:g} to {high[at]:g}): there the model guesses, and so does its explanation.",
            names[at],
        )
        for at in map(int, np.flatnonzero(outside.any(axis=0)))
    )


def check_point_masses(
    training: NDArray[np.float64], names: Sequence[str], continuous: Iterable[int]
) -> tuple[Caution, ...]:
    """Columns in which one value fills a bin.

    There lime 0.2.0.1 asks the model about a standardised number instead of the value itself, mostly 0. Its numbers
    are reproduced unless `fix_point_mass` is set, so this is a caution, not a refusal.
    """
    found = []
    for at in continuous:
        present = training[:, at][~np.isnan(training[:, at])]
        if not len(present):
            continue
        edges = np.unique(np.quantile(present, (0.25, 0.5, 0.75)))
        bins = np.searchsorted(edges, present, side="left")
        for each in np.unique(bins):
            held = present[bins == each]
            if np.ptp(held) == 0:
                found.append(
                    Caution(
                        "point mass",
                        f"{names[at]} is {held[0]:g} in {len(held) / len(present):.0%} of the training rows, a bin of "
                        "its own: as lime does, the model is asked there about a standardised number and not about "
                        "that value. Set fix_point_mass=True to ask about the value.",
                        names[at],
                    )
                )
                break
    return tuple(found)


def check_undeclared(
    training: NDArray[np.float64], names: Sequence[str], continuous: Iterable[int]
) -> tuple[Caution, ...]:
    """Columns of two values, or of a few whole numbers, that were not declared categorical.

    LIME fills them with numbers in between, which no row has. A caution, since a count of children is whole-numbered
    as well, and only its owner knows.
    """
    found = []
    for at in continuous:
        present = training[:, at][~np.isnan(training[:, at])]
        values = np.unique(present)
        whole = bool((values == np.rint(values)).all())
        if len(values) == 2 or (whole and 2 < len(values) <= min(FEW_VALUES, len(present) // 3)):
            kind = "two values" if len(values) == 2 else f"{len(values)} whole numbers"
            found.append(
                Caution(
                    "undeclared categories",
                    f"{names[at]} has {kind} ({_listed([f'{each:g}' for each in values])}) and was not declared "
                    f'categorical: the model is asked about numbers in between. Pass categorical=["{names[at]}"] '
                    "if they stand for kinds.",
                    names[at],
                )
            )
    return tuple(found)


def check_one_class(explanation: Explanation, model_outputs: Sequence[str]) -> tuple[Caution, ...]:
    """One output shown of a model that has three or more; a binary classifier's two are one story."""
    shown = set(explanation.output_names)
    hidden = [name for name in model_outputs if name not in shown and name != explanation.complement]
    if len(explanation.output_names) != 1 or len(model_outputs) < 2 or not hidden:
        return ()
    return (
        Caution(
            "one class of many",
            f"Only the output {explanation.output_names[0]} is explained; the model has {len(hidden)} more "
            f"({_listed(hidden)}), for which other features may matter.",
        ),
    )


def check_truncation(explanation: Explanation) -> tuple[Caution, ...]:
    """Shapley values of a fit that was regularised to a number of features: the rest is zero, not without effect.

    Refused where the settings say so; a caution where every row has at most ten shares of more features, and no
    setting tells whether the model uses no more.
    """
    if explanation.surrogate is not None:
        # LIME selects features on purpose, and says so.
        return ()
    features = explanation.shape[1]
    l1 = explanation.settings.get("l1_reg")
    if l1 not in (None, False, 0, "none") and features > KEPT:
        raise ExplanationRefused(
            explanation.method,
            f"l1_reg={l1!r} with {features} features, which sets the shares of most to zero",
            "shares of all features",
            hint="l1_reg=False",
        )
    most = int((explanation.values != 0).sum(axis=1).max(initial=0))
    if explanation.is_exact or features <= KEPT or most > KEPT or most == 0:
        return ()
    return (
        Caution(
            "few features have a share",
            f"No row has a share in more than {most} of its {features} features: either the model uses no more, or "
            "the method dropped the rest.",
        ),
    )


def check_additivity(explanation: Explanation) -> tuple[Caution, ...]:
    """Shares that do not add up to the answer: refused where they claim to be exact, else a caution.

    A surrogate's coefficients never promised to add up; how well it fits is measured as local fidelity.
    """
    if explanation.surrogate is not None or not len(explanation):
        return ()
    found = completeness.measure(explanation.total(), explanation.prediction, explanation.base)
    relative = float("inf") if found.relative is None else found.relative
    told = f"{found.largest:.3g} {_in(explanation.unit)}" + (
        "" if found.relative is None else f", {relative:.2%} of the spread of the answers"
    )
    if explanation.is_exact and relative > EXACT_GAP:
        raise ExplanationRefused(
            explanation.method,
            f"shares that miss the model's answer by up to {told}",
            f"at most {EXACT_GAP:.1%}, since the method claims to be exact",
            hint="explain the very model and unit that was asked; see the completeness line of the audit",
        )
    if relative > NEAR_GAP:
        return (
            Caution(
                "shares do not add up",
                f"The shares miss the model's answer by up to {told}: as much of the answer is not explained.",
            ),
        )
    return ()


def _judged(found: Sequence[Caution], strict: bool) -> tuple[Caution, ...]:
    if strict and found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ExplanationRefused(
            found[0].check, f"{found[0].sentence.rstrip('.')}{more}", "nothing to be cautious about"
        )
    return tuple(found)


def _position(column: int | str, names: Sequence[str]) -> int:
    if isinstance(column, int):
        return column
    if column not in names:
        raise UnknownName("feature", column, names)
    return names.index(column)


def _in(unit: str) -> str:
    return "(raw)" if unit == "raw" else f"in {unit}"


def _listed(names: Sequence[Any], most: int = 5) -> str:
    shown = ", ".join(str(each) for each in names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names)} in all)"


def _plain(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows whose bytes are equal where they are: one zero and one way of being missing."""
    return np.ascontiguousarray(np.where(np.isnan(rows), np.nan, rows + 0.0))


def _counts(rows: NDArray[np.float64]) -> dict[bytes, int]:
    counts: dict[bytes, int] = {}
    for row in _plain(rows):
        key = row.tobytes()
        counts[key] = counts.get(key, 0) + 1
    return counts


def _same(rows: NDArray[np.float64], row: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((rows == row) | (np.isnan(rows) & np.isnan(row)))
