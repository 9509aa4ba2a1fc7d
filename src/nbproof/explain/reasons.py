"""Reason codes: which features of a row pushed it most toward the adverse outcome, in the words of a dictionary.

Regulation B (12 CFR 1002.9) asks for the principal reasons of an adverse action; its commentary holds that more than
four are not likely to be helpful. Attributions are evidence for such reasons, not a finding of law.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import DataUnusable, ExplanationRefused, UnknownName
from .explanation import Explanation
from .metrics.stability import WIDE

MOST = 4


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: its text, the features behind it, their values, and by how much together they push (above 0)."""

    text: str
    features: tuple[str, ...]
    values: tuple[str, ...]
    push: float


@dataclass(frozen=True, slots=True)
class Reasons:
    """The reasons of one row, the strongest first; `computed` says how, `uncertain` what was left out as noise."""

    row: int
    reasons: tuple[Reason, ...]
    computed: str
    uncertain: tuple[str, ...] = ()


def give(
    explanation: Explanation,
    row: int,
    *,
    adverse: Literal["high", "low"],
    dictionary: Mapping[str, str],
    output: str | None = None,
    most: int = MOST,
) -> Reasons:
    """Return up to `most` reasons of one row.

    `adverse` says which answer is bad for the person: "high" (a probability of default) or "low" (a score); only
    features that push that way are reasons. `dictionary` maps every feature to its text; features of the same text
    (six months of one balance) are one reason, and count with the sum of their shares. A reason whose push is within
    sampling error of zero is left out, and named in `uncertain`.

    Raises `UnknownName` for a dictionary that speaks of features which the model lacks, `DataUnusable` where a
    feature has no text, `ExplanationRefused` for a surrogate: its coefficients are no shares of the row's answer.
    """
    if explanation.surrogate is not None:
        raise ExplanationRefused(
            "reason codes",
            f"coefficients of a surrogate ({explanation.method})",
            "shares of the model's own answer",
            hint="explain with Shapley values",
        )
    for name in dictionary:
        if name not in explanation.feature_names:
            raise UnknownName("feature of the model", name, explanation.feature_names)
    untold = [name for name in explanation.feature_names if not dictionary.get(name, "").strip()]
    if untold:
        raise DataUnusable("the dictionary", f"no text for {', '.join(untold[:5])}", "a text for every feature")
    shown = (explanation.of(output) if output is not None else explanation[:, :, 0])[row]
    sign = 1.0 if adverse == "high" else -1.0
    groups: dict[str, list[int]] = {}
    for at, name in enumerate(shown.feature_names):
        groups.setdefault(dictionary[name], []).append(at)
    found, uncertain = [], []
    for text, members in groups.items():
        shares = sign * shown.values[0, members, 0].astype(np.float64)
        push = float(shares.sum())
        if push <= 0:
            continue
        error = 0.0 if shown.error is None else float(np.sqrt((shown.error[0, members, 0].astype(float) ** 2).sum()))
        if push <= WIDE * error:
            uncertain.append(text)
            continue
        # A member that pushes the other way is no part of the reason, though it counts in the sum.
        named = [member for member, share in zip(members, shares, strict=True) if share > 0]
        found.append(
            Reason(
                text,
                tuple(shown.feature_names[at] for at in named),
                tuple(_spelled(shown.data[0, at]) for at in named),
                push,
            )
        )
    found.sort(key=lambda each: -each.push)
    return Reasons(row, tuple(found[:most]), _computed(shown, adverse), tuple(uncertain))


def _computed(shown: Explanation, adverse: str) -> str:
    kind = "exact" if shown.is_exact else "estimated"
    return (
        f"The features that pushed {shown.output_names[0]} {'up' if adverse == 'high' else 'down'} most, by {kind} "
        f"Shapley values ({shown.method}) in {shown.unit}, against a base of {shown.base[0, 0]:.3g}."
    )


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else f"{value:g}"
