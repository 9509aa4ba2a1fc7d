"""Hidden state: which cells show a result that running the notebook from the top would not give, and why.

Two runs are followed by reading alone: the one that the kernel has really made, and the one from the top of the
notebook as it stands now. Every object gets a mark made of the statement that left it and of the marks of all that the
statement reads; equal marks mean equal objects. So a cell follows when its last execution read the same marks that it
would read from the top. Each object has two marks: a sure one, and one that also counts what may have changed it.
Where the first differ the result does not follow; where only the second differ it cannot be known.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from .document import Cell
from .effects import ANYTHING, BUILTINS, FILES, RANDOM, Effect, Known, Names, Nature, copied, dumped, effect, statements
from .syntax import is_silenced

State = Literal["follows", "not run", "running", "edited", "stale", "out of order", "another life", "unknown"]
STATES: tuple[State, ...] = (
    "follows", "not run", "running", "edited", "stale", "out of order", "another life", "unknown",
)  # fmt: skip
RAISES = "raises-exception"
INTERRUPTED = "KeyboardInterrupt"


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution in this life of the kernel. Without a cell it was made elsewhere, in a console for one.

    `source` is the text that ran where it is known, `code_sha256` its hash; `lost` is one whose end is not known.
    `count` is the number that the kernel gave it: where one is left out, something ran that was not recorded.
    """

    cell_id: str | None
    code_sha256: str | None
    source: str | None = None
    outcome: Literal["ok", "error", "running", "lost"] = "ok"
    error: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of one code cell: `because` in a sentence, `cause` the id of the cell to look at."""

    cell_id: str
    state: State
    because: str
    cause: str | None = None


def sha256_of(source: str) -> str:
    """The hash by which an execution names its code."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def following(
    cells: Sequence[Cell], executions: Sequence[Execution], *, counts: Mapping[str, int] | None = None
) -> tuple[Verdict, ...]:
    """Say of every code cell whether its result follows from the code above it.

    `cells` are all cells as they stand now, `executions` those of this life of the kernel, oldest first, `counts` the
    number that the notebook shows beside each cell that has a result.
    """
    return _Judging(cells, [*_with_gaps(_texts_found(cells, executions))], counts or {}).verdicts()


def _texts_found(cells: Iterable[Cell], executions: Iterable[Execution]) -> Iterator[Execution]:
    """The executions, with the text of those whose code still stands in a cell."""
    texts = {sha256_of(cell.source): cell.source for cell in cells if cell.kind == "code"}
    for one in executions:
        yield one if one.source is not None else replace(one, source=texts.get(one.code_sha256 or ""))


def _with_gaps(executions: Iterable[Execution]) -> Iterator[Execution]:
    """The executions, with one of which nothing is known wherever the kernel's own numbers leave one out."""
    last = 0
    for one in executions:
        if one.count is not None:
            if one.count > last + 1:
                yield Execution(None, None)
            last = one.count
        elif one.code_sha256 is None:
            # Of a cell that is not logged nothing is known but that it ran; the kernel counted it.
            last += 1
        yield one


@dataclass(frozen=True, slots=True)
class _Held:
    """An object: its two marks, and which step left it so, for certain (`by`) and perhaps (`may_by`)."""

    sure: str
    whole: str
    by: int | None = None
    may_by: int | None = None
    kept: str = ""


_START = _Held("start", "start")


@dataclass(slots=True)
class _Step:
    """One cell carried out, in one of the two runs: what each of its statements reads, and what it may read."""

    identity: str = ""
    readings: list[tuple[frozenset[str], dict[str, _Held]]] = field(default_factory=list)
    blind: str = ""


def _mark(*parts: object) -> str:
    return hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


