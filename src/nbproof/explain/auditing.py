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
from numpy.typing import NDArray

from ..errors import Cancelled, DataUnusable, ExplanationRefused, NbproofError
from . import guards, schema
from . import model as models
from .explanation import Cost, Explanation
from .guards import Caution
from .line import Gauge, Line, Verdict
from .metrics import (
    agreement,
    background,
    completeness,
    deletion,
    drift,
    fidelity,
    infidelity,
    manipulation,
    randomisation,
    ranking,
    stability,
)
from .model import Asked
from .question import Question

Explain = Callable[[Question, int], Explanation]

# How many rows are looked at: at all, and where each must be explained again.
ROWS, AGAIN, FEW_AGAIN = 100, 50, 20
LIME_SEEDS, SHAP_SEEDS = 10, 3
# Below that a mean over rows cannot be told from chance.
FEWEST = 10
# By so many standard errors an explanation must do better than chance: one of noise does in one case of 700.
SURE = 3.0
# The least background that can be cut into two, and the most of each part.
HALVES, HALF = 20, 100
NETWORKS = 2
# Real rows and probes without which they cannot be told apart for lack of them.
KNOWN_ROWS = 100
# What is less than this part of the largest answer is rounding.
ROUNDING = 1e-12
# Made-up rows kept of one call and of all.
HEARD_EACH, HEARD_MOST = 2_000, 20_000

RIBEIRO = "Ribeiro, Singh and Guestrin (2016), arXiv 1602.04938"
KRISHNA = "Krishna et al. (2022), The Disagreement Problem in Explainable Machine Learning, arXiv 2202.01602"
VISANI = "Visani et al. (2020), Statistical stability indices for LIME, arXiv 2001.11757"
RISE = "Petsiuk, Das and Saenko (2018), RISE, arXiv 1806.07421, with random orders as baseline"
OURS = "nbproof's own"


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
) -> Audit:
    """Judge the explanations `shap` and `lime` of the rows of `question`.

    `explain_shap` and `explain_lime` explain other questions in the very same way, with a seed: some rows again,
    against other backgrounds, of a network with fresh weights. Of more than 100 rows 100 are looked at, evenly spread.
    `approved` is an explanation of an earlier version of the model, to which the new one is compared.

    Raises `ExplanationRefused` where the explanations are not of these rows, in this unit, and where a guard refuses.
    """
    began = time.process_time(), time.perf_counter()
    # What the audit asks the model is not what an explanation costs.
    question = replace(question, asked=replace(question.asked, rows=0))
    _refuse_strangers(question, shap, lime)
    cautions = _cautions(question, shap, lime)
    picked = _spread(len(question.rows), ROWS)
    looked_at = _Looked(
        _taken(question, picked), shap[picked], None if lime is None else lime[picked], explain_shap, explain_lime, seed
    )
    lines = [line for step in _STEPS for line in step(looked_at)]
    lines += _drift(shap, approved)
    cost = Cost(question.asked.rows, time.process_time() - began[0], time.perf_counter() - began[1])
    methods = (shap.method,) if lime is None else (shap.method, lime.method)
    return Audit(tuple(lines), len(picked), len(question.rows), seed, methods, shap.unit, cautions, cost)


@dataclass(frozen=True, slots=True)
class _Looked:
    """What the steps of an audit look at: some rows, how they were explained, and how to explain others."""

    question: Question
    shap: Explanation
    lime: Explanation | None
    explain_shap: Explain
    explain_lime: Explain | None
    seed: int

    @property
    def k(self) -> int:
        return ranking.depth(self.question.rows.shape[1])

    def generator(self, step: int) -> int:
        """A seed of its own for each step, so that one does not depend on what another drew."""
        return int(np.random.SeedSequence([abs(self.seed), step]).generate_state(1)[0] & 0x7FFFFFFF)


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


def _spread(total: int, most: int) -> NDArray[np.int64]:
    """Positions of at most `most` rows, evenly spread."""
    if total <= most:
        return np.arange(total)
    return np.unique(np.linspace(0, total - 1, most).round().astype(np.int64))


def _taken(question: Question, rows: NDArray[np.int64]) -> Question:
    return replace(
        question,
        rows=question.rows[rows],
        prediction=question.prediction[rows],
        origins=replace(question.origins, data=schema.hash_of(question.rows[rows], question.schema)),
    )


