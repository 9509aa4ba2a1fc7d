"""Sections of a notebook and what flows between them: what each takes, what it gives on, what it leaves behind."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...notebook.dataflow import (
    Binding,
    bindings,
    certainly_bound,
    names_read,
    readings,
    steps,
)
from ..reading import Step
from ..watching.seen import Run, Seen
from .scopes import uses
from .standing import Standing

_DEEPEST = 3
# So many words, and letters in them, a name may have.
_LONGEST, _WIDEST = 6, 36
_LINKS = {
    "a",
    "an",
    "and",
    "as",
    "at",
    "by",
    "for",
    "from",
    "i",
    "in",
    "is",
    "of",
    "on",
    "or",
    "that",
    "the",
    "to",
    "when",
    "with",
}
_WORD = re.compile(r"[A-Za-z0-9]+")
# What the modules of the package call by these names, no section may be called.
_RESERVED = {
    "Results",
    "asyncio",
    "collecting",
    "functools",
    "keep",
    "keep_bound",
    "keep_figures",
    "results",
    "run",
    "show",
    "steps",
}


@dataclass(frozen=True, slots=True)
class Section:
    """Cells that become one function: what it takes, what it gives to later ones, and what it leaves as results.

    `perhaps` are results that only some runs leave: a loop or a branch may not have come to them.
    """

    name: str
    title: str
    words: str
    cells: tuple[Step, ...]
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()


def by_heading(cells: Sequence[Step]) -> list[list[Step]]:
    """Cells that stand below one heading, in order."""
    groups: list[list[Step]] = []
    for cell in cells:
        if not groups or (cell.is_first_below and cell.level <= _DEEPEST):
            groups.append([])
        groups[-1].append(cell)
    return groups


def closed(
    groups: Sequence[Sequence[Step]], standing: Standing, run: Run, *, parameters: Collection[str]
) -> list[list[Step]]:
    """Join groups until each can be a function.

    No function that stays inside of one may read a name that a later one gives another value: within one function a
    closure sees every new value, as a function of the notebook does. Nor may it give a value to a name that a later
    one knows. And what only some runs give a value cannot be handed on.
    """
    seen = {each.cell: each for each in run.cells}
    joined = [list(group) for group in groups]
    lifted = {each.name for each in standing.definitions}
    at = 0
    while at < len(joined):
        bound_later, known_later = {}, {}
        for later in range(at + 1, len(joined)):
            trees = {cell.number: cell.tree for cell in joined[later]}
            bound_later.update(dict.fromkeys(bindings(steps(trees)), later))
            known_later.update(dict.fromkeys(_known(joined[later], seen), later))
        read = _read_later(joined[at], lifted)
        until = max((bound_later[name] for name in read if name in bound_later), default=at)
        until = max([until, *(known_later[name] for name in _written_later(joined[at]) if name in known_later)])
        above = {*parameters, *(name for group in joined[:at] for name in bound_by(group, seen))}
        unsure = set(bound_by(joined[at], seen)) - standing.names - above
        unsure -= _certain(joined[at], seen, is_varied=bool(parameters))
        for later in range(at + 1, len(joined)):
            if taken_by(joined[later], standing, seen, unsure):
                until = max(until, later)
        if until > at:
            joined[at : until + 1] = [[cell for group in joined[at : until + 1] for cell in group]]
        else:
            at += 1
    return joined


def _known(group: Sequence[Step], seen: Mapping[int, Seen]) -> set[str]:
    """The names that the group reads or gives a value, as its source says and as was seen."""
    return {name for cell in group for name in names_read(cell.tree)} | set(bound_by(group, seen))


def _written_later(group: Sequence[Step]) -> set[str]:
    """What functions of the group say to be `global`, and these functions: whoever calls one may change the names."""
    found: set[str] = set()
    for cell in group:
        for node in cell.tree.body:
            declared = {name for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names}
            if declared:
                found |= declared | set(bindings(steps({cell.number: ast.Module([node], [])})))
    return found


def _certain(group: Sequence[Step], seen: Mapping[int, Seen], *, is_varied: bool) -> set[str]:
    """The names that surely have a value when the group has run.

    Where nothing varies from run to run (`is_varied`: parameters do), what was seen is seen again.
    """
    found: set[str] = set()
    for cell in group:
        for node in cell.tree.body:
            gone = {target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)}
            found = found - gone if isinstance(node, ast.Delete) else found | certainly_bound(node)
        if not is_varied and cell.number in seen:
            found |= set(seen[cell.number].binds)
    return found


def _read_later(group: Sequence[Step], lifted: Collection[str]) -> set[str]:
    """What functions that stay in the group may read when they are called."""
    found: set[str] = set()
    for cell in group:
        for node in cell.tree.body:
            is_lifted = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name in lifted
            if is_lifted:
                continue
            for inner in ast.walk(node):
                if isinstance(
                    inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | ast.GeneratorExp
                ):
                    found |= names_read(inner)
    return found


def sections(
    groups: Sequence[Sequence[Step]], standing: Standing, run: Run, *, parameters: Sequence[str]
) -> list[Section]:
    """What flows between the groups, each as a function with a name of its own."""
    seen = {each.cell: each for each in run.cells}
    top = standing.names
    above: set[str] = set(parameters)
    order: list[str] = list(parameters)
    taken = {
        *top,
        *parameters,
        *(name for cell in run.cells for name in cell.binds),
        *keyword.kwlist,
        *dir(builtins),
    } | _RESERVED
    titles: set[str] = set()
    cells = [cell for group in groups for cell in group]
    made: list[Section] = []
    certain: list[set[str]] = []
    for group in groups:
        if not any(_stays(cell, standing) for cell in group):
            # All of it stands at the top of the module.
            continue
        takes = taken_by(group, standing, seen, above) - top
        binds = [name for name in bound_by(group, seen) if name not in top]
        surely = _certain(group, seen, is_varied=bool(parameters))
        # A parameter that only some runs give another value has its own in the others.
        takes |= {name for name in binds if name in parameters and name not in surely}
        order += [name for name in binds if name not in order]
        title = next((cell.title for cell in group if cell.title), "")
        made_here = _read_in(cells[cells.index(group[-1]) + 1 :], binds, seen) or binds
        if title in titles and not any(cell.is_first_below for cell in group):
            # A part of what stands below the heading is called after what it makes.
            name = _name("", made_here, taken)
            title = f"{name.replace('_', ' ').capitalize()} ({title})" if title else ""
        else:
            name = _name(title, made_here, taken)
        titles.add(title)
        taken.add(name)
        words = "\n\n".join(cell.words for cell in group if cell.words)
        made.append(Section(name, title, words, tuple(group), tuple(sorted(takes, key=order.index)), tuple(binds)))
        certain.append(surely | takes)
        above |= set(binds)
    return _flowing(made, certain, run, order, is_varied=bool(parameters))


def _flowing(
    made: Sequence[Section], certain: Sequence[set[str]], run: Run, order: Sequence[str], *, is_varied: bool
) -> list[Section]:
    """The sections with what each really has to give on and to leave behind, from the last to the first."""
    finals = {name for name in run.values if not name.startswith("_")}
    if is_varied:
        finals |= _left_by_other_runs(made, certain)
    flowing: list[Section] = []
    wanted: set[str] = set()
    # Names whose last value comes from a later section, surely or perhaps.
    overwritten: set[str] = set()
    unsure: set[str] = set()
    for section, surely in zip(reversed(made), reversed(certain), strict=True):
        gives = tuple(name for name in section.gives if name in wanted)
        # What it only perhaps gives another value, it has to know.
        takes = {*section.takes, *(name for name in gives if name not in surely)}
        surely = surely | takes
        left = [name for name in section.gives if name in finals and name not in overwritten]
        # What a later section may leave has to be left before it does.
        leaves = tuple(name for name in left if name in surely and (name not in gives or name in unsure))
        perhaps = tuple(name for name in left if name not in surely)
        unsure |= set(perhaps)
        overwritten |= {name for name in section.gives if name in surely}
        wanted = (wanted - set(section.gives)) | takes
        flowing.append(
            replace(
                section,
                takes=tuple(sorted(takes, key=order.index)),
                gives=gives,
                leaves=leaves,
                perhaps=perhaps,
            )
        )
    return flowing[::-1]


def _left_by_other_runs(made: Sequence[Section], certain: Sequence[set[str]]) -> set[str]:
    """The names that this run has not left behind and another may: variables in branches that it did not come to."""
    bound = bindings(steps({cell.number: cell.tree for section in made for cell in section.cells}))
    deleted = {
        target.id
        for section in made
        for cell in section.cells
        for node in ast.walk(cell.tree)
        if isinstance(node, ast.Delete)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {
        name
        for section, surely in zip(made, certain, strict=True)
        for name in section.gives
        if name not in surely and name not in deleted and not name.startswith("_")
        and any(binding.kind == "variable" for binding in bound.get(name, ()))
    }  # fmt: skip


def _read_in(later: Sequence[Step], binds: Sequence[str], seen: Mapping[int, Seen]) -> list[str]:
    """Which of the names later cells read."""
    read = {name for cell in later if cell.number in seen for name in seen[cell.number].reads}
    return [name for name in binds if name in read]


def _stays(cell: Step, standing: Standing) -> bool:
    """Whether a cell has a statement that does not leave for the top of the module."""
    moved = {at for lines in standing.lines_of(cell.number) for at in range(lines.first, lines.last + 1)}
    return any(node.lineno not in moved for node in cell.tree.body)


def taken_by(group: Sequence[Step], standing: Standing, seen: Mapping[int, Seen], above: Collection[str]) -> set[str]:
    """The names from above that the group may read before it binds them anew."""
    trees = {cell.number: cell.tree for cell in group}
    known: dict[str, list[Binding]] = {name: [] for name in above}
    found = set(readings(trees, known))
    bound_so_far: set[str] = set()
    for cell in group:
        if cell.number in seen:
            # What was really read: also by a formula in a text, which a library looks up by itself.
            found |= {name for name in seen[cell.number].reads if name in above and name not in bound_so_far}
            bound_so_far |= set(seen[cell.number].binds)
        for use in uses(cell.tree):
            found |= {need for need in standing.needs.get(use.node.id, ()) if need in above}
    return found


def bound_by(group: Sequence[Step], seen: Mapping[int, Seen]) -> Iterator[str]:
    """The names that the group binds, in order, as its source says and as was seen."""
    told: set[str] = set()
    for name in bindings(steps({cell.number: cell.tree for cell in group})):
        told.add(name)
        yield name
    for cell in group:
        for name in seen[cell.number].binds if cell.number in seen else ():
            if name not in told:
                told.add(name)
                yield name


def _name(title: str, binds: Sequence[str], taken: Collection[str]) -> str:
    """A name after the heading, or after what is made, that nothing else has."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().replace("'", "")
    words = [word.lower() for word in _WORD.findall(plain)]
    while words and words[0].isdigit():
        words.pop(0)
    # A heading may be a whole sentence; its beginning is name enough.
    words = words[:_LONGEST]
    while words and (words[-1] in _LINKS or sum(map(len, words)) > _WIDEST):
        words.pop()
    made = [name.strip("_") or "value" for name in binds[-2:]]
    wanted = "_".join(words) or (
        "_and_".join(["make", *made]).replace("make_and_", "make_") if binds else "show_results"
    )
    # No name begins with a digit: "2D vectors", "3rd try".
    wanted = f"do_{wanted}" if wanted[0].isdigit() else wanted
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
