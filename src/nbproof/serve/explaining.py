"""Why a model scored a row as it did: exact shares of its answer, made ready once and given with every score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ExplanationRefused, NbproofError
from ..explain import model as models
from ..explain.explanation import Unit
from ..explain.reasons import MOST
from ..explain.shapley.completeness import refuse_gap
from ..explain.shapley.native import contributions_of_xgboost
from ..explain.shapley.trees import Ensemble, is_sum_of_trees
from ..extras import is_installed
from .network import Network
from .package import PROBES, Model, probes
from .rows import Table

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Scores of some rows, and the shares (rows, features) of every field in the model's own unit, above `base`."""

    scores: Floats
    shares: Floats
    base: float


# Rows in; out come the shares (rows, features) and the base of each row.
Shares = Callable[[Floats], tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True, eq=False)
class Explainer:
    """Explains one model of trees by Tree SHAP. `link` turns its answer into the score, None: it is the score.

    Where no `link` gives the very score (`asks_twice`) the model is asked for it as well.
    """

    model: Model
    unit: Unit
    method: str
    shares: Shares
    answer: Callable[[Any], Any]
    link: Callable[[Any], Any] | None
    asks_twice: bool
    features: tuple[str, ...]

    @classmethod
    def of(cls, model: Model) -> tuple[Explainer | None, str]:
        """The explainer of a model; None, and the reason, where it has no exact one that needs no background."""
        if model.bare is None:
            return None, f"{type(model.estimator).__name__} is no model of trees that takes plain numbers"
        if isinstance(model.bare, Network):
            return None, "a network is no sum of trees, and a package holds no background for another explanation"
        try:
            read = models.read(model.bare)
            if read.family == "xgboost":
                method, shares = "native", _native(read)
            elif not is_installed("shap"):
                return None, "`shap` is not installed; the extra `explain` brings it"
            elif is_sum_of_trees(read, read.answers[0].unit):
                method, shares = "trees", _of_trees(Ensemble.of(read.fitted))
            else:
                return None, f"{read.name} is no sum of trees"
            found = cls._made(model, read, method, shares)
            # Whether it adds up is proven before anybody asks.
            found(Table(PROBES, probes(model.signature)))
        except NbproofError as error:
            return None, str(error)
        return found, ""

    @classmethod
    def _made(cls, model: Model, read: models.Model, method: str, shares: Shares) -> Explainer:
        answers = read.answers[0]
        features = tuple(each.name for each in model.signature.inputs)
        link, asks_twice = None, False
        if answers.unit == "log-odds":
            from scipy.special import expit

            block = probes(model.signature)
            scores = np.asarray(model.bare.predict_proba(block), dtype=np.float64)[:, 1]
            margins = np.asarray(answers.ask(block), dtype=np.float64).ravel()
            asks_twice = not np.array_equal(expit(margins), scores)
            link = expit
        return cls(model, answers.unit, method, shares, answers.ask, link, asks_twice, features)

    def __call__(self, table: Table) -> Explained:
        """Scores and shares. Raises `ExplanationRefused` where they do not add up: none is shown that is wrong."""
        assert table.block is not None
        answer = np.asarray(self.answer(table.block), dtype=np.float64).reshape(table.count, -1)[:, -1]
        scores = self.model.scores(table) if self.asks_twice else answer if self.link is None else self.link(answer)
        shares, bases = self.shares(table.block)
        name = type(self.model.estimator).__name__
        refuse_gap(answer[:, None], shares[:, :, None], bases[:, None], "the reading of the trees", name)
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ExplanationRefused("the scores", "one that is no probability", "probabilities")
        return Explained(scores, shares, float(bases[0]))


def _of_trees(ensemble: Ensemble) -> Shares:
    """Shares by shap's Tree SHAP."""

    def shares(block: Floats) -> tuple[Floats, Floats]:
        rows = block.astype(ensemble.inputs).astype(np.float64)
        found = np.zeros((len(rows), rows.shape[1] + 1, len(ensemble.offset)))
        ensemble.add(rows, slice(None), found)
        return found[:, :-1, -1], found[:, -1, -1] + ensemble.offset[-1]

    return shares


def _native(read: models.Model) -> Shares:
    """Shares that XGBoost computes itself."""
    contributions = contributions_of_xgboost(read.fitted)

    def shares(block: Floats) -> tuple[Floats, Floats]:
        found = np.asarray(contributions(block), dtype=np.float64).reshape(len(block), block.shape[1] + 1)
        return found[:, :-1], found[:, -1]

    return shares


def reasons(shares: Floats, features: tuple[str, ...], texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """What pushed one score up most, the strongest first, at most four; features of one text count together.

    More than four reasons are not likely to help (commentary on 12 CFR 1002.9). Which words an applicant reads is for
    whoever answers for the decision: `texts` are theirs, and without any a feature goes by its name.
    """
    pushes: dict[str, float] = {}
    for name, share in zip(features, shares.tolist(), strict=True):
        text = texts.get(name, name)
        pushes[text] = pushes.get(text, 0.0) + share
    strongest = sorted((text for text in pushes if pushes[text] > 0), key=lambda text: -pushes[text])[:MOST]
    return [{"reason": text, "push": pushes[text]} for text in strongest]