def _against(question: Question, rows: NDArray[np.float64]) -> Question:
    """The same question with another background."""
    origins = replace(question.origins, background=schema.hash_of(rows, question.schema))
    return replace(question, background=rows, origins=origins)


def _reason(error: NbproofError) -> str:
    return str(error).rstrip(".")


def _guarded(gauges: Sequence[Gauge], work: Callable[[], list[Line]]) -> list[Line]:
    """What `work` finds; where it meets an error on purpose, the same lines as not evaluated. Cancelling ends all."""
    try:
        return work()
    except Cancelled:
        raise
    except NbproofError as error:
        return [each.unknown(_reason(error)) for each in gauges]


def _completeness(looked: _Looked) -> list[Line]:
    shap = looked.shap
    limit = guards.EXACT_GAP if shap.is_exact else guards.NEAR_GAP
    gauge = Gauge(
        "completeness of SHAP",
        "Shapley (1953), efficiency; Lundberg and Lee (2017), local accuracy, arXiv 1705.07874",
        limit,
        limit if shap.is_exact else None,
        rises=False,
    )
    found = completeness.measure(shap.total(), shap.prediction, shap.base)
    told = f"Base and shares miss the model's answer by {found.largest:.3g} ({shap.unit}) at most"
    numbers = {"completeness_max": found.largest, "completeness_mean": found.mean}
    if found.relative is None:
        verdict: Verdict = "fail" if shap.is_exact else "warn"
        return [
            gauge.line(found.largest, f"{told}, though these answers do not vary.", verdict=verdict, numbers=numbers)
        ]
    return [
        gauge.line(
            found.relative,
            f"{told}, {found.relative:.2%} of how much the answers vary.",
            numbers={**numbers, "completeness_relative": found.relative},
        )
    ]


def _fidelity(looked: _Looked) -> list[Line]:
    gauge = Gauge("local fidelity of LIME (R²)", RIBEIRO, 0.5, 0.1)
    if looked.lime is None:
        return [gauge.unknown("no LIME explanation was handed in")]
    if looked.lime.surrogate is None:
        return [gauge.unknown("this explanation carries no local surrogate")]
    # Where the model does not vary, R² is a quotient of roundings.
    varies = _told(looked.lime).any(axis=1)
    found = fidelity.measure(np.where(varies, looked.lime.surrogate.r2, np.nan), floor=gauge.passes)
    if found is None:
        return [gauge.unknown("the model does not vary around these rows")]
    return [
        gauge.line(
            found.median,
            f"Near the median row a straight line tells {found.median:.0%} of what the model does, near one row in "
            f"twenty {found.low:.0%} or less.",
            numbers={"lime_r2_median": found.median, "lime_r2_low": found.low, "lime_r2_below": found.below},
        )
    ]


def _agreement(looked: _Looked) -> list[Line]:
    shap, lime, k = looked.shap, looked.lime, looked.k
    features = shap.shape[1]
    chance = k / features
    gauges = [
        # A third of the way from chance to perfect: on clean data three of five shared features are usual.
        Gauge(f"SHAP–LIME agreement: top {k}", KRISHNA, chance + (1 - chance) / 3, chance),
        Gauge("SHAP–LIME agreement: signs", KRISHNA, 0.8, 0.5),
        Gauge("SHAP–LIME agreement: rank correlation", "Kendall (1945), tau-b", 0.3, 0.0),
    ]
    if lime is None:
        return [each.unknown("no LIME explanation was handed in") for each in gauges]
    if features < 2:
        return [each.unknown("one feature has no ranking") for each in gauges]
    comparable = _comparable(looked.question, lime)
    found = agreement.measure(ranking.flat(_told(shap)), ranking.flat(comparable), k=k)
    tops, signs, ranks = gauges
    if found.features is None:
        return [each.unknown("neither names a feature") for each in gauges]
    note = "LIME speaks of being in a bin, SHAP of a value against the background, so full agreement is not expected"
    return [
        tops.line(
            found.features,
            f"Of the {k} features that matter most SHAP and LIME share {found.features:.0%}, of {chance:.0%} by chance "
            f"alone. {note}.",
            numbers={
                f"agreement_top{k}": found.features,
                "agreement_ranks": found.ranks,
                "agreement_signs": found.signs,
                "agreement_signed_ranks": found.signed_ranks,
            },
        ),
        signs.unknown("they share no feature")
        if found.shared_signs is None
        else signs.line(
            found.shared_signs,
            f"Where both name a feature they agree in {found.shared_signs:.0%} of the cases whether it speaks for or "
            "against.",
            numbers={"agreement_shared_signs": found.shared_signs},
        ),
        ranks.unknown("one of them gives every feature the same weight")
        if found.kendall is None
        else ranks.line(
            found.kendall,
            f"Over all features their orders correlate with {found.kendall:.2f} (1: the same, 0: unrelated).",
            numbers={"agreement_kendall": found.kendall},
        ),
    ]


