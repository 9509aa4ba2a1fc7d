"""Long sections are cut between cells, where the fewest names would have to cross."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..reading import Step
from ..watching.seen import Run, Seen
from .flow import bound_by, closed, taken_by
from .standing import Standing

# What is no longer than this need not be cut, and what is shorter is hardly a function.
LONG, SHORT = 24, 4
# More than this and a reader loses track of what a function is given.
MOST_TAKEN = 8
# How much it is worth that both parts are of a size: as much as that many names, if one of them were empty.
_EVENNESS = 4
_WIDE = 84


@dataclass(frozen=True, slots=True)
class _Cutter:
    standing: Standing
    seen: dict[int, Seen]

    def cut(self, cells: list[Step], above: frozenset[str]) -> list[list[Step]]:
        """The cells in as many groups as are wanted; one where no seam is good enough."""
        if self.lines(cells) <= LONG:
            return [cells]
        costs = [(cost, at) for at in range(1, len(cells)) if (cost := self._cost(cells, at, above)) is not None]
        if not costs:
            return [cells]
        _, at = min(costs)
        left, right = cells[:at], cells[at:]
        return [*self.cut(left, above), *self.cut(right, above | self.binds(left))]

    def _cost(self, cells: list[Step], at: int, above: frozenset[str]) -> float | None:
        left, right = cells[:at], cells[at:]
        sizes = self.lines(left), self.lines(right)
        if min(sizes) < SHORT:
            return None
        binds = self.binds(left)
        takes = taken_by(right, self.standing, self.seen, above | binds) - self.standing.names
        if len(takes) > MOST_TAKEN or len(takes & binds) > MOST_TAKEN:
            return None
        return len(takes & binds) + _EVENNESS * abs(sizes[0] - sizes[1]) / sum(sizes)

    def binds(self, cells: Sequence[Step]) -> frozenset[str]:
        return frozenset(bound_by(cells, self.seen)) - self.standing.names

    def lines(self, cells: Sequence[Step]) -> int:
        """How many lines they make in a function: what stays of them, broken where it is wide, and spaces between."""
        count = 0
        for cell in cells:
            gone = {at for lines in self.standing.lines_of(cell.number) for at in range(lines.first, lines.last + 1)}
            kept = [text for at, text in enumerate(cell.source.split("\n"), start=1) if text.strip() and at not in gone]
            count += sum(1 + 2 * (len(text) > _WIDE) for text in kept) + bool(kept)
        return count


def cut(
    groups: Sequence[Sequence[Step]], standing: Standing, run: Run, *, parameters: Collection[str]
) -> list[list[Step]]:
    """Cut groups that are long, and join again what a function within one of them holds together."""
    cutter = _Cutter(standing, {each.cell: each for each in run.cells})
    above = frozenset(parameters)
    parts: list[list[Step]] = []
    for group in groups:
        parts += cutter.cut(list(group), above)
        above |= cutter.binds(group)
    return closed(parts, standing, run, parameters=parameters)
