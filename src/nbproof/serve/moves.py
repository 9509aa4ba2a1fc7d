"""Which version of a model is the candidate, the champion and the one before it: changes as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

CANDIDATE, CHAMPION, PREVIOUS = "candidate", "champion", "previous"
ALIASES = (CANDIDATE, CHAMPION, PREVIOUS)

Kind = Literal["promotion", "rollback"]
# A change that was cut short is still `begun`; one that was taken back is `undone`.
State = Literal["begun", "done", "undone"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of who serves: what the three aliases named before and what they name after it.

    An alias that is missing names nothing. `at` is UTC, `by` who asked for it, `approved` why the new champion may
    serve, in words.
    """

    number: int
    kind: Kind
    at: str
    by: str
    before: Mapping[str, int]
    after: Mapping[str, int]
    approved: str
    state: State = "begun"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.state not in get_args(State):
            raise ValueError(f"an unknown kind or state: {self.kind!r}, {self.state!r}")
        for aliases in (self.before, self.after):
            if not set(aliases) <= set(ALIASES) or not all(isinstance(each, int) for each in aliases.values()):
                raise ValueError(f"not aliases with the numbers of versions: {dict(aliases)}")

    def ended(self, state: State) -> Change:
        """The same change in another state."""
        return replace(self, state=state)

    def written(self) -> str:
        """The change as one line of JSON."""
        return json.dumps({**asdict(self), "before": dict(self.before), "after": dict(self.after)}, sort_keys=True)

    @classmethod
    def read(cls, text: str) -> Change:
        """Return what `written` wrote; raises `ValueError` for anything else."""
        try:
            return cls(**json.loads(text))
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a change: {error}") from error


def promoted(aliases: Mapping[str, int], number: int) -> dict[str, int]:
    """What the aliases name once version `number` is the champion; the champion of before is kept as `previous`.

    >>> promoted({"candidate": 2, "champion": 1}, 2)
    {'champion': 2, 'previous': 1}
    """
    after = {name: each for name, each in aliases.items() if not (name == CANDIDATE and each == number)}
    if CHAMPION in aliases:
        after[PREVIOUS] = aliases[CHAMPION]
    after[CHAMPION] = number
    return after


def rolled_back(aliases: Mapping[str, int], number: int) -> dict[str, int]:
    """What the aliases name once the champion gives way to version `number`; it is kept as `previous` itself.

    >>> rolled_back({"champion": 2, "previous": 1}, 1)
    {'champion': 1, 'previous': 2}
    """
    return {**aliases, CHAMPION: number, PREVIOUS: aliases[CHAMPION]}


def steps(found: Mapping[str, int], wanted: Mapping[str, int]) -> list[tuple[str, int | None]]:
    """The single writes that lead from one state to the other, the champion between the other two; None removes.

    Whoever reads between two writes finds a champion that was, or is about to be, the right one.
    """
    order = (PREVIOUS, CHAMPION, CANDIDATE)
    return [(name, wanted.get(name)) for name in order if found.get(name) != wanted.get(name)]


def differing(found: Mapping[str, int], last: Change | None) -> list[str]:
    """What champion and previous name that the last recorded change does not say, in words.

    The candidate is moved by every registration, so it is nobody's surprise.
    """
    if last is None:
        return [f"`{CHAMPION}` is version {found[CHAMPION]}, but no change is recorded"] if CHAMPION in found else []
    expected = last.before if last.state == "undone" else last.after
    return [
        f"`{name}` is {_named(found.get(name))}, but change {last.number} left {_named(expected.get(name))}"
        for name in (CHAMPION, PREVIOUS)
        if found.get(name) != expected.get(name)
    ]


def _named(number: int | None) -> str:
    return "nothing" if number is None else f"version {number}"


def plain(aliases: Mapping[str, Any]) -> dict[str, int]:
    """The three aliases with their numbers, from what a registry says; others are left out."""
    return {name: int(aliases[name]) for name in ALIASES if name in aliases}
