"""Attributions of a torch module by its gradients, batched: fast for many rows, and approximate.

Integrated gradients (Sundararajan et al., 2017) from every row of the reference, averaged: expected gradients (Erion
et al., 2021) without their chance. They are Aumann–Shapley values, not Shapley values; what the numerical integral
misses stays visible as the completeness gap.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...errors import ExplanationRefused
from ..explanation import Explanation
from ..pacing import Calls
from ..progress import Watch
from ..question import Question
from .coalitions import POINTS
from .reference import reference_of

STEPS = 16


def reads(question: Question) -> bool:
    """Whether the model is a torch module that takes plain numbers."""
    return question.model.family == "network" and not question.schema.categorical


def explain(question: Question, *, seed: int, samples: int | None, watch: Watch) -> Explanation:
    """The values by `samples` gradients for each row (None: 16 on the way from each of at most 100 background rows).

    Raises `ExplanationRefused` where the module's answers have no gradient.
    """
    reference = reference_of(question, "gradients", seed=seed)
    against = len(reference.rows)
    steps = STEPS if samples is None else max(2, samples // against)
    # Gauss and Legendre's nodes on [0, 1].
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    at, weight = (nodes + 1) / 2, np.outer(reference.weights, weights / 2).reshape(-1)
    features, outputs = question.rows.shape[1], len(question.answers.outputs)
    values = np.empty((len(question.rows), features, outputs))
    watch.begin()
    calls = Calls(watch, POINTS)
    for number, row in enumerate(question.rows):
        watch.step(number, len(question.rows))
        way = row - reference.rows
        points = (reference.rows[:, None] + at[None, :, None] * way[:, None]).reshape(-1, features)
        gradients = calls(len(points), partial(_gradients, question, points))
        # Σ over reference rows and nodes of weight × way × gradient.
        values[number] = np.einsum("p,pf,pfo->fo", weight, np.repeat(way, steps, axis=0), gradients, optimize=True)
    watch.step(len(question.rows), len(question.rows))
    gap = np.abs(reference.base + values.sum(axis=1) - question.prediction).max()
    return question.explained(
        values,
        reference.base,
        method="gradients",
        seed=None if reference.is_whole else seed,
        settings={"steps": steps, **reference.settings},
        notes=(
            "Averaged integrated gradients approximate Shapley values; base and shares miss the model's answer by up "
            f"to {gap:.2g}.",
            *reference.notes,
        ),
    )


def _gradients(question: Question, every: NDArray[np.float64], part: slice) -> NDArray[np.float64]:
    """Derivatives (points, features, outputs) of the module's answers at some of the points."""
    import torch

    module, points = question.model.fitted, every[part]
    held = next(module.parameters(), None)
    device = held.device if held is not None else torch.device("cpu")
    dtype = held.dtype if held is not None and held.dtype.is_floating_point else torch.float32
    # Scikit-learn's and pandas' forms alike become an array for a module.
    taken = np.ascontiguousarray(question.schema.decoded(points))
    inputs = torch.as_tensor(taken, dtype=dtype, device=device).requires_grad_(True)
    with torch.enable_grad():
        answers = module(inputs).reshape(len(points), -1)
    if not answers.requires_grad:
        raise ExplanationRefused(f"the gradients of {question.model.name}", "answers without a gradient",
                                 "a differentiable module", hint="pass method='sampled'")  # fmt: skip
    question.asked.rows += len(points)
    found = []
    for output in range(answers.shape[1]):
        keep = output + 1 < answers.shape[1]
        (gradient,) = torch.autograd.grad(answers[:, output].sum(), inputs, retain_graph=keep)
        found.append(gradient.double().cpu().numpy())
    return np.stack(found, axis=-1)
