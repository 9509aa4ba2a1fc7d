"""Whether the features that matter in a window are still those that mattered before, as pure numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..explain.metrics import drift as order
from ..explain.metrics import ranking
from .drift import Verdict

# The alarm of Amazon SageMaker Clarify, Feature attribution drift.
LEAST_NDCG = 0.9


@dataclass(frozen=True, slots=True)
class ExplanationDrift:
    """How two orders of importance agree; `ndcg` is 1 for the same order.

    `moved` is the feature whose part of all importance changed most, and `change` by how much of the whole.
    """

    ndcg: float | None
    moved: str
    change: float | None
    verdict: Verdict
    reason: str


def compare(
    reference: Mapping[str, float], window: Mapping[str, float], *, least: float = LEAST_NDCG
) -> ExplanationDrift:
    """Compare mean |SHAP| by feature; raises `ValueError` where the two sides speak of other features."""
    if set(reference) != set(window):
        raise ValueError(f"the explanations speak of other features: {sorted(set(reference) ^ set(window))}")
    names = list(reference)
    before, now = (np.array([side[name] for name in names], dtype=np.float64) for side in (reference, window))
    found = order.measure(before, now, k=ranking.depth(len(names))) if len(names) > 1 else None
    if found is None:
        reason = "one of the explanations gives no feature any weight, or there is only one feature"
        return ExplanationDrift(None, "", None, "not_evaluated", reason)
    moved = names[found.moved]
    told = f"nDCG {found.ndcg:.3f}; most moved {moved}, by {found.change:+.0%} of all importance"
    verdict: Verdict = "green" if found.ndcg >= least else "red"
    words = told if verdict == "green" else f"{told}; expected at least {least:g}"
    return ExplanationDrift(found.ndcg, moved, found.change, verdict, words)


def importance(attributions: Mapping[str, object]) -> dict[str, float]:
    """Mean |SHAP| of each feature, from one column of attributions each."""
    return {name: float(np.abs(np.asarray(column, dtype=np.float64)).mean()) for name, column in attributions.items()}
