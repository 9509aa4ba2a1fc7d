"""Which names of the cells above a cell may be read by those below it."""

from __future__ import annotations

import symtable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.notebook.dataflow import bindings, names_read, readings, steps
from nbproof.notebook.syntax import cell_tree


def read_below(above: str, *below: str) -> set[str]:
    """The names that `above` binds and the cells `below` may read."""
    bound = bindings(steps({0: cell_tree(above)}))
    return set(readings({number: cell_tree(source) for number, source in enumerate(below, 1)}, bound))


ABOVE = """\
import numpy as np
a = 1
b = [2]
c = {}
x = y = 0
def f(p):
    return p + a
def g(q):
    return f(q) + len(b)
"""
READ = {
    "a name": ("print(a)", {"a"}),
    "a name that is bound first": ("a = 1\nprint(a)", set()),
    "a name that is bound from itself": ("a = a + 1", {"a"}),
    "an augmented assignment": ("a += 1", {"a"}),
    "an item that is set": ("b[0] = 1", {"b"}),
    "an attribute that is set": ("c.x = 1", {"c"}),
    "a name that is unbound": ("del a", {"a"}),
    "an annotation without a value": ("a: int\nprint(a)", {"a"}),
    "an annotation with one": ("a: int = 1\nprint(a)", set()),
    "a branch that binds": ("if x:\n    a = 1\nprint(a)", {"a", "x"}),
    "branches that both bind": ("if 1:\n    a = 1\nelse:\n    a = 2\nprint(a)", set()),
    "a loop that may not run": ("for a in b:\n    pass\nprint(a)", {"a", "b"}),
    "a loop's own name inside it": ("for a in []:\n    print(a)", set()),
    "a loop that reads what it binds later": ("for i in []:\n    print(a)\n    a = 1", {"a"}),
    "a while loop": ("while x:\n    a = 1\nprint(a)", {"x", "a"}),
    "a try that may stop": ("try:\n    a = 1\nexcept ValueError:\n    pass\nprint(a)", {"a"}),
    "a context that may swallow": ("with open('x') as a:\n    b = 1\nprint(a, b)", {"b"}),
    "a walrus": ("if (a := 1):\n    print(a)", {"a"}),
    "a match": ("match x:\n    case [a, *b]:\n        print(a, b)", {"x", "a", "b"}),
    "a comprehension's own name": ("[a for a in range(3)]", set()),
    "a comprehension's first iterable": ("[a for a in a]", {"a"}),
    "a comprehension's second iterable": ("[a for i in [1] for a in b]", {"b"}),
    "a lambda's argument": ("h = lambda a: a", set()),
    "a lambda's body": ("h = lambda: a", {"a"}),
    "a lambda's default": ("h = lambda a=x: a", {"x"}),
    "a function's local name": ("def h():\n    a = 1\n    return a", set()),
    "a function's global": ("def h():\n    global a\n    a = a + 1", {"a"}),
    "a function in a function": (
        "def h():\n    a = 1\n    def k():\n        nonlocal a\n        return a + x\n    return k",
        {"x"},
    ),
    "a global below a local": (
        "def h():\n    a = 1\n    def k():\n        global a\n        return a\n    return k",
        {"a"},
    ),
    "a class body": ("class H:\n    a = a", {"a"}),
    "a method does not see the class": ("class H:\n    a = 1\n    def m(self):\n        return a", {"a"}),
    "a class in a function": ("def h():\n    a = 1\n    class K:\n        a = a\n    return K", {"a"}),
    "a function and what it reads": ("f(1)", {"f", "a"}),
    "a function and what the one behind it reads": ("print(g)", {"g", "f", "a", "b"}),
    "a function that reads what was bound anew": ("a = 5\nf(1)", {"f"}),
    "a function read before that": ("h = f\na = 5\nh(1)", {"f", "a"}),
    "a function defined anew": ("def f(p):\n    return p\nf(1)", set()),
    "a decorator": ("@f\ndef h(): pass", {"f", "a"}),
    "an annotation of a function": ("def h(p: x) -> y: pass", {"x", "y"}),
    "an f-string": ("print(f'{a:{x}}')", {"a", "x"}),
    "an exception's name": ("try:\n    pass\nexcept ValueError as a:\n    print(a)", set()),
    "an exception elsewhere": ("try:\n    pass\nexcept f as a:\n    0\nexcept E:\n    print(a)", {"f", "a"}),
    "a starred target": ("a, *b = [1, 2]\nprint(a, b)", set()),
    "an await": ("await a", {"a"}),
    "an import": ("np.zeros(1)", {"np"}),
    "an import that is made again": ("import numpy as np\nnp.zeros(1)", set()),
    "a query": ("np.query('k > @a')", {"np", "a"}),
    "an assertion": ("assert a, x", {"a", "x"}),
}  # fmt: skip


