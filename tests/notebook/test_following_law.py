"""The law of hidden state, held against real runs: no cell is said to follow whose result a run from the top changes.

Small notebooks are drawn from lines that bind, change, share, call, iterate, raise and run what nobody can read; they
are run, edited, moved and run again in any order. Then they are run from the top, and each cell's output is compared.
"""

from __future__ import annotations

import ast
import collections
import contextlib
import io
import random
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nbproof.notebook.dataflow import bound_names
from nbproof.notebook.document import Cell
from nbproof.notebook.following import RAISES, Execution, Verdict, following, sha256_of

LINES = """
{a} = 1
{a} = 2
{a} = [1, 2]
{a} = [{b}, 3]
{a} = {b}
{a} = {{'k': {b}}}
{a} = {b} + {c}
{a} = len(str({b}))
{a} += {b}
{a} += 1
{a}.append({b})
{a}.append(1)
{a}[0] = {b}
{a} = {b}[0]
{a} = {b}.copy()
del {a}
def f():\\n    return {a}
def f():\\n    global {a}\\n    {a} = 7\\n    return {b}
def f():\\n    {a}.append(9)\\n    return {b}
{a} = f()
f()
{a} = f
{a}()
def g(x):\\n    return x
def g(x):\\n    x.append(5)\\n    return x
def g(x):\\n    x = [1]\\n    x.append({b})\\n    return x
def g(x):\\n    x = x.copy()\\n    x.append({b})\\n    return x
def g(x):\\n    def h():\\n        return x\\n    return h
{a} = g({b})
g({a})
{a} = g
{a} = g({b})()
{a} = lambda: {b}
{a} = [lambda: {b}]
{a} = {b}[0]()
{a} = iter([1, 2, 3])
{a} = (x for x in [1, 2, 3])
{a} = next({b})
{a} = list({b})
{a} = sum({b})
1 in {a}
for x in {a}:\\n    break
for x in {a}:\\n    {b} = x
for {a} in range(2):\\n    {b} = {a}
def gen():\\n    yield 1\\n    yield {a}\\n    yield 3
{a} = gen()
{a}, {b} = {c}, 1
{a}, *{b} = [1, 2, 3]
if {a}:\\n    {b} = 1
if {a}:\\n    {b} = 1\\nelse:\\n    {b} = 2
while {a} == 1:\\n    {a} = 4
try:\\n    {a} = {b}.x\\nexcept Exception:\\n    {c} = 3
with K() as {a}:\\n    {b} = 2
class K:\\n    n = [0]\\n    def __init__(self, v=0):\\n        self.v = v\\n    @property\\n\
    def m(self):\\n        self.n.append(1)\\n\
        return len(self.n)\\n    def __repr__(self):\\n        return 'k%r%r' % (self.v, self.n)
{a} = K({b})
{a} = {b}.m()
{a} = {b}.m
{a}.s({b})
{a}.v = {b}
{a} = {b}.v
K.n = {a}
{a}.n.append(1)
exec('{a} = 5')
{a} = eval('{b}')
globals()['{a}'] = 6
exec('def g(x): return {a}')
import random\\nrandom.seed(1)
import random\\n{a} = random.random()
import math\\n{a} = math.floor(2.5)
from math import *
import copy\\n{a} = copy.deepcopy({b})
{a} = sorted({b}, key=g)
{a} = list(map(g, {b}))
{a} = [g(x) for x in {b}]
{a} = map(g, {b})
{a} = zip({b}, {c})
{a} = [{b} for {c} in [1]]
[{a} := 3 for _ in [1]]
print({a})
{a}
{a} == {b}
str({a})
{a} = {b} if {c} else 1
{a} = {b} or {c}
setattr({a}, 'v', 3)
def f(x=[]):\\n    x.append(1)\\n    return list(x)
def f(x={a}):\\n    x.append(1)\\n    return x
{a} = {b}.pop()
{a}.update(k={b})
{a} = {b}['k']
{a} = dict(k={b})
{a} = ({b}, 1)
{a} = f'{{{b}}}'
{a} = {b} is {c}
assert {a}
raise ValueError({a})
def h(x):\\n    return g(x)
{a} = h({b})
f.z = {a}
{a} = f.z
@g\\ndef f():\\n    return {a}
import functools\\n{a} = functools.reduce(g, {b})
import functools\\n{a} = functools.partial(g, {b})
match {a}:\\n    case [{b}, *_]:\\n        pass
""".strip().split("\n")
# What the lines use is there, so that they do not all end in a NameError.
FIRST = (
    "a = 1\nb = [1, 2]\nc = [b, 3]",
    """class K:
    def __init__(self, v=0):
        self.v = v
    def m(self):
        self.v = [self.v]
        return a
    def s(self, v):
        self.v = v
    def __enter__(self):
        return self.v
    def __exit__(self, *error):
        return True
    def __repr__(self):
        return 'K%r' % (self.v,)
def g(x):
    return x
def h(x):
    return g(x)
def f():
    return b
a = K(1)
b = [a]
c = [1, b]""",
)
NAME = st.sampled_from("abc")
LINE = st.tuples(st.sampled_from(LINES), NAME, NAME, NAME).map(
    lambda drawn: drawn[0].replace("\\n", "\n").format(a=drawn[1], b=drawn[2], c=drawn[3])
)
SOURCE = st.one_of(st.sampled_from(FIRST), st.lists(LINE, min_size=1, max_size=2).map("\n".join))
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["run"] * 8 + ["run all", "edit", "edit", "delete", "move", "insert"]),
        st.integers(0, 60),
        SOURCE,
    ),
    max_size=14,
)
NOTEBOOK = st.tuples(st.sampled_from(FIRST), st.lists(SOURCE, min_size=1, max_size=6)).map(
    lambda drawn: [drawn[0], *drawn[1]]
)
LAW = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)
ADDRESS = re.compile(r"0x[0-9a-f]+")
LONGEST = 200