class _Run:
    """One run, really made or from the top, followed by reading."""

    def __init__(self) -> None:
        self.names, self.held = Names(), dict[str, _Held]()
        # Names whose objects may be parts of one another have one set in common.
        self.shares: dict[str, set[str]] = {}
        self.base, self.steps = _START, list[_Step]()

    def of(self, name: str) -> _Held:
        return self.held.get(name, _START if self.names.is_plain_builtin(name) else self.base)

    def copy(self) -> _Run:
        """A run that has come as far, to be carried on otherwise."""
        found = _Run()
        found.names = copied(self.names)
        found.held, found.base, found.steps = dict(self.held), self.base, list(self.steps)
        groups = {id(group): set(group) for group in self.shares.values()}
        found.shares = {name: groups[id(group)] for name, group in self.shares.items()}
        return found

    def carry_out(self, source: str, *, stopped: bool = False) -> _Step:
        """Follow a cell; one that `stopped` may have done any part of what it says.

        Either way the step is what it would have read if nothing went wrong: the same reading goes wrong again.
        """
        step = _Step() if not stopped else self.copy().carry_out(source)
        self.steps.append(step)
        if stopped:
            step, self.steps[-1] = _Step(), step
        try:
            body = statements(source)
        except SyntaxError:
            # Nothing of it ran.
            step.identity = _mark("unreadable", source)
            return self.steps[-1]
        for statement in body:
            self._statement(statement, step, stopped=stopped)
        step.identity = _mark(step.identity, is_silenced(source))
        return self.steps[-1]

    def carry_out_unseen(self, what: str, why: str, likely: Iterable[str] = ()) -> _Step:
        """Follow an execution whose text is not known; `likely` are the names that it will have bound."""
        step = _Step(identity=_mark("unseen", what), blind=why)
        self.steps.append(step)
        self._blur(_mark("unseen", what, self._everything()))
        for name in likely:
            before = self.of(name)
            self.held[name] = replace(before, sure=_mark("unseen", what, name, before.sure), by=len(self.steps) - 1)
        return step

    def _statement(self, node: ast.stmt, step: _Step, *, stopped: bool) -> None:
        found = effect(node, self.names)
        names = found.reads | found.may_read | (self.held.keys() if found.blind else frozenset())
        reads = {name: self.of(name) for name in sorted(names)}
        if found.blind:
            reads[ANYTHING] = self.base
            step.blind = step.blind or found.blind
        text = dumped(node)
        sure = _mark(text, *(f"{name} {reads[name].sure}" for name in sorted(found.reads)))
        whole = _mark(text, *(f"{name} {held.whole}" for name, held in reads.items()))
        step.readings.append((found.reads, reads))
        step.identity = _mark(step.identity, whole)
        if stopped:
            sure, whole = _mark("stopped", sure), _mark("stopped", whole)
        self._apply(found, sure, whole, stopped=stopped)
        self.names.has_starred |= found.is_starred
        if found.blind:
            self._blur(whole)

    def _apply(self, found: Effect, sure: str, whole: str, *, stopped: bool) -> None:
        maker = len(self.steps) - 1
        certainly = frozenset() if stopped else found.certainly
        shared = self._shared(found.changes | found.may_change)
        carried = frozenset[str]().union(*(self.names.of(name).carries for name in found.reads))
        carried |= {ANYTHING} if found.may_read else set()
        carried |= {name for name in found.reads if self.names.of(name).definition is not None}
        before = {name: self.of(name) for name in found.binds}
        for name, known in found.binds.items():
            self._bind(name, known, is_certain=name in certainly)
        self._link(found)
        shared |= self._shared(found.changes | found.may_change)
        for name in found.changes - found.binds.keys():
            held = self.of(name)
            self.held[name] = _Held(
                _mark("changed", sure, name, held.sure), _mark("changed", whole, name, held.whole), maker, maker
            )
        for name in (found.may_change | shared) - found.changes - certainly:
            held = before.get(name) or self.of(name)
            self.held[name] = before[name] = _Held(
                held.sure, _mark("perhaps", whole, name, held.whole), held.by, maker, held.kept
            )
        for name in (found.changes | found.may_change | shared) - certainly:
            self._widen(name, carried, is_open=found.hands_on_open or name in found.may_change | shared)
        for name in found.binds:
            self.held[name] = self._bound(name, sure, whole, before[name], maker, is_certain=name in certainly)

    def _bound(self, name: str, sure: str, whole: str, before: _Held, maker: int, *, is_certain: bool) -> _Held:
        if is_certain:
            return _Held(_mark(sure, name), _mark(whole, name), maker, maker)
        # Whether it is kept hangs on what the statement reads: once more with the same changes nothing.
        kept = _mark(whole, name)
        if before.kept == kept:
            return replace(before, by=maker, may_by=maker)
        return _Held(_mark(sure, name, before.sure), _mark(whole, name, before.whole), maker, maker, kept)

    def _bind(self, name: str, known: Known, *, is_certain: bool) -> None:
        if is_certain:
            self.shares.pop(name, set()).discard(name)
        elif name in self.names.known:
            old = self.names.of(name)
            known = replace(
                known, nature=max(known.nature, old.nature), definition=None, module="", instance_of="",
                carries=known.carries | old.carries | _own(name, old), writes=known.writes | old.writes,
            )  # fmt: skip
        self.names.bind(name, known)

    def _link(self, found: Effect) -> None:
        """What was bound may now be what was read; what was changed may hold it; whoever is linked stays together."""
        bound = {name for name in found.binds if self.names.of(name).nature != Nature.FIXED}
        together = bound | found.links if found.links or len(bound) > 1 else set()
        if found.links:
            together |= found.changes | found.may_change
        groups = {id(group): group for name in together if (group := self.shares.get(name)) is not None}
        largest = max(groups.values(), key=len, default=set[str]())
        for group in groups.values():
            if group is not largest:
                largest |= group
                self.shares.update(dict.fromkeys(group, largest))
        largest |= together
        self.shares.update(dict.fromkeys(together, largest))

    def _shared(self, names: Iterable[str]) -> set[str]:
        found = set[str]().union(*(self.shares.get(name, set()) for name in names))
        return {name for name in found if self.names.of(name).nature != Nature.FIXED}

    def _widen(self, name: str, carried: frozenset[str], *, is_open: bool) -> None:
        known = self.names.of(name)
        if known.nature == Nature.FIXED:
            return
        grade = Nature.OPEN if is_open else known.nature
        if grade == known.nature and carried <= known.carries:
            return
        self.names.known[name] = replace(known, nature=grade, carries=known.carries | carried)

    def _blur(self, whole: str) -> None:
        """Anything may have happened to anything."""
        maker = len(self.steps) - 1
        unknown = Known(Nature.OPEN, carries=frozenset({ANYTHING}), writes=frozenset())
        self.base = _Held(self.base.sure, _mark("blind", whole, self.base.whole), self.base.by, maker)
        self.names.default = unknown
        for name, held in self.held.items():
            self.held[name] = replace(held, whole=_mark("blind", whole, name, held.whole), may_by=maker, kept="")
        for name in self.names.known:
            self.names.known[name] = unknown
        everyone = set(self.held)
        self.shares.update((name, everyone) for name in everyone)

    def _everything(self) -> str:
        return _mark(self.base.whole, *(f"{name} {held.whole}" for name, held in sorted(self.held.items())))


