"""A draft of a package, with the proof that it gives what its notebook gives."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import NotExported, NotWatched, ParameterInvalid
from ..notebook import document as documents
from ..notebook.dataflow import bindings, steps
from .equivalence.compare import Equivalence, Roots, compare
from .own_products import put_back
from .reading import Reading, read
from .running import clean_folder, run_package
from .secret_files import holds_secrets
from .shaping.package import Shape, Shaped, shaped
from .shaping.parameters import says_its_defaults, sets
from .shaping.scopes import passes_over
from .shaping.script import can_be_script
from .watching.draws import ONE_START
from .watching.executor import CellCode
from .watching.seen import Run, Seen
from .watching.watch import watch
from .working import Working, changed_by, missed, vendored, working

NAME = "draft"
# The most pleasant first.
SHAPES: tuple[Shape, ...] = ("sections", "one function", "script")
# Cells of a notebook are counted from 1.
_INJECTED = 0
# So many more runs before a value counts as one that depends on the folder.
_CHANCES = 2


# What else may ask how its folder looks, without reading any file.
_LOOKING_ROUND = re.compile(r"exists|isfile|is_file|isdir|is_dir|listdir|scandir|glob|walk|cwd|__file__")
_PROGRAMS = re.compile(r"\bsubprocess\b|\bos\.(system|popen|exec|spawn)|\bPopen\b|\bpexpect\b")
# A figure by its number or name.
_NUMBERED = re.compile(r"\bfigure\(\s*(?:num\s*=\s*)?(\d+|'[^'\n]*'|\"[^\"\n]*\")")
_HOST = re.compile(r"\('([^']*)'")
_HERE = re.compile(r"localhost|127\..*|::1?|0\.0\.0\.0|None|")

Complete = Callable[[Reading, Shaped, Working], Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Draft:
    """The modules of a package, what was read and seen of its notebook, and the comparison that holds.

    `first` and `second` are two runs of the notebook, in fresh processes, with `parameters` where any were asked for;
    the second had nothing in its folder but what is `needed`. `sources` are the files that were run as the package.
    `passed_over` says why more pleasant shapes were not taken.
    """

    reading: Reading
    first: Run
    second: Run
    shaped: Shaped
    equivalence: Equivalence
    parameters: Mapping[str, Any] = field(default_factory=dict)
    needed: Working = field(default_factory=lambda: Working(Path(), "."))
    sources: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    passed_over: tuple[str, ...] = ()

    @property
    def files(self) -> Mapping[str, str]:
        """The modules, by their paths in the package."""
        return self.shaped.modules

    @property
    def shape(self) -> Shape:
        """Which of the shapes was proven equal."""
        return self.shaped.shape


@dataclass(frozen=True, slots=True)
class _Third:
    """A run in a clean folder below `root` whose random numbers start where those of the first did."""

    run: Run
    root: Path


def draft(
    notebook: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    timeout_s: float | None = None,
    name: str = NAME,
    complete: Complete | None = None,
    shapes: tuple[Shape, ...] = SHAPES,
    checks_types: bool = False,
    folder: Path | None = None,
    also: frozenset[Path] = frozenset(),
    tell: Callable[[str], None] = lambda _: None,
) -> Draft:
    """Make a package of a notebook, in the most pleasant shape that is proven equal.

    The notebook runs in its own folder, and then it and each draft in folders with nothing but the files that it was
    seen reading. Random numbers without a seed start at one place in the first run and in the package, and elsewhere
    in the second: what that changes is not steady, and yet the package has to give it. All run with `parameters`, if
    there are any. `complete` gives the whole of a package called `name`, where it is more than its modules. Raises
    `NotExported` with every reason, and `ParameterInvalid` for values that the notebook does not take.
    What a type checker finds in the code is marked if it `checks_types`. `folder` is where the notebook works, else its
    own; `also` are files there that it needs, besides those that it is seen reading.
    """
    home = (folder or notebook.parent).resolve()
    reading = read(documents.read(notebook), home.joinpath)
    if reading.refusals:
        raise NotExported(notebook, [str(refusal) for refusal in reading.refusals])
    asked = dict(parameters or {})
    injected = injection(reading, asked)
    tell(f"runs the notebook, {len(reading.steps)} cells")
    declared = asked.get("product", reading.contract.product if reading.contract else None)
    with put_back(declared, home):
        first = watched(reading, home, injected=injected, timeout_s=timeout_s, tells_loaded=True, listens=True)
        needed = working(first, home, also=also | reading.loads | {each.path for each in reading.runs})
    reasons = [*_beyond_reach(reading, first), *_own_input(first, needed), *_run_otherwise(reading, first, needed)]
    reasons += [*_on_open_figures(reading, first), *_secrets(reading, first)]
    if reasons:
        raise NotExported(notebook, reasons)
    ids = {step.number: step.id for step in reading.steps}
    third: _Third | None = None
    with (
        clean_folder(needed, is_with_modules=True) as (root, clean),
        ThreadPoolExecutor(2 if may_run_beside(first, needed) else 1) as side_by_side,
    ):
        tell("runs it again beside the package, in folders with nothing but its data")
        again = side_by_side.submit(_watched_again, reading, clean, injected, timeout_s)
        for shape in shapes:
            if shape == "script" and not can_be_script(reading.steps):
                continue
            if shape != "script" and any(passes_over(step.tree) for step in reading.steps):
                reasons.append(f"as {shape}: a function means by `global` what a function around it has of its own")
                continue
            if shape != "script" and reading.by_text:
                reasons.append(f"as {shape}: {reading.by_text[0]}")
                continue
            made = shaped(reading, first, shape=shape, checks_types=checks_types)
            sources = dict(complete(reading, made, needed) if complete else _plainly(made, needed))
            with clean_folder(needed, is_with_modules=False) as (package_root, place):
                runs = side_by_side.submit(run_package, name, sources, place, parameters=asked, timeout_s=timeout_s)
                reason = ""
                try:
                    second = again.result()
                except NotExported as error:
                    unseen = frozenset(missed(" ".join(error.reasons), home, first)) - also
                    if not unseen:
                        raise
                    tell(f"it reads {', '.join(sorted(path.name for path in unseen))}, too: once more")
                    return draft(
                        notebook, parameters=parameters, timeout_s=timeout_s, name=name, complete=complete,
                        shapes=shapes, checks_types=checks_types, folder=folder, also=also | unseen, tell=tell,
                    )  # fmt: skip
                try:
                    left = runs.result()
                except NotWatched as error:
                    reason = error.reason
            if not reason:
                equivalence = compare(first, second, left, ids, Roots(needed.root, root, package_root))
                reason = "" if equivalence.holds else _told(equivalence)
            same = Roots(needed.root, needed.root, package_root)
            if not reason and equivalence.count("not steady") and not compare(first, first, left, ids, same).holds:
                # Started at one place, the same may be drawn again; if so, the package has to draw it, too.
                third = third or _from_one_start(reading, needed, injected, timeout_s)
                found = compare(first, third.run, left, ids, Roots(needed.root, third.root, package_root))
                reason = "" if found.holds else f"its random numbers are others: {_told(found)}"
            if not reason:
                break
            tell(f"as {shape} it is not equal: {reason}")
            reasons.append(f"as {shape}: {reason}")
        else:
            raise NotExported(notebook, reasons)
    if equivalence.count("not steady") and _looks_round(reading, needed):
        third = third or _from_one_start(reading, needed, injected, timeout_s)
        _check_alone(
            reading, first, second, third.run, needed, lambda: _from_one_start(reading, needed, injected, timeout_s).run
        )
    return Draft(reading, first, second, made, equivalence, asked, needed, sources, tuple(reasons))


def _plainly(made: Shaped, needed: Working) -> Mapping[str, bytes]:
    """The modules, and the local ones that they import."""
    files = {name: text.encode() for name, text in made.modules.items()}
    return files | {f"_modules/{vendored(name, held)}": held.source.read_bytes() for name, held in needed.modules}


def _beyond_reach(reading: Reading, run: Run) -> Iterator[str]:
    """What a run took from somewhere that nobody can give to a package, cell by cell."""
    sources = {step.number: step.source for step in reading.steps}
    for cell in run.cells:
        far = [place for place in cell.network if _is_far(place)]
        if far:
            yield (
                f"{reading.place(cell.cell)}: it needs the network ({far[0]}), which may answer otherwise tomorrow; "
                "save what it answers as a file, and read that"
            )
        if cell.processes and _PROGRAMS.search(sources.get(cell.cell, "")):
            yield (
                f"{reading.place(cell.cell)}: it runs another program ({cell.processes[0]}), which is none of the "
                "package; do it in Python, or before"
            )


def _on_open_figures(reading: Reading, run: Run) -> Iterator[str]:
    """Where a cell goes on with a figure of a cell above, which is closed wherever the package runs."""
    numbered: set[str] = set()
    sources = {step.number: step.source for step in reading.steps}
    for cell in run.cells if reading.keeps_figures else ():
        again = set(_NUMBERED.findall(sources.get(cell.cell, "")))
        if cell.wants_closed_figure or again & numbered:
            yield (
                f"{reading.place(cell.cell)}: it goes on with a figure of a cell above, which "
                f"`{reading.keeps_figures}` keeps open; draw on its axes, `axes.plot(...)`, or begin another figure"
            )
        numbered |= again


def _secrets(reading: Reading, run: Run) -> Iterator[str]:
    """The files of secrets that a run reads: a package would carry them, or what its tests keep would."""
    for cell in run.cells:
        for path in map(Path, cell.files_read):
            if path.is_file() and holds_secrets(path):
                yield (
                    f"{reading.place(cell.cell)}: it reads `{path.name}`, a file of secrets, which a package would "
                    "carry on; make what it needs a parameter that is a secret"
                )


def _run_otherwise(reading: Reading, run: Run, needed: Working) -> Iterator[str]:
    """What a run shows against notebooks that are run by this one: that it was not as it was read."""
    held = {each.source: each.digest for each in needed.data}
    for ran in reading.runs:
        if held.get(ran.path) != ran.digest:
            yield f"`%run {ran.name}`: it is not as it was read, or lies too far away; leave it as it is, near by"
        elif any(str(ran.path) in cell.files_written for cell in run.cells):
            yield f"`%run {ran.name}`: the notebook writes it itself; write a module, and import that"
    has_moved = False
    for cell in run.cells:
        if cell.cell in reading.inside and has_moved:
            yield f"{reading.place(cell.cell)} is run from another folder; use `os.chdir` below it"
        if cell.cell in reading.leading and cell.figures:
            yield f"{reading.place(cell.cell)} draws, and then runs a notebook; give `%run` a cell of its own"
        has_moved = has_moved or "working folder" in cell.changes


def _is_far(place: str) -> bool:
    """Whether it leads to another machine: a name that is looked up, or an address that is neither a file nor here."""
    event, _, where = place.partition(" ")
    host = _HOST.match(where)
    if event == "socket.getaddrinfo":
        return _HERE.fullmatch(where) is None
    return event != "socket.bind" and host is not None and _HERE.fullmatch(host[1]) is None


def _own_input(run: Run, needed: Working) -> Iterator[str]:
    for path in changed_by(run, needed):
        yield f"it changes `{path}`, which it reads itself: a second run finds another file; write to another one"


def may_run_beside(run: Run, needed: Working) -> bool:
    """Whether two runs in folders of their own cannot get into each other's way."""
    outside = [path for path, left in run.files.items() if left.digest and not Path(path).is_relative_to(needed.root)]
    return not outside and not any(cell.network for cell in run.cells)


