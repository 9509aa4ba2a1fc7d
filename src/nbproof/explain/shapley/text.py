"""Which words of a text speak for an answer: Shapley values of its words, by leaving words out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataUnusable
from ...records import ContentHash
from ..explanation import Explanation, Unit
from ..progress import Watch
from . import parts
from .parts import Parts

WORD = r"\w+(?:['’-]\w+)*"
TEXTS_AT_ONCE = 1024


def explain(
    model: Any,
    text: str,
    *,
    word: str = WORD,
    hidden: str = "",
    unit: Unit | None = None,
    output_names: Sequence[str] | None = None,
    method: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    watch: Watch | None = None,
) -> Explanation:
    """The values of the words of `text` for `model`, an estimator or a function that takes a list of texts.

    `word` is the pattern of what counts as one, `hidden` what stands in its place where it is left out; the base value
    is the answer for the text without any. A word that comes again has its own value. Exact up to 11 words, else
    estimated with standard errors. Raises `DataUnusable` for a text without words.
    """
    found = list(re.finditer(word, text))
    if not found:
        raise DataUnusable("the text", "no word in it", f"at least one that matches {word}")
    ends = [0, *(each.end() for each in found)]
    between = [text[end : each.start()] for end, each in zip(ends, found, strict=False)] + [text[ends[-1] :]]
    words = [each.group() for each in found]

    def shown(masks: NDArray[np.bool_]) -> list[str]:
        return ["".join(_woven(between, words, mask, hidden)) for mask in masks]

    whole = Parts(_distinct(words), np.array(words, dtype=object), shown, ContentHash.of(text.encode()), TEXTS_AT_ONCE)
    return parts.explain(
        model, whole, unit=unit, output_names=output_names, method=method, seed=seed, samples=samples, watch=watch,
        settings={"word": word, "hidden": hidden},
    )  # fmt: skip


def _woven(between: Sequence[str], words: Sequence[str], mask: NDArray[np.bool_], hidden: str) -> list[str]:
    pieces = [between[0]]
    for word, is_shown, after in zip(words, mask, between[1:], strict=True):
        pieces += [word if is_shown else hidden, after]
    return pieces


def _distinct(words: Sequence[str]) -> tuple[str, ...]:
    """The words, each that comes again with the number of the time."""
    counts: dict[str, int] = {}
    names = []
    for word in words:
        counts[word] = counts.get(word, 0) + 1
        names.append(word if counts[word] == 1 else f"{word} ({counts[word]})")
    return tuple(names)