def _own(name: str, known: Known) -> frozenset[str]:
    return frozenset({name}) if isinstance(known.definition, ast.ClassDef) else frozenset()


class _Judging:
    """The two runs beside each other."""

    def __init__(self, cells: Sequence[Cell], executions: Sequence[Execution], counts: Mapping[str, int]) -> None:
        self.cells, self.executions, self.counts = cells, executions, counts
        self.number = {cell.id: number for number, cell in enumerate(cells, 1)}
        self.by_id = {cell.id: cell for cell in cells}
        self.last = {one.cell_id: index for index, one in enumerate(executions) if one.cell_id is not None}
        self.real, self.failures = _Run(), dict[str, int]()
        self._follow_executions()
        self.clean, self.place = _Run(), dict[str, int]()
        self.stopped_by: dict[str, str] = {}
        self._follow_cells()
        self.found: dict[str, Verdict] = {}

    def verdicts(self) -> tuple[Verdict, ...]:
        for cell in self.cells:
            if cell.kind == "code":
                self.found[cell.id] = self._verdict(cell)
        return tuple(self.found.values())

    def _follow_executions(self) -> None:
        for index, one in enumerate(self.executions):
            if one.source is None or one.outcome == "lost":
                self.real.carry_out_unseen(_mark(index, one.code_sha256), self._unseen(one), self._likely(one))
                continue
            stopped = one.outcome != "ok"
            step = self.real.carry_out(one.source, stopped=stopped)
            if one.outcome == "error" and one.error != INTERRUPTED:
                self.failures[step.identity] = index

    def _unseen(self, one: Execution) -> str:
        if one.cell_id is None and one.code_sha256 is None:
            return "something ran that was not recorded"
        if one.cell_id is None:
            return "something ran in this kernel that is no cell of this notebook"
        if one.outcome == "lost":
            return f"the end of a run of {self._named(one.cell_id)} was not recorded"
        if one.cell_id in self.by_id:
            return f"an earlier text of {self._named(one.cell_id)} ran, which was not kept"
        return "a cell ran whose text was not kept, and which has been deleted"

    def _likely(self, one: Execution) -> set[str]:
        """What the cell binds now, its earlier text will have bound, too."""
        cell = self.by_id.get(one.cell_id or "")
        try:
            body = statements(cell.source) if cell is not None else ()
        except SyntaxError:
            return set()
        return {name for statement in body for name in effect(statement, Names()).binds}

    def _follow_cells(self) -> None:
        stopped_by = ""
        for cell in self.cells:
            if cell.kind != "code" or not cell.source.strip():
                continue
            if stopped_by:
                self.stopped_by[cell.id] = stopped_by
            before = self.clean.copy()
            step = self.clean.carry_out(cell.source)
            if step.identity in self.failures:
                self.clean = before
                step = self.clean.carry_out(cell.source, stopped=True)
                stopped_by = stopped_by or (cell.id if RAISES not in cell.tags else "")
            self.place[cell.id] = len(self.clean.steps) - 1

    def _verdict(self, cell: Cell) -> Verdict:
        index = self.last.get(cell.id)
        if index is None:
            return self._without_run(cell)
        one = self.executions[index]
        if one.outcome == "running":
            return Verdict(cell.id, "running", "This cell is running.")
        if not self._is_same(one, cell):
            return Verdict(cell.id, "edited", "This cell was edited after it ran.")
        if one.outcome == "lost":
            return Verdict(cell.id, "unknown", "Cannot know: the end of this cell's run was not recorded.")
        if one.count is not None and self.counts.get(cell.id, one.count) != one.count:
            return Verdict(cell.id, "unknown", "Cannot know: this cell also ran while nothing was recorded.")
        if one.error == INTERRUPTED:
            return Verdict(cell.id, "stale", "This cell was interrupted before its end.")
        if cell.id not in self.place:
            return Verdict(cell.id, "follows", "This cell holds no code.")
        if stopped_by := self.stopped_by.get(cell.id):
            because = f"A run from the top stops above this cell: {self._named(stopped_by)} ends in an error."
            return Verdict(cell.id, "out of order", because, stopped_by)
        real, clean = self.real.steps[index], self.clean.steps[self.place[cell.id]]
        if real.identity == clean.identity:
            return Verdict(cell.id, "follows", "A run from the top gives this cell the same.")
        return self._difference(cell, index, real, clean)

    def _without_run(self, cell: Cell) -> Verdict:
        if cell.id not in self.counts:
            return Verdict(cell.id, "not run", "This cell has not run.")
        because = "No run of this cell is recorded in this life of the kernel: its result is from an earlier one."
        if self.executions:
            because = f"{because[:-1]}, or it ran while nothing was recorded."
        return Verdict(cell.id, "another life", because)

    def _is_same(self, one: Execution, cell: Cell) -> bool:
        if one.code_sha256 == sha256_of(cell.source) or one.source == cell.source:
            return True
        return one.source is not None and _code(one.source) == _code(cell.source)

    def _difference(self, cell: Cell, index: int, real: _Step, clean: _Step) -> Verdict:
        perhaps: tuple[str, _Held, _Held] | None = None
        for (read, was), (reads, would) in zip(real.readings, clean.readings, strict=False):
            for name in _in_order(was.keys() | would.keys()):
                had = was.get(name) or self.real.base
                has = would.get(name) or self.clean.base
                if had.sure != has.sure and name in read & reads:
                    return self._reason(cell, index, name, had, has)
                if had.whole != has.whole and perhaps is None:
                    perhaps = (name, had, has)
        if perhaps is None:
            return Verdict(cell.id, "unknown", "Whether this cell follows cannot be known.")
        return self._doubt(cell, index, *perhaps)

    def _reason(self, cell: Cell, index: int, name: str, had: _Held, has: _Held) -> Verdict:
        made = self.executions[had.by] if had.by is not None else None
        origin = self._origin(has)
        if made is None:
            return self._missing(cell, index, name, origin)
        if made.cell_id is None:
            return Verdict(cell.id, "unknown", f"{_what(name)} comes from code that is no cell of this notebook.")
        source = self.by_id.get(made.cell_id)
        if source is None:
            return Verdict(cell.id, "stale", f"{_what(name)} comes from a cell that has been deleted.")
        if not self._is_same(made, source) and source.id != cell.id:
            again = self.last[source.id]
            since = "and has run again since" if again > index and self._is_same(self.executions[again], source) else ""
            because = f"{_what(name)} comes from {self._named(source.id)}, which was edited after it ran"
            return Verdict(cell.id, "stale", f"{because}{since and ' ' + since}.", source.id)
        if source.id == cell.id:
            because = f"{_what(name)} comes from an earlier run of this cell"
            because += "." if self._is_same(made, cell) else ", before it was edited."
            return Verdict(cell.id, "stale", because, origin.id if origin else None)
        if self.number[source.id] > self.number[cell.id]:
            because = f"{_what(name)} was last set by {self._named(source.id)}, which stands below this one."
            return Verdict(cell.id, "out of order", because, source.id)
        if origin is None or origin.id != source.id:
            return self._other_origin(cell, index, name, source, origin)
        return self._same_origin(cell, index, name, source, had)

    def _missing(self, cell: Cell, index: int, name: str, origin: Cell | None) -> Verdict:
        if origin is None:
            return Verdict(cell.id, "stale", f"{_what(name)} is no longer what it was.")
        ran = self.last.get(origin.id)
        if ran is None:
            because = f"{_what(name)} is made by {self._named(origin.id)}, which has not run."
            return Verdict(cell.id, "stale", because, origin.id)
        if not self._is_same(self.executions[ran], origin):
            because = f"{_what(name)} is made by {self._named(origin.id)}, which was edited after it ran."
            return Verdict(cell.id, "stale", because, origin.id)
        because = f"{_what(name)} is made by {self._named(origin.id)}, which ran only after this cell."
        return Verdict(cell.id, "out of order", because, origin.id)

    def _other_origin(self, cell: Cell, index: int, name: str, source: Cell, origin: Cell | None) -> Verdict:
        set_by = f"{_what(name)} was last set by {self._named(source.id)}"
        if origin is None:
            return Verdict(cell.id, "stale", f"{set_by}, and from the top it would not be.", source.id)
        ran = self.last.get(origin.id)
        if ran is None:
            because = f"{set_by}; from the top {self._named(origin.id)} would set it, which has not run."
            return Verdict(cell.id, "stale", because, origin.id)
        if not self._is_same(self.executions[ran], origin):
            because = f"{set_by}; from the top {self._named(origin.id)} would set it, which was edited after it ran."
            return Verdict(cell.id, "stale", because, origin.id)
        because = f"{set_by}; from the top {self._named(origin.id)} would have set it last."
        return Verdict(cell.id, "out of order", because, origin.id)

    def _same_origin(self, cell: Cell, index: int, name: str, source: Cell, had: _Held) -> Verdict:
        came = f"{_what(name)} comes from {self._named(source.id)}"
        if self.last[source.id] > index:
            return Verdict(cell.id, "stale", f"{came}, which ran again after this cell.", source.id)
        if self.last[source.id] != had.by:
            return Verdict(cell.id, "stale", f"{came}, which has run more than once.", source.id)
        above = self.found.get(source.id)
        if above is None or above.state == "follows":
            return Verdict(cell.id, "stale", f"{came}, which had run on something else.", source.id)
        said = above.because[:1].lower() + above.because[1:] if above.because.startswith("This ") else above.because
        return Verdict(
            cell.id, above.state, f"{came}, which no longer follows either: {said}", above.cause or source.id
        )

    def _doubt(self, cell: Cell, index: int, name: str, had: _Held, has: _Held) -> Verdict:
        made = self.executions[had.may_by] if had.may_by is not None else None
        blind = self.real.steps[had.may_by].blind if had.may_by is not None else ""
        origin = self._cell_at(has.may_by)
        changed = f"{_what(name)} may have been changed" if name != ANYTHING else "Something may have been changed"
        if blind and made is not None and made.source is None:
            return Verdict(cell.id, "unknown", f"Cannot know: {blind}.", self._id(made))
        if made is not None:
            who = self._named(made.cell_id) if made.cell_id else "code that is no cell of this notebook"
            who = "an earlier run of this cell" if made.cell_id == cell.id else who
            why = f", which uses {blind}" if blind else ""
            return Verdict(cell.id, "unknown", f"Cannot know: {changed} by {who}{why}.", self._id(made))
        if origin is not None:
            blind = self.clean.steps[self.place[origin.id]].blind
            why = f", which uses {blind}" if blind else ""
            because = f"Cannot know: {self._named(origin.id)} may change {_what(name)} first{why}."
            return Verdict(cell.id, "unknown", because, origin.id)
        return Verdict(cell.id, "unknown", f"Cannot know: {changed}.")

    def _origin(self, held: _Held) -> Cell | None:
        return self._cell_at(held.by)

    def _cell_at(self, step: int | None) -> Cell | None:
        return next((self.by_id[id_] for id_, place in self.place.items() if place == step), None)

    def _id(self, made: Execution) -> str | None:
        return made.cell_id if made.cell_id in self.by_id else None

    def _named(self, cell_id: str) -> str:
        number = self.number.get(cell_id)
        return f"cell {number}" if number is not None else "a cell that has been deleted"


def _code(source: str) -> object:
    """What of a text counts: comments and blank lines do not."""
    try:
        return [dumped(statement) for statement in statements(source)], is_silenced(source)
    except SyntaxError:
        return source


def _what(name: str) -> str:
    if name in {RANDOM, FILES} or name.startswith("the file "):
        return name[:1].upper() + name[1:] if name != FILES else "What stands in files"
    return f"`{name}`"


def _in_order(names: Iterable[str]) -> list[str]:
    """Names of the notebook first: people know them."""
    return sorted(names, key=lambda name: (name == ANYTHING or " " in name or name in BUILTINS, name))


def counted(verdicts: Iterable[Verdict]) -> Mapping[str, int]:
    """How many cells are in each state."""
    states = [verdict.state for verdict in verdicts]
    return {state: states.count(state) for state in STATES if state in states}