def _watched_again(reading: Reading, folder: Path, injected: str, timeout_s: float | None) -> Run:
    try:
        return watched(reading, folder, injected=injected, timeout_s=timeout_s, draws_from=None, stirs=True)
    except NotExported as error:
        reason = "in a folder with nothing but the files that it was seen reading, "
        raise NotExported(error.notebook, [reason + each for each in error.reasons]) from None


def _looks_round(reading: Reading, needed: Working) -> bool:
    has_files = bool(needed.data or needed.folders or needed.elsewhere)
    return has_files or any(_LOOKING_ROUND.search(step.source) for step in reading.steps)


def _from_one_start(reading: Reading, needed: Working, injected: str, timeout_s: float | None) -> _Third:
    with clean_folder(needed, is_with_modules=True) as (root, folder):
        return _Third(watched(reading, folder, injected=injected, timeout_s=timeout_s, stirs=True), root)


def _check_alone(
    reading: Reading, first: Run, second: Run, third: Run, needed: Working, again: Callable[[], Run]
) -> None:
    """Raise `NotExported` for a value that is another one only since the folder is another one.

    Whatever names the folder itself is another one for that reason alone. A coarse clock tells the same twice by
    chance: what one more run, and then another, tells otherwise in the same folder is just not steady.
    """
    elsewhere = {
        name for name, value in first.values.items()
        if str(needed.root) not in value.text
        and value.digest is not None
        and (second.values.keys() & third.values.keys() >= {name})
        and value.digest != second.values[name].digest == third.values[name].digest is not None
    }  # fmt: skip
    for _ in range(_CHANCES if elsewhere else 0):
        values = again().values
        elsewhere = {name for name in elsewhere if name in values and values[name].digest == second.values[name].digest}
        if not elsewhere:
            return
    reasons = [
        f"`{name}` depends on what lies in the notebook's folder besides the files that it reads "
        f"({first.values[name].text} there, {second.values[name].text} with these alone); read what it needs"
        for name in first.values if name in elsewhere
    ]  # fmt: skip
    if reasons:
        raise NotExported(reading.document.path, reasons)


