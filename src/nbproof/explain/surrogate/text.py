"""LIME for texts: which words an answer hangs on, with the numbers of lime 0.2.0.1's text explainer.

Samples leave out words at random. Many of them are the same text, above all where a text is short: the model is asked
about each but once, and the surrogate weighs it as often as it was drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from ...errors import DataUnusable
from ..explanation import Explanation, Unit
from ..pacing import Calls
from ..progress import Watch, chunks
from . import masking
from .asking import explained, listen
from .kernel import Kernel
from .plan import generator

METHOD = "lime text"
# lime's own.
KERNEL, SCALE, MASK = Kernel(25.0), 100.0, "UNKWORDZ"
# Characters of the texts that the model is asked about at a time.
ASKED_AT_ONCE = 2**24


@dataclass(frozen=True, slots=True)
class Words:
    """A text in pieces, and of which of its words each piece is an occurrence, -1 for what is between words."""

    pieces: tuple[str, ...]
    word_of: NDArray[np.int64]
    names: tuple[str, ...]

    @classmethod
    def of(cls, text: str, split: str, *, is_bag: bool) -> Words:
        """The words between matches of `split`; as a bag, all occurrences of a word are one."""
        splitter = re.compile(f"({split})|$")
        pieces = tuple(piece for piece in splitter.split(text) if piece)
        word_of = np.full(len(pieces), -1, dtype=np.int64)
        names: list[str] = []
        places: dict[str, int] = {}
        begins = 0
        for at, piece in enumerate(pieces):
            if not splitter.match(piece):
                name = piece if is_bag else f"{piece} @{begins}"
                if name not in places:
                    places[name] = len(names)
                    names.append(name)
                word_of[at] = places[name]
            begins += len(piece)
        return cls(pieces, word_of, tuple(names))

    def without(self, present: NDArray[np.bool_], mask: str | None) -> str:
        """The text with only the words that are `present`; in the place of the others stands `mask`, or nothing."""
        kept = (self.word_of < 0) | present[self.word_of]
        if mask is None:
            return "".join(piece for piece, keep in zip(self.pieces, kept, strict=True) if keep)
        return "".join(piece if keep else mask for piece, keep in zip(self.pieces, kept, strict=True))


def explain(
    model: Any,
    texts: Sequence[str],
    *,
    seed: int = 0,
    features: int | None = 10,
    samples: int = 5000,
    selection: str = "auto",
    split: str = r"\W+",
    is_bag: bool = True,
    mask: str = MASK,
    unit: Unit | None = None,
    output_names: Sequence[str] | None = None,
    watch: Watch | None = None,
) -> list[Explanation]:
    """One explanation for each text; its features are the text's words.

    Equal to `LimeTextExplainer(random_state=seed).explain_instance` for each text with a new explainer: coefficients,
    order, intercept, R² and local answer. As a bag (`is_bag`) a word is left out wherever it stands; otherwise each
    occurrence is a feature of its own, and `mask` takes its place. `model` takes a list of texts.

    Raises `DataUnusable` for a text without words, `ModelUnusable`, `ModelUnsteady`, `UnknownName`, `Cancelled`.
    """
    if isinstance(texts, str) or not len(texts):
        raise DataUnusable("the texts", "one text" if isinstance(texts, str) else "none", "a list of texts")
    read = [Words.of(text, split, is_bag=is_bag) for text in texts]
    for at, words in enumerate(read):
        if not words.names:
            raise DataUnusable(f"text {at}", "no words", "a word at least")
    if samples < 2:
        raise DataUnusable("samples", str(samples), "at least 2: the text and one without a word")
    listener = listen(model, [texts[0]], unit, output_names)
    settings = {
        "samples": samples, "features": features, "selection": selection, "split": split, "is_bag": is_bag,
        "kernel_width": KERNEL.width,
    }  # fmt: skip
    found = []
    seen = watch or Watch()
    for part in chunks(len(texts), 1, seen):
        text, words = texts[part.start], read[part.start]
        present = _drawn(len(words.names), samples, generator(seed))
        answers = _answers(listener, words, present, None if is_bag else mask, len(text), seen)
        found.append(
            explained(
                listener,
                masking.fits(present, answers, KERNEL, SCALE, selection, features),
                prediction=answers[:1],
                data=np.array([words.names], dtype=object),
                feature_names=words.names,
                method=METHOD,
                seed=seed,
                settings=settings,
                content=text.encode(),
            )
        )
    return found


def _drawn(words: int, samples: int, random: RandomState) -> NDArray[np.bool_]:
    """Which words each sample has (samples, words); the first has all."""
    present = np.ones((samples, words), dtype=bool)
    for at, leaves_out in enumerate(random.randint(1, words + 1, samples - 1), start=1):
        # What RandomState.choice does when it draws without replacement.
        present[at, random.permutation(words)[:leaves_out]] = False
    return present


def _answers(
    listener: Any, words: Words, present: NDArray[np.bool_], mask: str | None, characters: int, watch: Watch
) -> NDArray[np.float64]:
    """The model's answers for every sample, each text asked about once."""
    packed = np.packbits(present, axis=1)
    _, first, of = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    size = max(1, ASKED_AT_ONCE // max(characters, 1))
    calls = Calls(watch, size)
    asked = calls(len(first), lambda part: listener([words.without(present[at], mask) for at in first[part]]))
    return np.asarray(asked[of.ravel()])