@pytest.mark.parametrize(("below", "expected"), READ.values(), ids=READ)
def test_what_a_cell_may_read(below: str, expected: set[str]) -> None:
    """A name counts unless it was certainly bound before."""
    assert read_below(ABOVE, below) == expected


def test_a_later_cell_sees_what_an_earlier_one_bound() -> None:
    """What one cell below binds, the next does not need from above."""
    assert read_below("a = 1\nb = 2", "a = 3", "print(a, b)") == {"b"}


def test_a_cell_that_may_stop_binds_nothing_for_certain() -> None:
    """After a cell that may fail, its names may still be those from above."""
    bound = bindings(steps({0: cell_tree("a = 1")}))
    below = {1: cell_tree("a = 2"), 2: cell_tree("print(a)")}

    assert set(readings(below, bound)) == set()
    assert set(readings(below, bound, abandoned={1})) == {"a"}


def test_words_in_text_can_count() -> None:
    """Libraries that look names up in text read them there."""
    bound = bindings(steps({0: cell_tree("frame = 1\nother = 2")}))

    assert set(readings({1: cell_tree("sql('select * from frame')")}, bound, words=True)) == {"frame"}


def test_a_reading_names_its_place() -> None:
    """The first place is told, so that people find it."""
    bound = bindings(steps({0: cell_tree("a = 1")}))

    found = readings({4: cell_tree("\n\nprint(a)"), 6: cell_tree("a")}, bound)

    assert (found["a"].cell, found["a"].line) == (4, 3)


BOUND = {
    "for a, (b, *c) in []: pass": {"a": "variable", "b": "variable", "c": "variable"},
    "with x as (a, b): pass": {"a": "variable", "b": "variable"},
    "import a.b, c as d": {"a": "import", "d": "import"},
    "from a import b as c": {"c": "import"},
    "if 1:\n    import a": {"a": "variable"},
    "def f(): pass": {"f": "definition"},
    "async def f(): pass": {"f": "definition"},
    "class A(metaclass=(b := type)): pass": {"A": "definition", "b": "variable"},
    "f = lambda: 1": {"f": "definition"},
    "def f():\n    global a\n    a = 1": {"f": "definition", "a": "variable"},
    "def f():\n    a = 1": {"f": "definition"},
    "[a := 1 for b in []]": {"a": "variable"},
    "match x:\n    case {'k': a, **b}: pass\n    case C(d) as e: pass": dict.fromkeys("abde", "variable"),
    "try: pass\nexcept E as a: pass": {"a": "variable"},
    "a.b = 1; c[0] = 2; d: int": {"d": "variable"},
    "del a": {"a": "variable"},
}


@pytest.mark.parametrize(("source", "expected"), BOUND.items(), ids=BOUND)
def test_what_a_statement_binds(source: str, expected: dict[str, str]) -> None:
    """Each binding says whether it is an import, a definition, or whatever else."""
    found = bindings(steps({0: cell_tree(source)}))

    assert {name: {binding.kind for binding in places} for name, places in found.items()} == {
        name: {kind} for name, kind in expected.items()
    }


NAMES = st.sampled_from("abcd")
EXPRESSIONS = st.recursive(
    NAMES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} + {two[1]})"),
        st.tuples(NAMES, inner, inner).map(lambda three: f"[{three[1]} for {three[0]} in {three[2]}]"),
        st.tuples(NAMES, inner).map(lambda two: f"(lambda {two[0]}: {two[1]})"),
        st.tuples(NAMES, NAMES, inner, inner).map(
            lambda four: f"{{{four[2]} for {four[0]} in {four[3]} for {four[1]} in [1]}}"
        ),
    ),
    max_leaves=8,
)
STATEMENTS = st.recursive(
    st.tuples(NAMES, EXPRESSIONS).map(lambda two: f"{two[0]} = {two[1]}"),
    lambda inner: st.one_of(
        st.tuples(NAMES, inner, EXPRESSIONS).map(
            lambda three: f"def f({three[0]}):\n" + indented(three[1]) + f"\n    return {three[2]}"
        ),
        st.tuples(NAMES, inner).map(lambda two: f"def g():\n    global {two[0]}\n" + indented(two[1])),
    ),
    max_leaves=3,
)  # fmt: skip


def indented(block: str) -> str:
    return "\n".join(f"    {line}" for line in block.split("\n"))


def globals_of(table: symtable.SymbolTable) -> set[str]:
    """The names of the module that Python's own compiler sees read in it."""
    found = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global())
    }
    return found.union(*(globals_of(child) for child in table.get_children()))


@given(STATEMENTS)
def test_reads_agree_with_the_compiler(source: str) -> None:
    """No name that Python's compiler takes for a global one is overlooked."""
    try:
        expected = globals_of(symtable.symtable(source, "cell", "exec"))
    except SyntaxError:
        return

    assert names_read(cell_tree(source)) == expected & set("abcdfg")
