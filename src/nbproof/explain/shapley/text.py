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
    masker: Any = None,
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
    estimated with standard errors.

    With `masker`, a `shap.maskers.Text`, its tokens are the words, and it hides them; `word` and `hidden` say nothing
    then. Raises `DataUnusable` for a text without words, and for a masker that makes something other than texts.
    """
    if masker is not None:
        return parts.explain(
            model, _by_masker(masker, text), unit=unit, output_names=output_names, method=method, seed=seed,
            samples=samples, watch=watch, settings={"masker": type(masker).__name__, "hidden": masker.mask_token},
        )  # fmt: skip
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


def _by_masker(masker: Any, text: str) -> Parts:
    """The tokens of one of shap's maskers for texts."""
    if getattr(masker, "output_type", None) != "string":
        raise DataUnusable(
            "the masker", f"a {type(masker).__name__} that makes no texts", "a shap.maskers.Text that makes texts",
            hint='shap.maskers.Text(tokenizer, output_type="string")',
        )  # fmt: skip
    tokens = [str(each) for each in masker.feature_names(text)[0]]
    if not tokens:
        raise DataUnusable("the text", "no token in it", "at least one")

    def shown(masks: NDArray[np.bool_]) -> list[str]:
        # It may write on the mask that it is given.
        return [str(masker(mask.copy(), text)[0][0]) for mask in masks]

    names = [each.strip() or each for each in tokens]
    digest = ContentHash.of(text.encode())
    return Parts(_distinct(names), np.array(names, dtype=object), shown, digest, TEXTS_AT_ONCE)


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
