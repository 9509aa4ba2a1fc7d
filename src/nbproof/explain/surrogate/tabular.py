"""LIME for tables: the numbers of lime 0.2.0.1, for all rows and outputs at once (Ribeiro, Singh, Guestrin 2016).

With bins the perturbed points do not depend on the row. Where the seed is set anew for every row, as a reproducible
explanation asks for, all rows therefore share one neighbourhood, and the model is asked about it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from ...errors import DataUnusable, UnknownName
from ..explanation import Explanation, Surrogate
from ..progress import Watch, chunks
from ..question import Question
from . import discretizing, sparse
from .arrays import Arrays, on
from .kernel import Kernel
from .moments import moments
from .neighbourhood import Binned, Drawn, Sampler, Standardised
from .plan import Mode, Plan, calls_for, categorical_columns, generator, training_of
from .selecting import select, way
from .solving import Fitted, ridge

METHOD = "lime"
MODES = ("row", "stream")
# Numbers in the columns of the neighbourhoods that are worked on at a time, few enough that caches help; fewer in a
# stream, where points and answers have to stay in them, too.
AT_ONCE = {"row": 2**19, "stream": 2**17}


def explain(
    question: Question,
    *,
    seed: int = 0,
    features: int | None = 10,
    samples: int = 5000,
    mode: Mode = "row",
    discretizer: str | None = "quartile",
    selection: str = "auto",
    categorical: Sequence[int | str] = (),
    labels: Sequence[Any] | NDArray[Any] | None = None,
    fix_point_mass: bool = False,
    around_row: bool = False,
    kernel_width: float | None = None,
    device: str | Arrays = "cpu",
    watch: Watch | None = None,
) -> Explanation:
    """The local linear models of each row, by lime's method and with lime's numbers.

    The question's background is the training data. `features` are chosen for each row and output (None: all) by
    `selection`: "auto", "none", "forward_selection", "highest_weights" or "lasso_path". `discretizer` is "quartile",
    "decile", "entropy" (of the training `labels`) or None for standardised values; without bins, `around_row` draws
    around the row in place of the training data's means. `categorical` columns, besides those that the schema knows,
    count as the same or not the same. Sparse rows are explained without bins, as in lime. `fix_point_mass` mends
    lime's error with bins and columns of one value, which it asks the model about elsewhere; a note says where.

    In the mode "row" a row's explanation depends on `seed` and the row alone: lime with
    `explainer.random_state.seed(seed)` before each row. In the mode "stream" rows go on with one stream of random
    numbers, as successive calls of `LimeTabularExplainer(..., random_state=seed)` do.

    In the result, `values` are the coefficients and `base` the intercepts; in `surrogate` they stand in full precision.

    Raises `DataUnusable` without a background, for a missing value (NaN) in rows or training data, of which lime would
    make up a bin or fail, and for options that do not go together; `UnknownName` for a way that there is not;
    `Cancelled`.
    """
    training = training_of(question)
    names = question.schema.names
    _refuse_numbers(samples, features, kernel_width)
    if mode not in MODES:
        raise UnknownName("mode", mode, MODES)
    discrete = categorical_columns(question, categorical)
    is_sparse = question.schema.form == "sparse"
    if is_sparse:
        _refuse_for_sparse(discrete, around_row)
        discretizer, device = None, "cpu"
    wanted = len(names) if features is None else features
    plan = Plan(
        seed=seed,
        features=min(wanted, len(names)),
        samples=samples,
        mode=mode,
        way=way(selection, wanted),
        kernel=Kernel.for_columns(len(names)) if kernel_width is None else Kernel(float(kernel_width)),
        arrays=on(device),
    )
    random = generator(seed)
    bins: dict[int, discretizing.Bins] = {}
    if discretizer is not None:
        continuous = [at for at in range(len(names)) if at not in discrete]
        given = None if labels is None else np.asarray(labels)
        bins = discretizing.fit(discretizer, training, continuous, labels=given, random=random)
    sampler: Sampler | None = None
    if discretizer is not None:
        sampler = Binned.of(training, bins, fix_point_mass=fix_point_mass)
    elif not is_sparse:
        sampler = Standardised.of(training, discrete, around_row=around_row, fix_point_mass=fix_point_mass)
    watch = watch or Watch()
    if sampler is None:
        fits = sparse.fits(question, plan, training, random, watch)
    else:
        fits = _fits(question, plan, sampler, random, watch)
    surrogate, errors = _surrogate(question, fits, bins, plan.arrays)
    return question.explained(
        surrogate.coefficients,
        surrogate.intercept,
        method=METHOD,
        seed=seed,
        error=errors,
        surrogate=surrogate,
        settings={
            "samples": samples,
            "features": plan.features,
            "mode": mode,
            "discretizer": discretizer,
            "selection": plan.way,
            "categorical": [names[at] for at in discrete],
            "fix_point_mass": fix_point_mass,
            "around_row": around_row,
            "kernel_width": plan.kernel.width,
            "device": plan.arrays.device,
        },
        notes=_notes(question, sampler, training, discrete),
    )


def _refuse_numbers(samples: int, features: int | None, kernel_width: float | None) -> None:
    if samples < 2:
        raise DataUnusable("samples", str(samples), "at least 2: the row and a point near it")
    if features is not None and features < 1:
        raise DataUnusable("features", str(features), "at least 1, or None for all")
    if kernel_width is not None and not kernel_width > 0:
        raise DataUnusable("kernel_width", str(kernel_width), "a positive number")


def _refuse_for_sparse(discrete: Sequence[int], around_row: bool) -> None:
    """What lime cannot do for sparse rows has no numbers to agree with."""
    if discrete:
        raise DataUnusable("categorical", "categorical columns of sparse rows", "none, or rows as an array")
    if around_row:
        raise DataUnusable("around_row", "True for sparse rows", "False, or rows as an array")


def _fits(question: Question, plan: Plan, sampler: Sampler, random: RandomState, watch: Watch) -> list[list[Fitted]]:
    """The fits of each chunk of rows, one for each output."""
    found: list[list[Fitted]] = []
    own = question.prediction
    for part, drawn, given in _neighbourhoods(question, plan, sampler, random, watch):
        seen = sampler.seen(drawn, question.rows[part], plan.arrays, plan.kernel)
        given[:, 0] = own[part]
        held = moments(plan.arrays, seen.columns, plan.arrays.put(given), seen.roots, seen.shift)
        ridges = []
        for output in range(own.shape[1]):
            chosen = select(plan.arrays, plan.way, held, output, seen.own, plan.features, plan.samples)
            ridges.append(ridge(plan.arrays, held, output, chosen, seen.own, plan.samples))
        found.append(ridges)
    return found


def _neighbourhoods(
    question: Question, plan: Plan, sampler: Sampler, random: RandomState, watch: Watch
) -> Iterator[tuple[slice, Drawn, NDArray[np.float64]]]:
    """The rows in chunks, with the points drawn for them and the model's answers (rows, samples, outputs)."""
    rows, outputs = question.rows, question.prediction.shape[1]
    size = max(1, AT_ONCE[plan.mode] // (plan.samples * rows.shape[1]))
    shape = (plan.samples, outputs)
    calls = calls_for(rows.shape[1], watch)
    if plan.mode == "row":
        random.seed(plan.seed)
        drawn = sampler.draw(random, plan.samples, plan.arrays)
    shared = np.empty((1, *shape))
    if plan.mode == "row" and sampler.is_shared:
        near = sampler.points(drawn, rows[:1])[0, 1:]
        shared[0, 1:] = calls(len(near), partial(_answers, question, near))
    for part in chunks(len(rows), size, watch):
        count = len(rows[part])
        if plan.mode == "stream":
            draws = [sampler.draw(random, plan.samples, plan.arrays) for _ in range(count)]
            drawn = draws[0].joined(draws[1:], plan.arrays)
        elif sampler.is_shared:
            yield part, drawn, np.repeat(shared, count, axis=0)
            continue
        points = sampler.points(drawn, rows[part])
        points[:, 0] = rows[part]
        flat = points.reshape(-1, rows.shape[1])
        given = calls(len(flat), partial(_answers, question, flat))
        yield part, drawn, given.reshape(count, *shape)


def _answers(question: Question, points: NDArray[np.float64], part: slice) -> NDArray[np.float64]:
    return question.asked(points[part])


def _surrogate(
    question: Question, fits: Sequence[Sequence[Fitted]], bins: dict[int, discretizing.Bins], arrays: Arrays
) -> tuple[Surrogate, NDArray[np.float64] | None]:
    """The fits of all chunks as arrays by row and output, and the standard errors of the coefficients, if known."""
    rows, features = question.rows.shape
    outputs = question.prediction.shape[1]
    most = max(each.selected.shape[1] for ridges in fits for each in ridges)
    coefficients = np.zeros((rows, features, outputs))
    errors = None if fits[0][0].errors is None else np.zeros_like(coefficients)
    selected = np.full((rows, outputs, most), -1, dtype=np.int64)
    scalars = np.empty((3, rows, outputs))
    start = 0
    for ridges in fits:
        for output, each in enumerate(ridges):
            chosen, weights, intercept, r2, local = (
                arrays.get(part) for part in (each.selected, each.coefficients, each.intercept, each.r2, each.local)
            )
            part = slice(start, start + len(chosen))
            selected[part, output, : chosen.shape[1]] = chosen
            row, place = np.nonzero(chosen >= 0)
            coefficients[start + row, chosen[row, place], output] = weights[row, place]
            if errors is not None:
                errors[start + row, chosen[row, place], output] = arrays.get(each.errors)[row, place]
            scalars[:, part, output] = intercept, r2, local
        start = part.stop
    held = np.full((rows, features), -1, dtype=np.int64)
    for at, each_bins in bins.items():
        held[:, at] = each_bins.holding(question.rows[:, at])
    names = question.schema.names
    surrogate = Surrogate(
        coefficients=coefficients,
        intercept=scalars[0],
        r2=scalars[1],
        local=scalars[2],
        predicted=question.prediction,
        selected=selected,
        bins=held,
        bin_names=tuple(bins[at].names(name) if at in bins else () for at, name in enumerate(names)) if bins else (),
    )
    return surrogate, errors


def _notes(
    question: Question, sampler: Sampler | None, training: NDArray[np.float64], discrete: Sequence[int]
) -> list[str]:
    """What a reader must know of these numbers."""
    names = question.schema.names
    notes = []
    if sampler is None:
        return ["sparse rows are explained without bins: only values other than 0 were changed"]
    for at, name in enumerate(names):
        values = np.unique(training[:, at])
        if at in discrete:
            continue
        if isinstance(sampler, Standardised) and len(values) == 1 and sampler.spread[at] > 0.0:
            notes.append(
                f"`{name}` is {values[0]:.4g} everywhere in the training data, and was asked elsewhere, as by lime "
                "(fix_point_mass=True mends it)"
            )
        if len(values) == 2:
            notes.append(
                f"`{name}` holds only {values[0]:g} and {values[1]:g} and was not declared categorical: the model was "
                f"asked about values in between (pass categorical=[{name!r}])"
            )
    if isinstance(sampler, Binned):
        for at, share, asked, held in sampler.misplaced():
            notes.append(
                f"`{names[at]}` was asked at {asked:.4g} in {share:.1%} of the points, where the training data has "
                f"{held:.4g}: lime's own error with a bin of one value, kept for the same numbers "
                "(fix_point_mass=True mends it)"
            )
    return notes
