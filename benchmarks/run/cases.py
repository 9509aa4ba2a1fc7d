"""What is measured: a project, what is asked of it, who takes part, and how often."""

from __future__ import annotations

from dataclasses import dataclass

from .contenders import Verb
from .notebooks import HEAVY, Shape, chain, loud_cells, single, small_cells, tree, wide

ONE_NOTEBOOK = (
    "nbproof run",
    "nbproof run, cold",
    "nbproof in a process",
    "papermill command",
    "papermill in a process",
    "nbclient script",
    "nbconvert --execute",
    "ploomber-engine command",
    "python script",
    "cells in one process",
)
NO_OP = ("nbproof run", "ploomber serial")


@dataclass(frozen=True, slots=True)
class Case:
    """`quick` names who takes part when there are only minutes; nobody means that the case is left out then."""

    name: str
    shape: Shape
    contenders: tuple[str, ...]
    rounds: int
    quick: tuple[str, ...] = ()
    verb: Verb = "run"


EMPTY, HEAVY_NOTEBOOK, SMALL_CELLS = "empty notebook", "import-heavy notebook", "20 small cells"
LOUD, CHAIN = "100 cells × 100 KB", "chain of 11, import-heavy"
WIDE_TINY, WIDE_HEAVY = "30 side by side, tiny", "30 side by side, import-heavy"
HELP, STATUS, MEMORY = "help", "status, 11 tasks", "memory of 8 kernels, import-heavy"


def no_op(tasks: int) -> str:
    return f"nothing to do, {tasks} tasks"


CASES = (
    Case(EMPTY, single("empty"), ONE_NOTEBOOK, 5, ("nbproof run", "nbproof in a process", "papermill in a process")),
    Case(
        HEAVY_NOTEBOOK,
        single("heavy", imports=HEAVY),
        ONE_NOTEBOOK,
        3,
        ("nbproof run", "nbproof in a process", "papermill command", "papermill in a process", "python script"),
    ),
    Case(SMALL_CELLS, small_cells(), ONE_NOTEBOOK, 3),
    Case(
        LOUD,
        loud_cells(),
        (
            "nbproof run",
            "nbproof in a process",
            "papermill command",
            "papermill in a process",
            "nbclient script",
            "nbconvert --execute",
        ),
        3,
        ("nbproof in a process", "papermill in a process"),
    ),
    Case(
        CHAIN,
        chain(11, imports=HEAVY),
        (
            "nbproof run",
            "nbproof run, cold",
            "nbproof pipeline in a process",
            "papermill in a process",
            "ploomber serial",
            "cells in one process",
        ),
        2,
        ("nbproof run", "ploomber serial", "cells in one process"),
    ),
    Case(
        WIDE_TINY,
        wide(30),
        ("nbproof run", "nbproof pipeline in a process", "ploomber serial", "ploomber parallel", "ideal"),
        2,
        ("nbproof run", "ploomber parallel", "ideal"),
    ),
    Case(
        WIDE_HEAVY,
        wide(30, imports=HEAVY),
        ("nbproof run", "nbproof run, cold", "nbproof pipeline in a process", "ploomber parallel", "ideal"),
        1,
    ),
    *(Case(no_op(tasks), tree(tasks), NO_OP, 3, NO_OP, "again") for tasks in (11, 50, 200)),
    Case(no_op(1000), tree(1000), NO_OP, 2, (), "again"),
    Case(HELP, single("help"), NO_OP, 3, ("nbproof run",), "help"),
    Case(STATUS, tree(11), NO_OP, 3, ("nbproof run",), "status"),
)
