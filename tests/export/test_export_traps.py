"""Every trap that converters of notebooks are known to fall into: exported right, or refused with the right reason.

Each is judged by an IPython shell that runs its cells, beside its package in a process of its own; see `fuzzing_trial`.
"""

# ruff: noqa: E501 (each cell is one text)
from __future__ import annotations

from collections.abc import Iterator

import pytest
from fuzzing_grammar import MadeCell
from fuzzing_trial import Trial, Trials

Cells = tuple[str, ...]

# What notebooks in public repositories do: `# …` is a heading.
OF_NOTEBOOKS: dict[str, Cells] = {
    "line magics": ("%matplotlib inline\n%time x = 2", "# More", "x"),
    "cell magics": ("%%time\nx = 1\nx", "# More", "%%capture\nprint('hidden')\ny = x + 1", "y"),
    "a captured cell by its name": ("%%capture said\nprint('hidden')\ny = 1", "said.stdout, y"),
    "an installer in a cell": ("!pip install numpy", "# More", "x = 1\nx"),
    "an import that may install": (
        "try:\n    import json\nexcept ImportError:\n    !pip install json", "# More", "json.dumps([1])"
    ),
    "an import after a changed folder": (
        "import os\nos.makedirs('lib')\nopen('lib/beside.py', 'w').write('VALUE = 7')", "os.chdir('lib')",
        "import beside\nbeside.VALUE",
    ),
    "an import after a changed path": (
        "import os, sys\nos.makedirs('lib')\nopen('lib/by_path.py', 'w').write('VALUE = 7')",
        "sys.path.append('lib')", "from by_path import VALUE\nVALUE",
    ),
    "a name that is bound anew": ("n = 1", "# More", "n = n + 1", "# Again", "n = [n]\nn"),
    "a change through another name": ("a = [1]\nb = a", "# More", "b.append(2)", "# Seen", "a, a is b"),
    "a function that reads names": ("k = 2", "def f(n):\n    return n * k", "# Use", "f(3)"),
    "a lambda that reads names": ("k = 2", "f = lambda n: n * k", "# Use", "f(3)"),
    "a method that reads names": ("k = 2", "class A:\n    def f(self, n):\n        return n * k", "# Use", "A().f(3)"),
    "a function that binds names": ("n = 0\ndef up():\n    global n\n    n += 1", "# Use", "up()\nup()\nn"),
    "a function defined twice": ("def f():\n    return 1\na = f()", "# More", "def f():\n    return 2\na, f()"),
    "a class that is extended": (
        "class A:\n    x = 1\nold = A()", "# More", "class A(A):\n    y = 2", "A.m = lambda self: self.x + self.y",
        "A().m(), isinstance(old, A), old",
    ),
    "a definition that is used before its names": (
        "def early():\n    return late(word)", "# More", "word = 'w'\ndef late(w):\n    return w * 2", "early()"
    ),
    "the scope of a class's body": ("n = 1\nclass A:\n    n = n + 1\n    m = n\nA.n, A.m, n",),
    "the scope of comprehensions": ("n = 3\nsquares = [n ** 2 for n in range(2)]", "# More", "n, squares"),
    "a value that is only displayed": ("3 + 4", "# More", "'text'", "None", "x = 1;", "x;"),
    "words that are displayed": ("display(1, [2])", "def tell(v):\n    display(v)", "# More", "tell('here')"),
    "figures of two cells": (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]);", "# More", "plt.plot([2, 1])\nplt.show()"
    ),
    "a cell that waits": ("import asyncio\nqueue = asyncio.Queue()", "# More", "await queue.put(1)\nawait queue.get()"),
    "a star import": ("from math import *", "# More", "floor(pi)"),
    "a file by a relative path": ("open('made.txt', 'w').write('a')", "# More", "text = open('made.txt').read()\ntext"),
    "chance without a seed": ("import random\nx = random.random()", "# More", "0 <= x < 1"),
    "a seed and draws in order": ("import random\nrandom.seed(1)", "# A", "a = random.random()", "# B", "random.random()"),
    "what cannot be pickled": ("import threading\nlock = threading.Lock()\nf = lambda: lock", "# More", "f() is lock"),
    "a hidden builtin": ("sum = 3\nlist = [sum]", "# More", "list + [sum]"),
    "names of the exporter": ("steps, results, keep, show, run = 1, 2, 3, 4, 5", "# Show", "show + keep\nfunctools = 6"),
    "the main program": ("if __name__ == '__main__':\n    x = 1", "# More", "x, __name__"),
    "a module that the notebook writes": ("%%writefile own.py\nLEVEL = 3\n", "import own\nown.LEVEL", "own.LEVEL = 4\nown.LEVEL"),
    "processes of their own": (
        "from concurrent.futures import ThreadPoolExecutor\nk = 2\ndef f(n):\n    return n * k",
        "# More", "with ThreadPoolExecutor(2) as pool:\n    got = list(pool.map(f, [1, 2]))\ngot",
    ),
    "a raw cell is no code": ("x = 1", "raw: 1 / 0", "# More", "x"),
    "names in a text": ("import pandas as pd\nlow = 1\nframe = pd.DataFrame({'a': [1, 2]})", "# Ask", "frame.query('a > @low')"),
}  # fmt: skip
# The eighteen on which a tool that cuts at headings was tried: it is right on four.
OF_SECTIONS: dict[str, Cells] = {
    "a lambda bound to a name": ("## Load", "half = lambda n: n / 2", "## Use", "half(3)"),
    "a function using a global": ("## Load", "k = 2\ndef f(n):\n    return n * k", "## Use", "f(3)"),
    "a function using a global of another section": ("## Load", "k = 2", "## F", "def f(n):\n    return n * k", "## Use", "f(3)"),
    "no second heading": ("x = 1", "x + 1"),
    "only first headings": ("# One", "x = 1", "# Two", "x + 1"),
    "a star import below a heading": ("## Load", "from math import *", "## Use", "sqrt(4)"),
    "a walrus": ("## Load", "if (n := 3) > 2:\n    big = True", "## Use", "n, big"),
    "two names for one list": ("## Load", "a = [1]\nb = a", "## Use", "b.append(2)\na"),
    "a generator over sections": ("## Load", "g = (n for n in range(3))\nnext(g)", "## Use", "list(g)"),
    "the state of random": ("## Load", "import random\nrandom.seed(3)", "## Use", "random.random()"),
    "the options of pandas": (
        "## Load", "import pandas as pd\npd.options.display.max_rows = 4", "## Use", "pd.options.display.max_rows"
    ),
    "a name only in `if`": ("## Load", "x = 1", "## Use", "if x > 0:\n    y = 2\ny"),
    "a name only in `assert`": ("## Load", "x = 1", "## Use", "assert x == 1\ny = 2\ny"),
    "a name only in a comparison": ("## Load", "x = 1", "## Use", "y = 3\nx == 1"),
    "a match": ("## Load", "x = [1, 2]", "## Use", "match x:\n    case [a, b]:\n        c = a + b\nc"),
    "a loop in one line": ("## Load", "xs = [1, 2]", "## Use", "for x in xs: print(x)\nx"),
    "one heading twice": ("## Load", "x = 1", "## Load", "y = x + 1", "## Load", "y"),
    "an f-string and a with": ("## Load", "x = 1", "## Use", "with open('f.txt', 'w') as f:\n    f.write(f'{x}')\nf'{x!r:>3}'"),
}  # fmt: skip
# What nobody can know beforehand is refused, and the reason says so.
REFUSED: dict[str, tuple[Cells, str]] = {
    "a captured program": (("x = !echo one",), "runs another program"),
    "a program": (("!rm -f nothing.txt",), "runs a program"),
    "a question": (("name = input('who? ')",), "waits for somebody to type"),
    "a password": (("import getpass\nword = getpass.getpass()",), "waits for somebody to type"),
    "the shell's memory": (("1 + 1", "Out[1]"), "memory of earlier cells"),
    "all names": (("x = len(globals())",), "`globals`"),
    "another notebook": (("%run other.ipynb",), "`%run other.ipynb`: there is no such notebook"),
    "an extension": (("%load_ext sql",), "the extension `sql`"),
    "what only the shell catches": (("%%capture said\n'shown'", "said.outputs"), "`%%capture`"),
}
# What the grammar found, each as small as it can be.
FOUND: dict[str, Cells] = {
    "a type that names its fields in texts": (
        "from __future__ import annotations\nfrom typing import TypedDict\nclass Size(TypedDict):\n    size: int",
        "# More", "Size.__annotations__",
    ),
    "a magic behind a value that is then not shown": ("x = [1]\nx\n%matplotlib inline", "# More", "x"),
    "a tuple without brackets": ("a, b = 1, 2", "# More", "a, b,", "(a), b"),
    "a heading called as a helper": ("# Keep", "x = 1", "# show", "y = x\nx", "# Run", "x + y"),
    "a class that counts, and a second run": (
        "class A:\n    count = 0\n    def __init__(self):\n        A.count += 1", "# More", "A()\nA()\nA.count"
    ),
    "a default that grows, and a second run": ("def f(n, held=[]):\n    held.append(n)\n    return list(held)", "# More", "f(1)\nf(2)"),
    "an attribute of a function, and a second run": (
        "def f():\n    f.calls += 1\n    return f.calls\nf.calls = 0", "# More", "f()\nf()"
    ),
    "a cache, and a second run": (
        "import functools\n@functools.lru_cache\ndef f(n):\n    print(n)\n    return n", "# More", "f(1), f(1), f.cache_info().hits"
    ),
    "a class that speaks when it is made, and a second run": ("class A:\n    print('made')", "# More", "A.__name__"),
    "a keyword that is called like a need": (
        "import math\nk = math.floor(2.5)\ndef f(n):\n    return n * k",
        "try:\n    f(1, k=3)\nexcept TypeError:\n    wrong = True\nwrong", "f(2)",
    ),
    "a decorator that needs a list": (
        "seen = []\ndef noted(f):\n    def inner(*a):\n        seen.append(f.__name__)\n        return f(*a)\n    return inner",
        "# More", "@noted\ndef one():\n    return 1", "one(), seen",
    ),
    "annotations are values": ("def f(a: int) -> str:\n    return ''", "# More", "f.__annotations__"),
    "pickles name the main program": (
        "import pickle\nclass A:\n    def __init__(self):\n        self.n = 1", "# More", "pickle.loads(pickle.dumps(A())).n, pickle.dumps(A())"
    ),
    "the main module by its name": ("import __main__\n__main__.far = 5", "# More", "far"),
    "a display by another name": ("from IPython.display import display as show_it", "# More", "show_it([1])"),
    "a display of something in brackets": ("x = 1", "# More", "display((x + 1))\ndisplay ( (x), 2)\n(display)(x)"),
    "a function that reads a name of Python's": ("type = 1\ndef f():\n    return type + 1", "# More", "type = 2", "f()"),
    "a name that a function binds, in a script": (
        "def make():\n    global made\n    made = [1]", "make()", "# More", "made.append(2)\nmade", "del made\n'made' in dir()"
    ),
    "a title with quotes": ('# """More"""', "x = 1", "x"),
    "a dictionary that is shown and then another": ("d = {'a': [1]}\nd", "# More", "d['a'].append(2)\nd"),
}  # fmt: skip


