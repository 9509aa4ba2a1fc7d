"""Manipulation: whether a model could tell an explainer's probes from real rows, and whether it acts upon it.

Source: Slack et al. (2020), Fooling LIME and SHAP, arXiv 1911.02508. A model that can tell its probes apart may answer
these innocently and real rows as it likes; what it then does is measured here, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDS = 3
TREES = 50


@dataclass(frozen=True, slots=True)
class Manipulation:
    """Real rows against probes.

    `auc` tells how well a forest separates them (0.5: not at all). `known` is the R² with which a forest that has
    seen answers to other real rows foretells the answers to real rows, `told` that of a forest that has seen answers
    to probes alone. Where the model treats both alike, probes tell much of what real rows tell.
    """

    real: int
    probes: int
    auc: float
    known: float | None
    told: float | None

    @property
    def acts_apart(self) -> bool:
        """Whether answers to probes tell nothing of the answers to real rows, though these can be foretold.

        Two unrelated behaviours have an R² below zero. An honest model lies above, if it is as wild as it may be.
        """
        return self._is_known and self.told is not None and self.told <= 0

    @property
    def tells_little(self) -> bool:
        """Whether answers to probes tell less than half of what answers to real rows tell: a game, or a wild model."""
        return self._is_known and self.known is not None and self.told is not None and self.told < self.known / 2

    @property
    def _is_known(self) -> bool:
        return self.known is not None and self.known > 0.5


def measure(
    real: NDArray[np.float64],
    probes: NDArray[np.float64],
    real_answers: NDArray[np.float64],
    probe_answers: NDArray[np.float64],
    *,
    seed: int,
    at_most: int = 1000,
) -> Manipulation:
    """Separate real rows and probes (n, features) with forests, as many of each, and compare the answers (n, outputs).

    `known` and `told` are those of the output for which they lie furthest apart; None where no answer varies.
    """
    random = np.random.default_rng(seed)
    size = min(len(real), len(probes), at_most)
    some, tried = (np.sort(random.permutation(len(side))[:size]) for side in (real, probes))
    real, real_answers = real[some], real_answers[some]
    probes, probe_answers = probes[tried], probe_answers[tried]
    folds = random.permutation(size) % FOLDS
    pairs = [
        _behaviour(real, probes, real_answers[:, at], probe_answers[:, at], folds, seed)
        for at in range(real_answers.shape[1])
        if np.ptp(real_answers[:, at]) > 0
    ]
    known, told = max(pairs, key=lambda pair: pair[0] - pair[1]) if pairs else (None, None)
    return Manipulation(size, size, _auc(real, probes, folds, seed), known, told)


def _auc(real: NDArray[np.float64], probes: NDArray[np.float64], folds: NDArray[np.int64], seed: int) -> float:
    """The area under the ROC curve of a forest on rows that it has not seen, mean over the folds."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    points, labels = np.concatenate([real, probes]), np.repeat([0, 1], [len(real), len(probes)])
    fold = np.concatenate([folds, folds])
    found = []
    for held in range(FOLDS):
        seen = fold != held
        forest = RandomForestClassifier(TREES, random_state=seed, n_jobs=1).fit(points[seen], labels[seen])
        found.append(roc_auc_score(labels[~seen], forest.predict_proba(points[~seen])[:, 1]))
    return float(np.mean(found))


def _behaviour(
    real: NDArray[np.float64],
    probes: NDArray[np.float64],
    real_answers: NDArray[np.float64],
    probe_answers: NDArray[np.float64],
    folds: NDArray[np.int64],
    seed: int,
) -> tuple[float, float]:
    known, told = np.empty_like(real_answers), np.empty_like(real_answers)
    for held in range(FOLDS):
        seen, asked = folds != held, folds == held
        # As many rows for the one forest as for the other.
        known[asked] = _forest(seed).fit(real[seen], real_answers[seen]).predict(real[asked])
        told[asked] = _forest(seed).fit(probes[seen], probe_answers[seen]).predict(real[asked])
    spread = float(((real_answers - real_answers.mean()) ** 2).sum())
    first, second = (1.0 - float(((side - real_answers) ** 2).sum()) / spread for side in (known, told))
    return first, second


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(TREES, min_samples_leaf=3, random_state=seed, n_jobs=1)
