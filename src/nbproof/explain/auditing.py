"""The audit of an explanation: every metric with its verdict, one sentence for a reviewer, and its source.

What could not be evaluated says so, with the reason, and never passes. Explainers are handed in, so that the audit
judges what a user will see; with the same seed it finds the same numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import DataUnusable, ExplanationRefused
from . import guards
from .explanation import Cost, Explanation
from .guards import Caution
from .judging import (
    agreement,
    background,
    completeness,
    deletion,
    drift,
    fidelity,
    infidelity,
    manipulation,
    randomisation,
    stability,
)
from .judging.looked import ROWS, Explain, Looked, spread, taken
from .line import Line, Verdict
from .question import Question

Step = Callable[[Looked], list[Line]]

STEPS: Sequence[Step] = (
    completeness.judge,
    fidelity.judge,
    agreement.judge,
    stability.judge,
    deletion.judge,
    infidelity.judge,
    background.judge,
    randomisation.judge,
    manipulation.judge,
    drift.judge,
)


@dataclass(frozen=True, slots=True)
class Audit:
    """The lines of an audit of `rows` of `of_rows` explained rows; `cautions` are what the guards found.

    `methods` are those that were judged, in `unit`. What the audit itself cost does not count when two are compared.
    """

    lines: tuple[Line, ...]
    rows: int
    of_rows: int
    seed: int
    methods: tuple[str, ...]
    unit: str
    cautions: tuple[Caution, ...] = ()
    cost: Cost = field(default=Cost(), compare=False)

    def line(self, name: str) -> Line:
        """The line called `name`. Raises `KeyError`."""
        return {each.name: each for each in self.lines}[name]

    def judged(self, verdict: Verdict) -> tuple[Line, ...]:
        """The lines with this verdict."""
        return tuple(each for each in self.lines if each.verdict == verdict)

    def numbers(self) -> dict[str, float]:
        """Every number by a name fit for a tracker, such as `completeness_max` and `lime_vsi`."""
        return {name: value for each in self.lines for name, value in each.numbers.items()}

    def written(self) -> dict[str, Any]:
        """The audit as JSON data."""
        return {
            "lines": [each.written() for each in self.lines],
            "rows": self.rows,
            "of_rows": self.of_rows,
            "seed": self.seed,
            "methods": list(self.methods),
            "unit": self.unit,
            "cautions": [asdict(each) for each in self.cautions],
            "cost": asdict(self.cost),
        }

    @classmethod
    def read(cls, data: Any) -> Audit:
        """An audit from what `written` gave. Raises `DataUnusable`."""
        try:
            return cls(
                lines=tuple(Line.read(each) for each in data["lines"]),
                rows=int(data["rows"]),
                of_rows=int(data["of_rows"]),
                seed=int(data["seed"]),
                methods=tuple(map(str, data["methods"])),
                unit=str(data["unit"]),
                cautions=tuple(Caution(**each) for each in data["cautions"]),
                cost=Cost(**data["cost"]),
            )
        except (TypeError, ValueError, KeyError) as error:
            raise DataUnusable("the audit", f"{type(error).__name__}: {error}", "what an audit writes") from error


def audit(
    question: Question,
    shap: Explanation,
    lime: Explanation | None,
    *,
    explain_shap: Explain,
    explain_lime: Explain | None,
    seed: int = 0,
    approved: Explanation | None = None,
    steps: Sequence[Step] = STEPS,
) -> Audit:
    """Judge the explanations `shap` and `lime` of the rows of `question`.

    `explain_shap` and `explain_lime` explain other questions in the very same way, with a seed: some rows again,
    against other backgrounds, of a network with fresh weights. Of more than 100 rows 100 are looked at, evenly spread.
    `approved` is an explanation of an earlier version of the model, to which the new one is compared. `steps` are the
    judges that are asked; the numbers of each do not depend on which others are.

    Raises `ExplanationRefused` where the explanations are not of these rows, in this unit, and where a guard refuses.
    """
    began = time.process_time(), time.perf_counter()
    question.refuse_weights("an audit")
    # What the audit asks the model is not what an explanation costs.
    question = replace(question, asked=replace(question.asked, rows=0))
    _refuse_strangers(question, shap, lime)
    cautions = _cautions(question, shap, lime)
    picked = spread(len(question.rows), ROWS)
    looked = Looked(
        question=taken(question, picked),
        shap=shap[picked],
        lime=None if lime is None else lime[picked],
        whole=shap,
        approved=approved,
        explain_shap=explain_shap,
        explain_lime=explain_lime,
        seed=seed,
    )
    lines = tuple(line for judge in steps for line in judge(looked))
    cost = Cost(question.asked.rows, time.process_time() - began[0], time.perf_counter() - began[1])
    methods = (shap.method,) if lime is None else (shap.method, lime.method)
    return Audit(lines, len(picked), len(question.rows), seed, methods, shap.unit, cautions, cost)


def _refuse_strangers(question: Question, shap: Explanation, lime: Explanation | None) -> None:
    for each in (shap, lime):
        if each is None:
            continue
        asked = (question.answers.unit, question.schema.names, question.answers.outputs)
        if (each.unit, each.feature_names, each.output_names) != asked:
            raise ExplanationRefused(
                "the audit",
                f"{each.method} in {each.unit} of the outputs {', '.join(each.output_names)}",
                f"{question.answers.unit} of {', '.join(question.answers.outputs)}, and the features of the question",
            )
        close = each.prediction.shape == question.prediction.shape and np.allclose(
            each.prediction, question.prediction, rtol=1e-6, atol=1e-9
        )
        if not close:
            raise ExplanationRefused("the audit", f"{each.method} of other rows", "an explanation of these very rows")
    if lime is not None:
        guards.side_by_side(shap, lime)


def _cautions(question: Question, shap: Explanation, lime: Explanation | None) -> tuple[Caution, ...]:
    """What the guards say, each once; shares that do not add up are a line of the audit."""
    found = [*guards.before_shap(question), *guards.check_truncation(shap)]
    if lime is not None and question.background is not None:
        found += guards.before_lime(
            question,
            categorical=tuple(lime.settings.get("categorical", ())),
            fix_point_mass=bool(lime.settings.get("fix_point_mass", False)),
            discretizer=lime.settings.get("discretizer", "quartile"),
        )
    return tuple(dict.fromkeys(found))