@dataclass
class Kernel:
    """A namespace that code is really run in."""

    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"}, repr=False)
    is_seeded: bool = False

    def run(self, source: str) -> tuple[str, str | None, str]:
        """What a cell prints and shows, the kind of its error, and what the names that it binds stand for then."""
        long = (value for value in self.names.values() if isinstance(value, list | tuple | str))
        assume(all(len(value) <= LONGEST for value in long))
        if not self.is_seeded:
            # What is drawn before any seed is nobody's to repeat; here it is always the same, so that it tells nothing.
            random.seed(99)
        self.is_seeded |= "random.seed" in source
        printed, error = io.StringIO(), None
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
            shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            try:
                exec(compile(tree, "cell", "exec"), self.names)
                if isinstance(shown, ast.Expr):
                    value = eval(compile(ast.Expression(shown.value), "cell", "eval"), self.names)
                    print(repr(value))
            except Exception as raised:
                error = type(raised).__name__
        # A cell that ended in an error may have bound none of them.
        bound = bound_names(ast.parse(source)) if error is None else set()
        left = {name: repr(self.names[name]) for name in sorted(bound & self.names.keys())}
        return ADDRESS.sub("", printed.getvalue()), error, ADDRESS.sub("", str(left))


@dataclass
class Session:
    """A notebook in the hands of a user."""

    cells: list[Cell]
    tags: tuple[str, ...]
    kernel: Kernel = field(default_factory=Kernel)
    executions: list[Execution] = field(default_factory=list)
    shown: dict[str, tuple[str, str | None, str]] = field(default_factory=dict)
    made: int = 0

    def cell(self, source: str, id_: str | None = None) -> Cell:
        self.made += 1
        return Cell(id_ or f"c{self.made}", "code", source, self.tags)

    def run(self, cells: Iterable[Cell]) -> None:
        for cell in cells:
            self.shown[cell.id] = self.kernel.run(cell.source)
            error = self.shown[cell.id][1]
            outcome: Any = "error" if error else "ok"
            count = len(self.executions) + 1
            self.executions.append(Execution(cell.id, sha256_of(cell.source), cell.source, outcome, error, count))
            if error and RAISES not in self.tags:
                return

    def act(self, what: str, where: int, source: str) -> None:
        place = where % len(self.cells)
        if what == "run":
            self.run([self.cells[place]])
        elif what == "run all":
            self.run(self.cells)
        elif what == "edit":
            self.cells[place] = self.cell(source, self.cells[place].id)
        elif what == "delete" and len(self.cells) > 1:
            del self.cells[place]
        elif what == "move":
            self.cells.insert((where // 7) % len(self.cells), self.cells.pop(place))
        elif what == "insert":
            self.cells.insert(place, self.cell(source))

    def verdicts(self) -> dict[str, Verdict]:
        return {verdict.cell_id: verdict for verdict in following(self.cells, self.executions)}


def begun(sources: Iterable[str], *, may_raise: bool) -> Session:
    session = Session([], (RAISES,) if may_raise else ())
    session.cells.extend(session.cell(source) for source in sources)
    return session


def from_the_top(session: Session) -> Session:
    """The notebook as it stands, restarted and run."""
    fresh = Session(session.cells, session.tags)
    fresh.run(fresh.cells)
    return fresh


TOLD: collections.Counter[str] = collections.Counter()


@LAW
@given(NOTEBOOK, ACTS, st.booleans(), st.booleans())
def test_no_cell_is_said_to_follow_that_does_not(
    sources: list[str], acts: list[tuple[str, int, str]], all_first: bool, may_raise: bool
) -> None:
    """A cell that follows shows and leaves the same from the top, unless a cell above that does not follow stops it."""
    session = begun(sources, may_raise=may_raise)
    if all_first:
        session.run(session.cells)
    for act in acts:
        session.act(*act)

    verdicts, fresh = session.verdicts(), from_the_top(session)

    for id_, verdict in verdicts.items():
        if verdict.state == "follows" and id_ in fresh.shown:
            assert session.shown[id_] == fresh.shown[id_], (verdict, session)
        elif verdict.state == "follows":
            stopped = next(reversed(fresh.shown))
            assert verdicts[stopped].state != "follows", (verdict, session)
        elif id_ in fresh.shown and verdict.state in ("stale", "out of order", "unknown"):
            # How many marks there are that would not have been needed is no promise, but good to know.
            is_needed = session.shown[id_] != fresh.shown[id_]
            TOLD[f"{verdict.state}: {'another' if is_needed else 'the same'} result"] += 1


@LAW
@given(NOTEBOOK, ACTS, st.booleans())
def test_after_a_restart_and_a_run_of_all_every_cell_follows(
    sources: list[str], acts: list[tuple[str, int, str]], may_raise: bool
) -> None:
    """Whatever the code is: a run from the top is a run from the top."""
    session = begun(sources, may_raise=may_raise)
    for what, where, source in acts:
        if not what.startswith("run"):
            session.act(what, where, source)

    fresh = from_the_top(session)

    verdicts = fresh.verdicts()
    assert {verdicts[id_].state for id_ in fresh.shown} == {"follows"}