@pytest.fixture(scope="module")
def trials() -> Iterator[Trials]:
    with Trials() as trying:
        yield trying


def tried(trials: Trials, cells: Cells) -> Trial:
    made = []
    for cell in cells:
        if cell.startswith(("# ", "## ")):
            made.append(MadeCell("markdown", cell))
        elif cell.startswith("raw: "):
            made.append(MadeCell("raw", cell.removeprefix("raw: ")))
        else:
            made.append(MadeCell("code", cell))
    return trials.judge(tuple(made))


@pytest.mark.parametrize("what", OF_NOTEBOOKS)
def test_what_notebooks_do_is_exported_right(trials: Trials, what: str) -> None:
    """An IPython shell and the package agree on every value, display, print, figure and file, in a second run, too."""
    trial = tried(trials, OF_NOTEBOOKS[what])

    assert (trial.verdict, trial.words) == ("equal", ())


@pytest.mark.parametrize("what", OF_SECTIONS)
def test_what_breaks_at_headings_is_exported_right(trials: Trials, what: str) -> None:
    """All eighteen of them."""
    trial = tried(trials, OF_SECTIONS[what])

    assert (trial.verdict, trial.words) == ("equal", ())


@pytest.mark.parametrize("what", FOUND)
def test_what_the_grammar_found_is_exported_right(trials: Trials, what: str) -> None:
    """Each was once silently wrong, or refused without need."""
    trial = tried(trials, FOUND[what])

    assert (trial.verdict, trial.words) == ("equal", ())


@pytest.mark.parametrize("what", REFUSED)
def test_what_nobody_can_know_is_refused_with_its_reason(trials: Trials, what: str) -> None:
    """The reason names what stands in the way."""
    cells, reason = REFUSED[what]

    trial = tried(trials, cells)

    assert trial.verdict == "refused"
    assert any(reason in word for word in trial.words)


def test_most_traps_are_right() -> None:
    """At least 85 of 100 traps are exported right; the rest is refused."""
    right = len(OF_NOTEBOOKS) + len(OF_SECTIONS) + len(FOUND)

    assert right / (right + len(REFUSED)) >= 0.85