def injection(reading: Reading, parameters: Mapping[str, Any]) -> str:
    """The source of the cell that gives a notebook other values; empty where it runs as it stands.

    Raises `ParameterInvalid` for values that the notebook does not take.
    """
    contract = reading.contract
    if contract is None:
        if parameters:
            problems = [f"unknown parameter `{name}`" for name in parameters]
            raise ParameterInvalid("the call", problems, hint="declare it in a cell tagged `parameters`")
        return ""
    plumbing = {name: parameters[name] for name in ("upstream", "product") if name in parameters}
    unknown = [name for name in plumbing if not sets(reading, name)]
    own = {name: value for name, value in parameters.items() if name not in plumbing or name in unknown}
    contract.validate(own, where="the call")
    if not parameters and says_its_defaults(reading):
        return ""
    return contract.injected_source(own, upstream=plumbing.get("upstream"), product=plumbing.get("product"))


def watched(
    reading: Reading,
    folder: Path,
    *,
    injected: str = "",
    timeout_s: float | None = None,
    tells_loaded: bool = False,
    may_fail: bool = False,
    draws_from: int | None = ONE_START,
    listens: bool = False,
    stirs: bool = False,
) -> Run:
    """Watch a notebook run, with `injected` right after its parameters cell; raises `NotExported` where it fails.

    Where it `listens`, the run tells with which types functions were called. Where it `stirs`, memory that nobody has
    filled holds something else.
    """
    cells: list[CellCode] = []
    for step in reading.steps:
        cells.append(CellCode(step.number, step.source, step.is_silenced))
        if injected and step is reading.parameters_cell:
            cells.append(CellCode(_INJECTED, injected))
    run = watch(
        cells,
        folder,
        timeout_s=timeout_s,
        tells_loaded=tells_loaded,
        draws_from=draws_from,
        listens=listens,
        stirs=stirs,
    )
    if run.error is not None and not may_fail:
        raise NotExported(reading.document.path, [f"{_place(reading, run.error)} fails: {run.error.error}"])
    scenery = without_value(reading, run)
    return replace(
        run,
        cells=tuple(cell for cell in run.cells if cell.cell != _INJECTED),
        values={name: value for name, value in run.values.items() if name not in scenery},
    )


