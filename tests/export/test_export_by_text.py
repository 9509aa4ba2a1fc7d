"""Code and names that stand in texts: exported as a script where that gives the same, refused where nobody can know."""

from __future__ import annotations

from pathlib import Path

import pytest
from drafts import drafted

from nbproof.errors import NotExported

FOLLOWED: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "code in a text": (("a = 2", "x = eval('a + 1')", "exec('y = x * 2')\ny"), {"x": "3", "y": "6"}),
    "a class that shows by names": (
        ("class Shown:\n    def __init__(self, *names):\n        self.names = names\n"
         "    def __repr__(self):\n        return ' '.join(repr(eval(name)) for name in self.names)",
         "a, b = 1, [2]", "Shown('a', 'b')", "b.append(a)\ntext = repr(Shown('b'))"),
        {"text": "'[2, 1]'"},
    ),
    "single names": (
        ("a = 1\nglobals()['b'] = a + 1", "c = globals().get('nothing', b) if 'b' in globals() else 0"),
        {"b": "2", "c": "2"},
    ),
    "texts that are filled": (
        ("a = 1\nt = '{a}'.format(**locals()) + '%(a)s' % globals()",
         "def f(b):\n    return sorted(locals())\nn = f(1)"),
        {"t": "'11'", "n": "['b']"},
    ),
    "a timed text": (
        ("import timeit\nrows = []\ndef add():\n    rows.append(1)",
         "s = timeit.timeit('add()', globals=globals(), number=3) < 100\nn = len(rows)"),
        {"s": "True", "n": "3"},
    ),
}  # fmt: skip
REFUSED = {
    "all names": "n = len(globals())",
    "all names in order": "rows = [name for name in dir() if name > 'a']",
    "the first of all names": "x = dir()[0]",
    "all names of a cell": "n = {**locals()}",
    "what a class body holds": "class A:\n    n = list(vars())",
    "the shell's memory": "x = eval('Out[1]')",
    "whether there is a shell": "x = 'get_ipython' in globals()",
}


@pytest.mark.parametrize("case", FOLLOWED)
def test_a_text_finds_what_it_found(tmp_path: Path, case: str) -> None:
    """In a script all names are global, as they were."""
    cells, wanted = FOLLOWED[case]

    made = drafted(tmp_path, cells)

    assert made.shape == "script"
    assert made.equivalence.holds
    assert {name: made.first.values[name].text for name in wanted} == wanted


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_kernel_has_besides_is_refused(tmp_path: Path, case: str) -> None:
    """Its own names are in no package."""
    with pytest.raises(NotExported, match=r"cell 1, line [12]: `"):
        drafted(tmp_path, (REFUSED[case],))
