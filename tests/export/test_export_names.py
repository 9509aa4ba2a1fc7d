"""What notebooks do to names: each of these keeps its sections, and gives what the notebook gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from drafts import drafted
from test_export_parameters import notebook, written

from nbproof.export.draft import draft

TRAPS: dict[str, tuple[str, ...]] = {
    "maybe rebound": ("import math\nx = math.floor(1.5)\nflag = x > 5", "# B", "if flag:\n    x = 2", "# C", "y = x"),
    "maybe rebound last": ("import math\nx = math.floor(1.5)\nflag = x > 5", "# B", "y=1\nif flag:\n    x = 2"),
    "loop maybe empty": (
        "import math\nn = math.floor(0.5)\ni = 'none'",
        "# B",
        "for i in range(n):\n    pass",
        "# C",
        "i",
    ),
    "global counter": (
        "count = 0\ndef tick():\n    global count\n    count += 1\n    return count",
        "# B",
        "tick()\ntick()",
        "# C",
        "count",
    ),
    "global new": ("def make():\n    global made\n    made = 5", "# B", "make()", "# C", "made"),
    "class extended": (
        "class A:\n    def one(self):\n        return 1\na = A()",
        "# B",
        "class A(A):\n    def two(self):\n        return 2",
        "# C",
        "b = A()\n(b.one(), b.two(), hasattr(a,'two'))",
    ),
    "monkeypatch": ("class A:\n    pass\na = A()", "# B", "def m(self):\n    return 7\nA.m = m", "# C", "a.m()"),
    "function redefined": (
        "def f(x):\n    return x\na = f(1)",
        "# B",
        "def f(x):\n    return x * 2\nb = f(1)",
        "# C",
        "c = f(3)",
    ),
    "function used by function redefined": (
        "def f(x):\n    return x\ndef g(x):\n    return f(x)\na = g(1)",
        "# B",
        "def f(x):\n    return x * 2\nb = g(1)",
        "# C",
        "c = g(3)",
    ),
    "closure loop": (
        "fs = [lambda: i for i in range(3)]\nr = [f() for f in fs]",
        "# B",
        "gs = []\nfor k in range(3):\n    gs.append(lambda: k)",
        "# C",
        "s = [g() for g in gs]",
    ),
    "closure loop def": (
        "gs = []\nfor k in range(3):\n    def h():\n        return k\n    gs.append(h)",
        "# B",
        "k = 10",
        "# C",
        "s = [g() for g in gs]",
    ),
    "dict of functions": (
        "def a(x):\n    return x\nops = {'a': a, 'b': lambda x: x + 1}",
        "# B",
        "{k: f(1) for k, f in ops.items()}",
    ),
    "star": ("from math import *", "# B", "x = floor(pi)\nx"),
    "star class": (
        "from math import *\nclass C:\n    v = floor(pi)\n    def m(self):\n        return ceil(self.v)",
        "# B",
        "C().m()",
    ),
    "star def": ("from math import *\ndef f(x):\n    return sqrt(x)", "# B", "f(4)"),
    "star two": ("from math import *\nfrom cmath import *", "# B", "sqrt(-1)"),
    "star shadows builtin": ("from math import *\npow(2, 3)", "# B", "y=pow(2,2)"),
    "star rebound": ("from math import *\ny = e", "# B", "e = 5\nz=e"),
    "del function": ("def f():\n    return 1\na = f()", "# B", "del f\nb = a"),
    "del import": ("import math\na = math.pi", "# B", "del math\nb = a"),
    "del and again": ("x = 1", "# B", "del x", "# C", "x = 2"),
    "try import as": (
        "try:\n    import ujson as json\nexcept ImportError:\n    import json",
        "# B",
        "json.dumps([1])",
        "# C",
        "def f():\n    return json.dumps(2)\nf()",
    ),
    "if import": (
        "import sys\nif sys.version_info > (3,):\n    import json\nelse:\n    import simplejson as json",
        "# B",
        "json.dumps(1)",
    ),
    "match": (
        "cmd = ['go', 3]",
        "# B",
        "match cmd:\n    case ['go', n] if n > 2:\n        r = n\n    case _:\n        r = 0\nr",
    ),
    "walrus comp": ("vals = [1,2,3]", "# B", "any((last := v) > 1 for v in vals)\nlast", "# C", "last + 1"),
    "comp in class": (
        "n = 3\nclass C:\n    xs = [i for i in range(n)]\n    ys = [i for i in range(3)]",
        "# B",
        "C.xs + C.ys",
    ),
    "decorator state": (
        "calls = []\ndef log(f):\n    def inner(*a):\n        calls.append(1)\n        return f(*a)\n    return inner",
        "# B",
        "@log\ndef sq(x):\n    return x*x\nsq(3)",
        "# C",
        "calls",
    ),
    "functools cache": (
        "import functools\n@functools.lru_cache\ndef fib(n):\n    return n if n < 2 else fib(n-1)+fib(n-2)",
        "# B",
        "fib(20)",
    ),
    "nested functions": (
        "import math\nk=math.floor(2.2)\ndef outer(x):\n    def inner(y):\n        return y * k\n    return inner(x)",
        "# B",
        "outer(3)",
    ),
    "dataclass default name": (
        "import math\nd=math.floor(2.5)\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = d",
        "# B",
        "P()",
    ),
    "global in nested read": ("cfg = {'a': 1}\ndef setit(v):\n    cfg['a'] = v", "# B", "setit(5)", "# C", "cfg"),
    "function reads later": (
        "def show_it():\n    return later",
        "# B",
        "later = 3",
        "# C",
        "r = show_it()\nlater = 4",
        "# D",
        "show_it()",
    ),
    "import same as var": ("import string\ns = string.digits", "# B", "string = 'x'\nstring"),
    "chained": ("x = y = []", "# B", "x.append(1)\ny"),
    "default arg reads name": ("import math\nn = math.floor(2.5)\ndef f(x=n):\n    return x", "# B", "n = 10\nf()"),
    "lambda default": ("import math\nn = math.floor(2.5)\nf = lambda x=n: x", "# B", "n = 10\nf()"),
    "class with fn that reads": (
        "import math\nk = math.floor(2.5)\ndef f(x):\n    return x*k\nclass C:\n    def m(self):\n        return f(1)",
        "# B",
        "C().m()",
    ),
    "isinstance across": ("class A: pass\nx = A()", "# B", "class A: pass\nisinstance(x, A)"),
    "async comp": ("import asyncio\nasync def g():\n    yield 1", "# B", "[x async for x in g()]"),
    "nonlocal": (
        "def up():\n    n = 0\n    def inc():\n        nonlocal n\n        n += 1\n        return n\n    return inc",
        "# B",
        "c = up()\ntwice = (c(), c())",
    ),
    "fn attribute": ("def f():\n    f.calls += 1\nf.calls = 0", "# B", "f()\nf()", "# C", "f.calls"),
    "constant list mutated by fn": ("LOG = []\ndef log(x):\n    LOG.append(x)", "# B", "log(1)", "# C", "LOG"),
    "global const in class method": (
        "RATE = 0.5\nclass A:\n    def m(self):\n        return RATE",
        "# B",
        "RATE = 0.7\nA().m()",
    ),
    "shadow param": (
        "import math\nk=math.floor(2.5)\ndef f(k):\n    return k\ndef g():\n    return f(k)",
        "# B",
        "g()",
    ),
    "conditional def": (
        "import sys\nif sys.platform:\n    def f():\n        return 1\nelse:\n    def f():\n        return 2",
        "# B",
        "f()",
    ),
    "def in loop": ("for i in range(2):\n    def f():\n        return i", "# B", "f()"),
    "exec name main": ("def main():\n    return 3\nif __name__ == '__main__':\n    r = main()", "# B", "r"),
    "map fn reads": (
        "import pandas as pd\nscale = pd.Series([2]).iloc[0]\ndef times(v):\n    return v * scale",
        "# B",
        "df = pd.DataFrame({'a':[1,2]})\ndf['b'] = df['a'].apply(times)\ndf",
    ),
}


@pytest.mark.parametrize("what", TRAPS)
def test_names_mean_in_the_package_what_they_mean_in_the_notebook(tmp_path: Path, what: str) -> None:
    """As sections, with every value equal; nothing had to be given up for it."""
    made = drafted(tmp_path, TRAPS[what])

    assert made.shape == "sections"
    assert {row.verdict for row in made.equivalence.rows} == {"equal"}


BRANCHES = (
    "first = 1\nif wide:\n    extra = 2\nfor i in range(rows):\n    last = i",
    "# Use",
    "if wide:\n    more = extra + 1\nwhile rows > 2:\n    rows = rows - 1",
    "# Again",
    "for i in range(rows):\n    first = first + i",
)


def test_a_branch_that_was_not_watched_leaves_what_the_notebook_leaves(tmp_path: Path) -> None:
    """The package was drafted with other values than it runs with: names come and go with the values."""
    path = notebook(tmp_path, "wide: bool = False\nrows: int = 0", *BRANCHES)
    package = written(draft(path, timeout_s=300), tmp_path, "with_branches")

    for wide in (False, True):
        for rows in (0, 1, 4):
            expected = {"wide": wide, "rows": rows}
            exec("\n".join(cell for cell in BRANCHES if not cell.startswith("#")), expected)
            del expected["__builtins__"]

            assert dict(package.run(wide=wide, rows=rows)) == expected


def test_a_function_knows_where_its_global_names_live(tmp_path: Path) -> None:
    """In the function around it; what only it gives a value is declared there."""
    made = drafted(
        tmp_path, ("def make():\n    global made, count\n    made = count = 5", "# Use", "make()", "# See", "made")
    )

    assert "nonlocal made, count" in made.files["steps.py"]
    assert "global" not in made.files["steps.py"]
    assert made.first.values["count"].text == "5"


def test_the_name_of_an_exception_is_no_earlier_value(tmp_path: Path) -> None:
    """Where a handler names it as a variable above, that one is not handed on for it."""
    failing = "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    said = str(e)"

    made = drafted(tmp_path, ("# Take", "e = 2.5\nx = e", "# Try", failing, "# Again", f"{failing}\nx"))

    assert made.shape == "sections"
    assert "def again(x: float)" in made.files["steps.py"]
