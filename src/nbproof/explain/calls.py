"""What a notebook calls: a model and rows in, an explanation out that shows itself; every guard stands before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import ExplanationRefused
from . import auditing, folder, guards
from .auditing import STEPS, Audit, Step
from .explanation import Explanation, Unit
from .folder import Kept
from .guards import Caution
from .metrics import ranking
from .progress import Estimate, Watch
from .question import Question, ask
from .shapley import dispatch
from .shown import Both, Shown, shown
from .shown import both as _both
from .surrogate import adaptive, tabular

if TYPE_CHECKING:
    from .whatif import WhatIf


# A guard's check, and the word by which LIME's own note on the same thing is known.
TOLD_BY_LIME = {"point mass": "fix_point_mass", "undeclared categories": "categorical"}


@dataclass(frozen=True, slots=True)
class LimeOptions:
    """How LIME explains a table; each as in `lime`.

    `until_stable` is the floor that the stability over seeds must pass, between 0 and 1: `samples` are doubled until it
    does (see `surrogate.adaptive`). None: `samples` are drawn, however stable.
    """

    features: int | None = 10
    samples: int = 5000
    mode: Literal["row", "stream"] = "row"
    discretizer: str | None = "quartile"
    selection: str = "auto"
    categorical: Sequence[int | str] = ()
    fix_point_mass: bool = False
    until_stable: float | None = None


def shap(
    model: Any,
    rows: Any,
    background: Any = None,
    *,
    background_weights: Any = None,
    method: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    unit: Unit | None = None,
    output_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    feature_units: Mapping[str, str] | None = None,
    strict: bool = False,
    watch: Watch | None = None,
) -> Shown:
    """Shapley values of `rows`, by `method` or by the one that fits the model.

    `background` are rows to compare with: a black box needs them, trees and boosted models do not.
    `background_weights` says of each of them how much it counts; a method that cannot take that refuses it. `unit`
    chooses among what the model answers ("probability", "log-odds", "raw"; None: the model's own). `samples` is how
    much a sampling method draws, `seed` with what. With `strict` a caution (see `guards`) is a refusal.

    Raises `ModelUnusable` and `DataUnusable` for what cannot be asked, `ModelUnsteady`, `ExplanationRefused` for what
    would be wrong, `Cancelled` when `watch` asks for the end.
    """
    question = ask(
        model, rows, background=background, background_weights=background_weights, unit=unit,
        output_names=output_names, feature_names=feature_names, feature_units=feature_units,
    )  # fmt: skip
    return shown(_shap(question, method, seed, samples, strict, watch))


def lime(
    model: Any,
    rows: Any,
    training: Any,
    *,
    seed: int = 0,
    features: int | None = 10,
    samples: int = 5000,
    mode: Literal["row", "stream"] = "row",
    discretizer: str | None = "quartile",
    selection: str = "auto",
    categorical: Sequence[int | str] = (),
    fix_point_mass: bool = False,
    until_stable: float | None = None,
    unit: Unit | None = None,
    output_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    feature_units: Mapping[str, str] | None = None,
    strict: bool = False,
    watch: Watch | None = None,
) -> Shown:
    """Local linear models of `rows` by LIME, with the numbers of lime 0.2.0.1; `training` tells how values are spread.

    `until_stable` is a floor for the stability over seeds, such as 0.9: `samples` are doubled until it is passed.
    See `surrogate.tabular.explain` for the other options, and `shap` for the rest and for what is raised.
    """
    question = ask(
        model, rows, background=training, unit=unit,
        output_names=output_names, feature_names=feature_names, feature_units=feature_units,
    )  # fmt: skip
    options = LimeOptions(features, samples, mode, discretizer, selection, categorical, fix_point_mass, until_stable)
    return shown(_lime(question, options, seed, strict, watch))


def both(
    model: Any,
    rows: Any,
    background: Any,
    *,
    method: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    lime: LimeOptions | None = None,
    is_audited: bool = False,
    approved: Explanation | None = None,
    unit: Unit | None = None,
    output_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    feature_units: Mapping[str, str] | None = None,
    strict: bool = False,
    watch: Watch | None = None,
) -> Both:
    """Shapley values and LIME of the same rows in the same unit, side by side; with `is_audited` also their audit.

    `background` serves both: what SHAP compares with, and what LIME learns the spread of values from. `approved` is an
    explanation of an earlier version, with which the audit compares. Raises as `shap` does.
    """
    question = ask(
        model, rows, background=background, unit=unit,
        output_names=output_names, feature_names=feature_names, feature_units=feature_units,
    )  # fmt: skip
    return explained(
        question, method=method, seed=seed, samples=samples, lime=lime or LimeOptions(),
        is_audited=is_audited, approved=approved, strict=strict, watch=watch,
    )  # fmt: skip


def explained(
    question: Question,
    *,
    method: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    lime: LimeOptions | None = None,
    is_audited: bool = False,
    approved: Explanation | None = None,
    strict: bool = False,
    watch: Watch | None = None,
) -> Both:
    """The question explained by SHAP, by LIME where `lime` tells how, and audited where that is asked for."""
    by_shap = _shap(question, method, seed, samples, strict, watch)
    by_lime = None
    if lime is not None:
        by_lime = _lime(question.again(), lime, seed, strict, watch)
        guards.side_by_side(by_shap, by_lime)
    found = None
    if is_audited:
        found = audited(question, by_shap, by_lime, samples, lime, seed, approved, watch)
        failed = [line.name for line in found.judged("fail")]
        if strict and failed:
            raise ExplanationRefused("the audit", f"failed: {', '.join(failed)}", "an audit that fails nothing")
    return _both(Kept(by_shap, by_lime, found))


def audit(
    model: Any,
    rows: Any,
    background: Any = None,
    *,
    shap: Explanation | None = None,
    lime: Explanation | None = None,
    samples: int | None = None,
    lime_options: LimeOptions | None = None,
    seed: int = 0,
    approved: Explanation | None = None,
    unit: Unit | None = None,
    output_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
) -> Audit:
    """How far the explanations `shap` and `lime` of these very rows can be trusted (None: explain them first).

    Some rows are explained again, in the same way: pass the `samples` and `lime_options` that were used before. LIME is
    judged where `lime` or `lime_options` is given. Raises `ExplanationRefused` where the explanations are not of these
    rows, and as `shap` does.
    """
    question = ask(
        model, rows, background=background, unit=unit or (shap.unit if shap is not None else None),
        output_names=output_names, feature_names=feature_names,
    )  # fmt: skip
    options = lime_options or (LimeOptions() if lime is not None else None)
    by_shap = shap if shap is not None else _shap(question, None, seed, samples, False, None)
    if lime is None and options is not None:
        lime = _lime(question.again(), options, seed, False, None)
    return audited(question, by_shap, lime, samples, options, seed, approved)


def estimate(
    model: Any,
    rows: Any,
    background: Any = None,
    *,
    background_weights: Any = None,
    method: str | None = None,
    samples: int | None = None,
    unit: Unit | None = None,
) -> Estimate:
    """How long `shap` would take for these rows, by a probe of a few of them."""
    question = ask(model, rows, background=background, background_weights=background_weights, unit=unit)
    return dispatch.estimate(question, method=method, samples=samples)


def save(what: Explanation | Kept, to: str | Path) -> None:
    """Save an explanation, or both with their audit, to a folder of plain files. Raises `Unwritable`."""
    kept = _kept(what)
    folder.save(Path(to), shap=kept.shap, lime=kept.lime, audit=kept.audit)


def load(source: str | Path) -> Both:
    """What `save` or `log` wrote: from a folder, or from `runs:/RUN/explain`.

    Raises `ExplanationRefused` for what is missing, cut short, changed or not nbproof's.
    """
    if str(source).startswith("runs:/"):
        from . import tracking

        return _both(tracking.load(str(source)))
    return _both(folder.load(Path(source)))


def log(what: Explanation | Kept, *, run_id: str | None = None, artifact_path: str = "explain") -> str:
    """Log to an MLflow run (None: the active one) and return the URI that `load` takes."""
    from . import tracking

    return tracking.log(_kept(what), run_id=run_id, artifact_path=artifact_path)


def what_if(
    model: Any,
    row: Any,
    training: Any,
    *,
    method: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    lime: LimeOptions | None = None,
    unit: Unit | None = None,
    output: str | None = None,
    output_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    feature_units: Mapping[str, str] | None = None,
) -> WhatIf:
    """A control with which one row of a live model is edited: prediction and both explanations follow each edit.

    It says where an edited value lies outside the training data. `output` is what is drawn (None: the likeliest).
    """
    from .whatif import WhatIf

    def explain(question: Question) -> Both:
        return explained(question, method=method, seed=seed, samples=samples, lime=lime or LimeOptions())

    return WhatIf(
        model, row, training, explain=explain, unit=unit, output=output,
        output_names=output_names, feature_names=feature_names, feature_units=feature_units,
    )  # fmt: skip


def _kept(what: Explanation | Kept) -> Kept:
    if isinstance(what, Kept):
        return what
    return Kept(lime=what) if what.surrogate is not None else Kept(shap=what)


def _shap(
    question: Question, method: str | None, seed: int, samples: int | None, strict: bool, watch: Watch | None
) -> Explanation:
    cautions = guards.before_shap(question, strict=strict)
    made = dispatch.explain(question, method=method, seed=seed, samples=samples, watch=watch)
    return _noted(made, (*cautions, *guards.before_showing(made, model_outputs=made.output_names, strict=strict)))


def _lime(question: Question, options: LimeOptions, seed: int, strict: bool, watch: Watch | None) -> Explanation:
    cautions = guards.before_lime(
        question, categorical=options.categorical, fix_point_mass=options.fix_point_mass,
        discretizer=options.discretizer, strict=strict,
    )  # fmt: skip
    made = _by_lime(question, options, seed, watch)
    return _noted(made, [caution for caution in cautions if not _is_told(caution, made.notes)])


def _by_lime(question: Question, options: LimeOptions, seed: int, watch: Watch | None = None) -> Explanation:
    def with_samples(with_seed: int, samples: int) -> Explanation:
        return tabular.explain(
            question, seed=with_seed, features=options.features, samples=samples, mode=options.mode,
            discretizer=options.discretizer, selection=options.selection, categorical=options.categorical,
            fix_point_mass=options.fix_point_mass, watch=watch,
        )  # fmt: skip

    if options.until_stable is None:
        return with_samples(seed, options.samples)
    # Longer lists of few features are alike by chance.
    top, most = ranking.depth(question.rows.shape[1]), max(adaptive.MOST, options.samples)
    return adaptive.grow(
        with_samples, seed=seed, floor=options.until_stable, top=top, samples=options.samples, most=most
    ).explanation


def audited(
    question: Question,
    by_shap: Explanation,
    by_lime: Explanation | None,
    samples: int | None,
    options: LimeOptions | None,
    seed: int,
    approved: Explanation | None,
    watch: Watch | None = None,
    steps: Sequence[Step] = STEPS,
) -> Audit:
    """The audit, with explainers that explain other rows in the very same way; what cancels them cancels it."""
    quiet = None if watch is None else Watch(cancel=watch.cancel)

    def shap_again(asked: Question, with_seed: int) -> Explanation:
        return dispatch.explain(asked, method=by_shap.method, seed=with_seed, samples=samples, watch=quiet)

    # With as many samples as were enough, not in search of them again.
    used = options or LimeOptions()
    if by_lime is not None and used.until_stable is not None:
        used = replace(used, samples=int(by_lime.settings["samples"]), until_stable=None)

    def lime_again(asked: Question, with_seed: int) -> Explanation:
        return _by_lime(asked, used, with_seed, quiet)

    return auditing.audit(
        question, by_shap, by_lime, explain_shap=shap_again, explain_lime=None if by_lime is None else lime_again,
        seed=seed, approved=approved, steps=steps,
    )  # fmt: skip


def _is_told(caution: Caution, notes: Sequence[str]) -> bool:
    """Whether LIME itself, which counted its points, has said it already, and more exactly."""
    word = TOLD_BY_LIME.get(caution.check)
    return word is not None and any(word in note and f"`{caution.feature}`" in note for note in notes)


def _noted(made: Explanation, cautions: Sequence[Caution]) -> Explanation:
    """The explanation with what its guards found, said once."""
    sentences = (caution.sentence for caution in cautions)
    return replace(made, notes=tuple(dict.fromkeys((*made.notes, *sentences))))
