"""Package and notebook run side by side with the same values, and compared: once, or with other values, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import NotWatched
from ..reading import Reading
from ..running import clean_folder, run_package
from ..watching.draws import ONE_START
from ..watching.seen import Run
from ..working import Working
from .compare import Compared, Equivalence, Roots, compare
from .drawing import drawn

# A notebook that takes so many times longer with other values tells nothing that is worth the wait.
_PATIENCE, _LEAST_S = 5, 30.0
_MORE = 3
_MOST_TOLD = 3

RunNotebook = Callable[..., Run]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared, with which values of the parameters."""

    parameters: Mapping[str, Any]
    equivalence: Equivalence


@dataclass(frozen=True, slots=True)
class Pair:
    """A notebook and a package that are to give the same.

    `run` runs the notebook: its folder, the values, how long it may take, and where its random numbers start if not
    where those of the package do. They run side by side unless both write to the same place.
    """

    reading: Reading
    needed: Working
    name: str
    sources: Mapping[str, bytes]
    run: RunNotebook
    is_apart: bool = True

    @property
    def ids(self) -> dict[int, str]:
        """The id of each cell, by its number."""
        return {step.number: step.id for step in self.reading.steps}


def prove(
    pair: Pair,
    parameters: Mapping[str, Any],
    *,
    unsteady: Collection[Key] = (),
    is_twice: bool = False,
    timeout_s: float | None = None,
) -> Proof:
    """Run both, each in a folder of its own, with random numbers from one start.

    The notebook runs a second time with others if `is_twice`, to learn what is not steady; and once more from the same
    start if anything differs. What is known to be `unsteady` proves nothing. A notebook that fails with these values
    has to fail in the package in the same way.
    """
    with (
        clean_folder(pair.needed, is_with_modules=True) as (root, folder),
        clean_folder(pair.needed, is_with_modules=False) as (package_root, place),
        ThreadPoolExecutor(2 if pair.is_apart else 1) as side_by_side,
    ):
        notebook = side_by_side.submit(pair.run, folder, parameters, timeout_s)
        package = side_by_side.submit(
            run_package, pair.name, pair.sources, place, parameters=parameters, timeout_s=timeout_s
        )
        first = notebook.result()
        try:
            left = package.result()
        except NotWatched as error:
            return Proof(parameters, Equivalence((Compared("error", "run", "differs", "", error.reason),)))

    def beside(other: Run, other_root: Path) -> Equivalence:
        return _without(compare(first, other, left, pair.ids, Roots(root, other_root, package_root)), unsteady)

    found = at_once = beside(first, root)
    if is_twice:
        with clean_folder(pair.needed, is_with_modules=True) as (again, folder):
            found = beside(pair.run(folder, parameters, timeout_s, None, True), again)
    if at_once.holds or (is_twice and not found.holds):
        return Proof(parameters, found)
    with clean_folder(pair.needed, is_with_modules=True) as (again, folder):
        same = beside(pair.run(folder, parameters, timeout_s, ONE_START, True), again)
    return Proof(parameters, found if is_twice and same.holds else same)


def prove_others(
    pair: Pair,
    given: Mapping[str, Any],
    before: Equivalence,
    *,
    own_s: float,
    seconds: float,
    tell: Callable[[str], None],
) -> list[Proof]:
    """Compare with other values that the contract allows, until `seconds` are over.

    With one set of them at least, and for some time more if all so far make the notebook fail, which proves little. The
    first that does not hold is the last.
    """
    if pair.reading.contract is None or seconds <= 0:
        return []
    unsteady = unsteady_rows(before)
    began, proofs = time.monotonic(), list[Proof]()
    for values in drawn(pair.reading.contract, given):
        passed_s = time.monotonic() - began + own_s
        if proofs and passed_s > (_MORE * seconds if all(proof.equivalence.fails for proof in proofs) else seconds):
            break
        changed = [f"{name}={value!r}" for name, value in values.items() if name not in given or given[name] != value]
        tell(f"compares with {', '.join(changed[:_MOST_TOLD])}" + (" and more" if len(changed) > _MOST_TOLD else ""))
        try:
            proofs.append(prove(pair, values, unsteady=unsteady, timeout_s=max(_LEAST_S, _PATIENCE * own_s)))
        except NotWatched as error:
            tell(f"nothing is known with these: {error.reason}")
            break
        if not proofs[-1].equivalence.holds:
            break
    return proofs


def unsteady_rows(found: Equivalence) -> frozenset[Key]:
    """What two runs of the notebook did not agree on, by its kind and name."""
    return frozenset((row.what, row.name) for row in found.rows if row.verdict == "not steady")


def _without(found: Equivalence, unsteady: Collection[Key]) -> Equivalence:
    return Equivalence(tuple(_row(row, unsteady) for row in found.rows))


def _row(row: Compared, unsteady: Collection[Key]) -> Compared:
    is_known = (row.what, row.name) in unsteady and row.verdict in ("equal", "differs")
    return replace(row, verdict="not steady", digest="") if is_known else row
