"""Where each line of a rewritten text came from: its tokens are followed, whatever a formatter did to lines."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass

Origin = tuple[int, int] | None

_LAYOUT = {tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}
# A formatter adds these and takes them away.
_LOOSE = {"(", ")", ",", ";"}
_NEAR, _SURE = 400, 2


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    first: int
    last: int
    statement: int


def followed(before: str, origins: Sequence[Origin], after: str) -> tuple[Origin, ...]:
    """The origins of the lines of `after`, a text that says what `before` says, with some words more or less.

    `origins[i]` is where line `i` (from 0) of `before` came from. A line of words that are new has none.
    """
    old, new = _tokens(before), _tokens(after)
    found: list[Origin] = [None] * len(after.splitlines())
    is_known: set[int] = set()
    pairs = _paired([each.text for each in old], [each.text for each in new])
    statement_at: tuple[int, Origin] = (-1, None)
    for at, token in enumerate(new):
        match = pairs.get(at)
        if match is None:
            # A line that holds nothing but what is new belongs to the statement that it stands in.
            origin = statement_at[1] if statement_at[0] == token.statement else None
            for line in range(token.first, token.last + 1):
                if line not in is_known and found[line - 1] is None:
                    found[line - 1] = origin
            continue
        source = old[match]
        for line in range(token.first, token.last + 1):
            if line not in is_known:
                is_known.add(line)
                found[line - 1] = _at(origins, min(source.first + line - token.first, source.last))
        statement_at = token.statement, _at(origins, source.last)
    return tuple(found)


def _at(origins: Sequence[Origin], line: int) -> Origin:
    return origins[line - 1] if line <= len(origins) else None


def _tokens(text: str) -> list[_Token]:
    found, statement = [], 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NEWLINE:
            statement += 1
        elif token.type not in _LAYOUT:
            found.append(_Token(_plain(token), token.start[0], token.end[0], statement))
    return found


def _plain(token: tokenize.TokenInfo) -> str:
    """What stays of a token however it is formatted: quotes and the spaces of comments and texts do not."""
    if token.type == tokenize.STRING:
        return "".join(letter for letter in token.string if letter not in " \t\n\"'\\").lstrip("rRbBuUfF")
    return token.string.lstrip("# ") if token.type == tokenize.COMMENT else token.string.lower()


def _paired(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """For tokens of the new text the one of the old that it is; both are walked once, side by side."""
    found: dict[int, int] = {}
    left = [at for at, text in enumerate(old) if text not in _LOOSE]
    right = [at for at, text in enumerate(new) if text not in _LOOSE]
    a = b = 0
    while a < len(left) and b < len(right):
        if old[left[a]] == new[right[b]]:
            found[right[b]] = left[a]
            a, b = a + 1, b + 1
            continue
        a, b = _met_again([old[at] for at in left[a : a + _NEAR]], [new[at] for at in right[b : b + _NEAR]], a, b)
    return found


def _met_again(old: Sequence[str], new: Sequence[str], a: int, b: int) -> tuple[int, int]:
    """Where both go on alike, with as few tokens as possible left out."""
    first_at: dict[tuple[str, ...], int] = {}
    for at in range(len(old)):
        first_at.setdefault(tuple(old[at : at + _SURE]), at)
    best: tuple[int, int] | None = None
    for at in range(len(new)):
        match = first_at.get(tuple(new[at : at + _SURE]))
        if match is not None and (best is None or match + at < sum(best)):
            best = match, at
        if best is not None and at > sum(best):
            break
    return (a + best[0], b + best[1]) if best else (a + 1, b + 1)