def _comparable(question: Question, lime: Explanation) -> NDArray[np.float64]:
    """LIME's coefficients as shares: a slope on a standardised column is taken times how far the value lies out.

    Where a feature has bins, or is categorical, the coefficient speaks of what the row has, and is a share already.
    """
    values = _told(lime)
    if lime.surrogate is None or question.background is None:
        return values
    declared = {str(each) for each in lime.settings.get("categorical", ())}
    slopes = np.array(
        [
            not (column.is_categorical or column.name in declared or str(at) in declared)
            and bool((lime.surrogate.bins[:, at] < 0).all())
            for at, column in enumerate(question.schema.columns)
        ]
    )
    spread = np.nanstd(question.background, axis=0)
    out = (question.rows - np.nanmean(question.background, axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.where(slopes[None, :, None], values * out[:, :, None], values)


def _told(explanation: Explanation) -> NDArray[np.float64]:
    """The shares (rows, features, outputs) without those that are rounding alone, which would be ranked like others."""
    values = explanation.values.astype(np.float64)
    least = ROUNDING * np.abs(explanation.prediction).max(axis=0)
    return np.where(np.abs(values) > least, values, 0.0)


def _again(looked: _Looked, explain: Explain, rows: int, seeds: Sequence[int]) -> list[Explanation]:
    question = _taken(looked.question, _spread(len(looked.question.rows), rows))
    return [explain(question, seed) for seed in seeds]


def _stacked(found: Sequence[Explanation]) -> NDArray[np.float64]:
    return np.stack([ranking.flat(_told(each)) for each in found])


def _errors(found: Sequence[Explanation]) -> NDArray[np.float64] | None:
    held = [each.error for each in found if each.error is not None]
    return np.stack([ranking.flat(each) for each in held]) if len(held) == len(found) else None


def _stability_of_lime(looked: _Looked) -> list[Line]:
    features, k = looked.question.rows.shape[1], looked.k
    chance = k / features
    gauges = [
        _repeating("LIME"),
        Gauge(f"stability of LIME: same top {k} (VSI)", VISANI, 0.8, min(0.8, chance + (1 - chance) / 3)),
        Gauge("stability of LIME: same coefficients (CSI)", VISANI, 0.9, 0.5),
        Gauge("stability of LIME: sign flips", OURS, 0.05, 0.25, rises=False),
    ]
    if looked.lime is None or looked.explain_lime is None:
        return [each.unknown("no LIME explainer was handed in") for each in gauges]
    explain = looked.explain_lime

    def work() -> list[Line]:
        base = looked.generator(1)
        found = _again(looked, explain, ROWS, [base + at for at in range(LIME_SEEDS)])
        twice = _again(looked, explain, ROWS, [base])
        repeated = gauges[0].line(*_repeated(found[0], twice[0], "LIME"), numbers=None)
        if features < 2:
            return [repeated, *(each.unknown("one feature has no ranking") for each in gauges[1:])]
        measured = stability.measure(_stacked(found), k=k, errors=_errors(found))
        if measured.apart == 0:
            same = f"{LIME_SEEDS} seeds gave the same numbers: the seed is ignored, or the model does not vary"
            return [repeated, *(each.unknown(same) for each in gauges[1:])]
        return [repeated, *_stable_lines(gauges[1:], measured)]

    return _guarded(gauges, work)


def _stable_lines(gauges: Sequence[Gauge], found: stability.Stability) -> list[Line]:
    tops, coefficients, flips = gauges
    return [
        tops.line(
            found.vsi,
            f"Under {found.seeds} seeds two explanations of a row share {found.vsi:.0%} of their top {found.k}, of the "
            f"least stable row {found.worst:.0%}.",
            numbers={"lime_vsi": found.vsi, "lime_vsi_worst": found.worst, "lime_vsi_below": found.below},
        ),
        coefficients.unknown("these explanations carry no standard errors of their coefficients")
        if found.csi is None
        else coefficients.line(
            found.csi,
            f"In {found.csi:.0%} of the cases the 95 % intervals of a coefficient meet under two seeds.",
            numbers={"lime_csi": found.csi},
        ),
        flips.unknown("no feature matters")
        if found.flips is None
        else flips.line(
            found.flips,
            f"Of the features that matter most {found.flips:.0%} change between for and against with the seed.",
            numbers={"lime_sign_flips": found.flips},
        ),
    ]


def _repeating(name: str) -> Gauge:
    return Gauge(f"repeatability of {name}", OURS, 0.0, 0.0, rises=False)


def _repeated(one: Explanation, other: Explanation, name: str) -> tuple[float, str]:
    """How far the same question with the same seed lies apart, and the sentence that says so."""
    apart = float(np.abs(one.values.astype(np.float64) - other.values).max(initial=0.0))
    apart = max(apart, float(np.abs(one.base - other.base).max(initial=0.0)))
    if apart == 0:
        return 0.0, f"{name} with the same seed gives the same numbers, bit for bit."
    return apart, f"{name} with the same seed gives numbers that differ by up to {apart:.3g}: it cannot be reproduced."


def _stability_of_shap(looked: _Looked) -> list[Line]:
    features, k = looked.question.rows.shape[1], looked.k
    chance = k / features
    repeating = _repeating("SHAP")
    gauge = Gauge(f"stability of SHAP: same top {k}", VISANI, 0.8, min(0.8, chance + (1 - chance) / 3))
    exact = Gauge("stability of SHAP: exact", OURS, 1e-6, 1e-6, rises=False)
    judged = exact if looked.shap.is_exact else gauge

    def work() -> list[Line]:
        base = looked.generator(2)
        found = _again(
            looked, looked.explain_shap, FEW_AGAIN, [base, base, *(base + at for at in range(1, SHAP_SEEDS))]
        )
        repeated = repeating.line(*_repeated(found[0], found[1], "SHAP"), numbers=None)
        values = _stacked(found[1:])
        apart = float(np.ptp(values, axis=0).max(initial=0.0))
        if looked.shap.is_exact:
            parts = apart / (float(np.abs(values).max(initial=0.0)) or 1.0)
            told = f"Another seed changes an exact value by {parts:.2g} of the largest share at most."
            return [repeated, exact.line(parts, told)]
        if features < 2:
            return [repeated, gauge.unknown("one feature has no ranking")]
        measured = stability.measure(values, k=k)
        if apart == 0 and looked.shap.seed is not None:
            return [repeated, gauge.unknown(f"{SHAP_SEEDS} seeds gave the same numbers: the seed is ignored")]
        sentence = (
            f"Under {SHAP_SEEDS} seeds two explanations of a row share {measured.vsi:.0%} of their top {k}, of the "
            f"least stable row {measured.worst:.0%}."
            if apart
            else "The method draws nothing at random: every seed gives the same numbers."
        )
        numbers = {"shap_vsi": measured.vsi, "shap_vsi_worst": measured.worst, "shap_sign_flips": measured.flips}
        return [repeated, gauge.line(measured.vsi, sentence, numbers=numbers)]

    return _guarded([repeating, judged], work)


def _deletion(looked: _Looked) -> list[Line]:
    lines = _deletion_of(looked, "SHAP", _told(looked.shap), step=3)
    if looked.lime is None:
        gauges = (_ordering("deletion", "LIME"), _ordering("insertion", "LIME"))
        return lines + [each.unknown("no LIME explanation was handed in") for each in gauges]
    return lines + _deletion_of(looked, "LIME", _comparable(looked.question, looked.lime), step=3)


def _ordering(what: str, name: str) -> Gauge:
    return Gauge(f"{what} by {name}", RISE, SURE, SURE)


def _deletion_of(looked: _Looked, name: str, values: NDArray[Any], *, step: int) -> list[Line]:
    question = looked.question
    gauges = (_ordering("deletion", name), _ordering("insertion", name))
    if question.background is None:
        return [each.unknown("there is no background to replace features with") for each in gauges]
    if len(question.rows) < FEWEST:
        return [each.unknown(_too_few(len(question.rows))) for each in gauges]
    if question.rows.shape[1] < 2:
        return [each.unknown("one feature has no order") for each in gauges]
    against, rows = question.background, question.rows

    def work() -> list[Line]:
        # Both methods meet the same background rows and the same random orders.
        found = deletion.measure(question.asked, rows, values, against, seed=looked.generator(step))
        told = (
            ("Taking away the features that {0} ranks first moves the answer by {1:.3g} in the mean, a random order by "
             "{2:.3g}", found.deleted),
            ("Bringing in the features that {0} ranks first leaves {1:.3g} of distance to the answer, a random order "
             "{2:.3g}", found.inserted),
        )  # fmt: skip
        return [
            _curve_line(gauge, name, sentence, curve) for gauge, (sentence, curve) in zip(gauges, told, strict=True)
        ]

    return _guarded(gauges, work)


def _curve_line(gauge: Gauge, name: str, sentence: str, curve: deletion.Curve) -> Line:
    if curve.sigma is None:
        return gauge.unknown("the order of the features makes no difference to these answers")
    told = sentence.format(name, curve.area, curve.random)
    beyond = f"{curve.sigma:.1f} standard errors better than chance"
    if curve.sigma < SURE:
        beyond = f"it cannot be told from chance ({curve.sigma:+.1f} standard errors)"
    key = f"{name.lower()}_{gauge.name.split()[0]}"
    numbers = {f"{key}_area": curve.area, f"{key}_random": curve.random, f"{key}_sigma": curve.sigma}
    return gauge.line(curve.sigma, f"{told}: {beyond}.", numbers=numbers)


def _too_few(rows: int) -> str:
    return f"{rows} rows are too few to tell it from chance; {FEWEST} are needed"


def _infidelity(looked: _Looked) -> list[Line]:
    question = looked.question
    gauge = Gauge(
        "infidelity of SHAP against saying nothing",
        "Yeh et al. (2019), On the (In)fidelity and Sensitivity of Explanations, arXiv 1901.09392",
        0.8,
        1.0,
        rises=False,
    )
    if question.background is None:
        return [gauge.unknown("there is no background to replace features with")]
    if len(question.rows) < FEWEST:
        return [gauge.unknown(_too_few(len(question.rows)))]
    against = question.background

    def work() -> list[Line]:
        found = infidelity.measure(question.asked, question.rows, looked.shap.values, against, seed=looked.generator(4))
        if found.ratio is None:
            return [gauge.unknown("replacing features never changes these answers")]
        # A ratio below 1 may be luck.
        verdict: Verdict | None = "fail" if (found.sigma or 0.0) < SURE else None
        told = (
            f"Foretelling by the shares what happens when features are replaced has {found.ratio:.0%} of the error of "
            "an explanation that says nothing"
        )
        close = "." if verdict is None else ": it cannot be told from saying nothing, or is worse."
        numbers = {"infidelity": found.value, "infidelity_empty": found.empty, "infidelity_ratio": found.ratio}
        return [gauge.line(found.ratio, told + close, verdict=verdict, numbers=numbers)]

    return _guarded([gauge], work)


def _background(looked: _Looked) -> list[Line]:
    gauge = Gauge(
        "sensitivity of SHAP to the background",
        "Yuan et al. (2022), arXiv 2204.11351; Janzing, Minorics and Blöbaum (2020), arXiv 1910.13413",
        0.8,
        0.5,
    )
    against = looked.question.background
    if against is None or looked.shap.origins.background is None:
        return [gauge.unknown("these values do not depend on a background")]
    if len(against) < HALVES:
        return [gauge.unknown(f"{len(against)} background rows cannot be cut into two; {HALVES} are needed")]

    def work() -> list[Line]:
        question = _taken(looked.question, _spread(len(looked.question.rows), AGAIN))
        order = np.random.default_rng(looked.generator(5)).permutation(len(against))
        half = min(len(against) // 2, HALF)
        one, other = (
            ranking.flat(_told(looked.explain_shap(_against(question, against[np.sort(part)]), looked.seed)))
            for part in (order[:half], order[half : 2 * half])
        )
        found = background.measure(one, [other], k=looked.k)
        if found.spearman is None:
            return [gauge.unknown("there are no two features to rank")]
        told = (
            f"Against two backgrounds of {half} rows that share none, the orders of the features correlate with "
            f"{found.spearman:.2f}, and {found.top:.0%} of the top {looked.k} are the same."
        )
        return [
            gauge.line(
                found.spearman, told, numbers={"background_spearman": found.spearman, "background_top": found.top}
            )
        ]

    return _guarded([gauge], work)


def _randomisation(looked: _Looked) -> list[Line]:
    gauge = Gauge(
        "randomised weights",
        "Adebayo et al. (2018), Sanity Checks for Saliency Maps, arXiv 1810.03292; limits: arXiv 2405.02383",
        0.5,
        0.9,
        rises=False,
    )
    if looked.question.model.family != "network":
        return [gauge.unknown("the model is no network whose weights could be drawn anew")]

    def work() -> list[Line]:
        question = _taken(looked.question, _spread(len(looked.question.rows), AGAIN))
        shown = looked.shap[_spread(len(looked.question.rows), AGAIN)]
        others = []
        for at in range(NETWORKS):
            try:
                fresh = randomisation.reinitialised(question.model.fitted, looked.generator(6) + at)
            except (RuntimeError, TypeError, AttributeError) as error:
                return [gauge.unknown(f"the network cannot be copied ({error})")]
            other = _asking(question, fresh)
            others.append(ranking.flat(_told(looked.explain_shap(other, looked.seed))))
            question.asked.rows += other.asked.rows
        found = randomisation.measure(ranking.flat(_told(shown)), others)
        if found.spearman is None:
            return [gauge.unknown("there are no two features to rank")]
        told = (
            f"With weights drawn anew the order of the features correlates with the shown one by {found.spearman:.2f}: "
            + ("the explanation depends on what was learnt." if gauge.judge(found.spearman) == "pass" else
               "it owes much to the rows, or to the columns' scales, and less to what was learnt.")
        )  # fmt: skip
        return [gauge.line(found.spearman, told, numbers={"randomised_spearman": found.spearman})]

    return _guarded([gauge], work)


def _asking(question: Question, fitted: Any) -> Question:
    """The same question to another model of the same kind."""
    answers = question.answers
    read = models.read(fitted, unit=answers.unit, output_names=answers.outputs)
    asked = Asked(read, question.schema, read.answering(answers.unit))
    origins = replace(question.origins, model=models.hash_of(read))
    return replace(question, asked=asked, prediction=asked(question.rows), origins=origins)


@dataclass(slots=True)
class _Overheard(Asked):
    """A model being asked, that keeps some of what it is asked and what it answers."""

    heard: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=list)
    kept: int = 0

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        answers = Asked.__call__(self, values)
        if self.kept < HEARD_MOST:
            # At random, since what is laid out in regular order must not be cut in regular order.
            random = np.random.default_rng(len(self.heard))
            some = np.sort(random.permutation(len(values))[:HEARD_EACH])
            self.heard.append((values[some].copy(), answers[some].copy()))
            self.kept += len(some)
        return answers


def _manipulation(looked: _Looked) -> list[Line]:
    lines = _manipulation_of(looked, "SHAP", looked.explain_shap)
    if looked.lime is None or looked.explain_lime is None:
        return [*lines, _gaming("LIME").unknown("no LIME explainer was handed in")]
    return lines + _manipulation_of(looked, "LIME", looked.explain_lime)


def _gaming(name: str) -> Gauge:
    return Gauge(
        f"could {name} be gamed", "Slack et al. (2020), Fooling LIME and SHAP, arXiv 1911.02508", 0.9, None, False
    )


def _manipulation_of(looked: _Looked, name: str, explain: Explain) -> list[Line]:
    question, gauge = looked.question, _gaming(name)
    parts = [question.rows] if question.background is None else [question.background, question.rows]
    real = np.unique(np.concatenate(parts), axis=0)
    if len(real) < KNOWN_ROWS:
        return [gauge.unknown(f"{len(real)} real rows are too few to know how real rows look; {KNOWN_ROWS} are needed")]

    def work() -> list[Line]:
        asked = question.asked
        overheard = _Overheard(asked.model, asked.schema, asked.answers)
        some = _taken(question, _spread(len(question.rows), FEW_AGAIN))
        explain(replace(some, asked=overheard), looked.generator(7))
        asked.rows += overheard.rows
        probes, answers = _probes(overheard, real)
        if len(probes) < KNOWN_ROWS:
            return [gauge.unknown("the method asks the model about hardly any made-up row, so there is nothing to see")]
        # A forest must see that a value is missing: it becomes the least of all.
        least = np.nan_to_num(np.fmin.reduce(real, axis=0)) - 1.0
        known, tried = (np.where(np.isnan(side), least, side) for side in (real, probes))
        found = manipulation.measure(known, tried, asked(real), answers, seed=looked.generator(8))
        return [_gamed_line(gauge, name, found)]

    return _guarded([gauge], work)


def _probes(overheard: _Overheard, real: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The made-up rows that a model was asked about, each once, without real rows; and its answers."""
    width = real.shape[1]
    points = np.concatenate([each for each, _ in overheard.heard]) if overheard.heard else np.zeros((0, width))
    if not len(points):
        return points, np.zeros((0, len(overheard.answers.outputs)))
    answers = np.concatenate([each for _, each in overheard.heard])
    known = {row.tobytes() for row in real}
    first = np.sort(np.unique(points, axis=0, return_index=True)[1])
    kept = [at for at in map(int, first) if points[at].tobytes() not in known]
    return points[kept], answers[kept]


def _gamed_line(gauge: Gauge, name: str, found: manipulation.Manipulation) -> Line:
    numbers = {
        f"{name.lower()}_gaming_auc": found.auc,
        f"{name.lower()}_gaming_known": found.known,
        f"{name.lower()}_gaming_told": found.told,
    }
    told = f"A model could tell {name}'s probes from real rows with an area under the curve of {found.auc:.2f}"
    behaviour = "."
    verdict: Verdict | None = None
    if found.known is not None and found.told is not None and found.known > 0.5:
        share = max(found.told, 0.0) / found.known
        behaviour = f"; of what answers to real rows tell about one another, answers to probes tell {share:.0%}."
    if found.acts_apart:
        verdict = "fail"
        behaviour += " This model treats probes and people by different rules: the explanation is of the former."
    elif found.tells_little:
        verdict = "warn"
        behaviour += " It is a wild one, or treats probes otherwise."
    elif gauge.judge(found.auc) == "warn":
        behaviour += f" Nobody should rely on {name} alone."
    return gauge.line(found.auc, told + behaviour, verdict=verdict, numbers=numbers)


def _drift(shap: Explanation, approved: Explanation | None) -> list[Line]:
    gauge = Gauge(
        "drift from the approved explanation (nDCG)",
        "Järvelin and Kekäläinen (2002); alarm below 0.9: Amazon SageMaker Clarify, Feature attribution drift",
        0.9,
        0.9,
    )
    if approved is None:
        return [gauge.unknown("there is no approved explanation to compare with")]
    if approved.feature_names != shap.feature_names or approved.output_names != shap.output_names:
        return [gauge.unknown("the approved explanation is of other features or outputs")]
    if approved.unit != shap.unit:
        return [gauge.unknown(f"the approved explanation is in {approved.unit}, this one in {shap.unit}")]
    k, now, before = ranking.depth(shap.shape[1]), shap.importance(), approved.importance()
    found = [drift.measure(before[:, at], now[:, at], k=k) for at in range(now.shape[1])]
    known = [each for each in found if each is not None]
    if len(known) < len(found) or shap.shape[1] < 2:
        return [gauge.unknown("one of the explanations gives no feature any weight, or there is only one feature")]
    worst = min(known, key=lambda each: each.ndcg)
    told = (
        f"The order of importance has an nDCG of {worst.ndcg:.2f} to the approved one, and {worst.top:.0%} of the top "
        f"{k} are the same; most moved {shap.feature_names[worst.moved]}, by {worst.change:+.0%} of all importance."
    )
    return [gauge.line(worst.ndcg, told, numbers={"drift_ndcg": worst.ndcg, "drift_top": worst.top})]


_STEPS: Sequence[Callable[[_Looked], list[Line]]] = (
    _completeness,
    _fidelity,
    _agreement,
    _stability_of_shap,
    _stability_of_lime,
    _deletion,
    _infidelity,
    _background,
    _randomisation,
    _manipulation,
)