def _place(reading: Reading, failed: Seen) -> str:
    """The cell that failed, and the line in it, as they stand in the notebook."""
    lines = next((step.lines for step in reading.steps if step.number == failed.cell), ())
    if failed.line is None or not 0 < failed.line <= len(lines):
        return reading.place(failed.cell)
    return f"{reading.place(failed.cell)}, line {lines[failed.line - 1]}"


def notebook_runner(reading: Reading) -> Callable[..., Run]:
    """A function that runs the notebook in a folder, with values of its parameters; it may fail."""

    def run(
        place: Path,
        parameters: Mapping[str, Any],
        timeout_s: float | None,
        draws_from: int | None = ONE_START,
        stirs: bool = False,
    ) -> Run:
        return watched(
            reading,
            place,
            injected=injection(reading, parameters),
            timeout_s=timeout_s,
            may_fail=True,
            draws_from=draws_from,
            stirs=stirs,
        )

    return run


def without_value(reading: Reading, run: Run) -> frozenset[str]:
    """The names of a run that imports and definitions alone have brought: they are no results."""
    bound = bindings(steps({step.number: step.tree for step in reading.steps}))
    found = {name for name, made in bound.items() if all(binding.kind != "variable" for binding in made)}
    # A star brings names that no statement says.
    starred = {step.number for step in reading.steps if has_star(step.tree)}
    found |= {name for cell in run.cells if cell.cell in starred for name in cell.binds if name not in bound}
    return frozenset(found)


def has_star(tree: ast.Module) -> bool:
    """Whether it imports whatever a module has."""
    return any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))


def _told(equivalence: Equivalence) -> str:
    wrong = equivalence.wrong
    first = wrong[0]
    if first.what == "error":
        return f"its run fails: {first.package}" if first.package else f"its run does not fail: {first.notebook}"
    where = f"first the {first.what} `{first.name}`: {first.notebook[:80]} in the notebook, {first.package[:80]} in it"
    return f"{len(wrong)} of {len(equivalence.rows)} differ, {where}"
