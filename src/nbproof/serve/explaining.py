"""Why a model scored a row as it did: shares of its answer, made ready once and given with every score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
from ..extras import require
from .comparing import HOW, Against, Background, Comparison
from .network import Network
from .package import PROBES, Model, probes
from .rows import Table

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Scores of some rows, and the shares (rows, features) of every field in the model's own unit, above `base`.

    `errors` (rows, features) are the standard errors of shares that are estimates.
    """

    scores: Floats
    shares: Floats
    base: float
    errors: Floats | None = None


# Rows in; out come the shares (rows, features), the base of each row, and the standard errors of estimates.
Shares = Callable[[Floats], tuple[Floats, Floats, Floats | None]]
# What a model is tried with before anybody asks; where each row takes long, a few.
FEW = 2
PROBABILITY: Unit = "probability"
# So many standard errors on both sides hold 95 of 100 values.
SURE = 1.96


@dataclass(frozen=True, slots=True, eq=False)
class Explainer:
    """Explains one model. `link` turns its answer into the score, None: it is the score.

    Where no `link` gives the very score (`asks_twice`) the model is asked for it as well. `against` says with what the
    shares compare, None: they follow the trees, and compare with nothing.
    """

    model: Model
    unit: Unit
    method: str
    shares: Shares
    answer: Callable[[Any], Any]
    link: Callable[[Any], Any] | None
    asks_twice: bool
    features: tuple[str, ...]
    against: Against | None = None

    @classmethod
    def of(cls, model: Model, background: Background | None = None) -> tuple[Explainer | None, str]:
        """The explainer of a model; None, and the reason, where it has none without a background, or with this one."""
        if any(each.type == "string" for each in model.signature.inputs):
            return None, f"{type(model.estimator).__name__} takes text, and no plain numbers"
        try:
            found = cls._of_trees(model)
            tried = PROBES
            if found is None and background is not None:
                found, tried = cls._compared(model, background), FEW
            if found is None:
                name = "a network" if isinstance(model.bare, Network) else type(model.estimator).__name__
                return None, f"{name} is no sum of trees, and its package holds no background; {HOW}"
            # Whether it adds up is proven before anybody asks.
            found(Table(tried, probes(model.signature)[:tried]))
        except NbproofError as error:
            return None, str(error)
        return found, ""

    @classmethod
    def _of_trees(cls, model: Model) -> Explainer | None:
        """The explainer of a sum of trees, None for another model. Raises `ExtraMissing` where shap has to read it."""
        if model.bare is None or isinstance(model.bare, Network):
            return None
        read = models.read(model.bare)
        if read.family == "xgboost":
            return cls._made(model, read, "native", _native(read))
        require("shap")
        if is_sum_of_trees(read, read.answers[0].unit):
            return cls._made(model, read, "trees", _of_trees(Ensemble.of(read.fitted)))
        return None

    @property
    def says(self) -> str:
        """What its shares are, in words."""
        if self.against is None:
            return f"exact Shapley values in {self.unit}"
        compared = f"Shapley values in {self.unit} against {self.against.rows} background rows"
        compared = f"exact {compared}" if self.against.is_exact else compared
        return f"{compared}, with standard errors" if self.against.is_estimate else compared

    @classmethod
    def _compared(cls, model: Model, background: Background) -> Explainer:
        """The explainer against a background, of any model that takes numbers."""

        def scores(block: Floats) -> Floats:
            return model.scores(Table(len(block), block))

        asked, unit = (scores, PROBABILITY) if model.bare is None else (model.bare, None)
        comparison = Comparison(asked, background, tuple(each.name for each in model.signature.inputs), unit)
        first = comparison.explained(probes(model.signature)[:FEW])

        def shares(block: Floats) -> tuple[Floats, Floats, Floats | None]:
            found = comparison.explained(block)
            errors = None if found.error is None else found.error[:, :, -1].astype(np.float64)
            return found.values[:, :, -1].astype(np.float64), found.base[:, -1], errors

        made = cls._made(model, models.read(asked, unit=unit), first.method, shares)
        return replace(made, against=comparison.told_by(first))

    @classmethod
    def _made(cls, model: Model, read: models.Model, method: str, shares: Shares) -> Explainer:
        answers = read.answers[0]
        features = tuple(each.name for each in model.signature.inputs)
        link, asks_twice = None, False
        if answers.unit == "log-odds":
            from scipy.special import expit

            block = probes(model.signature)
            scores = model.scores(Table(len(block), block))
            margins = np.asarray(answers.ask(block), dtype=np.float64).ravel()
            asks_twice = not np.array_equal(expit(margins), scores)
            link = expit
        return cls(model, answers.unit, method, shares, answers.ask, link, asks_twice, features)

    def __call__(self, table: Table) -> Explained:
        """Scores and shares. Raises `ExplanationRefused` where they do not add up: none is shown that is wrong."""
        assert table.block is not None
        answer = np.asarray(self.answer(table.block), dtype=np.float64).reshape(table.count, -1)[:, -1]
        scores = self.model.scores(table) if self.asks_twice else answer if self.link is None else self.link(answer)
        shares, bases, errors = self.shares(table.block)
        name = type(self.model.estimator).__name__
        what = "the reading of the trees" if self.against is None else "the comparison with a background"
        refuse_gap(answer[:, None], shares[:, :, None], bases[:, None], what, name)
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ExplanationRefused("the scores", "one that is no probability", "probabilities")
        return Explained(scores, shares, float(bases[0]), errors)


def _of_trees(ensemble: Ensemble) -> Shares:
    """Shares by shap's Tree SHAP."""

    def shares(block: Floats) -> tuple[Floats, Floats, None]:
        rows = block.astype(ensemble.inputs).astype(np.float64)
        found = np.zeros((len(rows), rows.shape[1] + 1, len(ensemble.offset)))
        ensemble.add(rows, slice(None), found)
        return found[:, :-1, -1], found[:, -1, -1] + ensemble.offset[-1], None

    return shares


def _native(read: models.Model) -> Shares:
    """Shares that XGBoost computes itself."""
    contributions = contributions_of_xgboost(read.fitted)

    def shares(block: Floats) -> tuple[Floats, Floats, None]:
        found = np.asarray(contributions(block), dtype=np.float64).reshape(len(block), block.shape[1] + 1)
        return found[:, :-1], found[:, -1], None

    return shares


def reasons(
    shares: Floats, features: tuple[str, ...], texts: Mapping[str, str], errors: Floats | None = None
) -> list[dict[str, Any]]:
    """What pushed one score up most, the strongest first, at most four; features of one text count together.

    More than four reasons are not likely to help (commentary on 12 CFR 1002.9). Which words an applicant reads is for
    whoever answers for the decision: `texts` are theirs, and without any a feature goes by its name. Of shares with
    `errors` what may be chance is no reason.
    """
    pushes: dict[str, float] = {}
    doubts: dict[str, float] = {}
    for name, share, error in zip(
        features, shares.tolist(), [0.0] * len(shares) if errors is None else errors.tolist(), strict=True
    ):
        text = texts.get(name, name)
        pushes[text] = pushes.get(text, 0.0) + share
        doubts[text] = doubts.get(text, 0.0) + SURE * error
    strongest = sorted((text for text in pushes if pushes[text] > doubts[text]), key=lambda text: -pushes[text])[:MOST]
    return [{"reason": text, "push": pushes[text]} for text in strongest]
