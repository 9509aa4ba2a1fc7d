"""A resumed notebook says what an undisturbed one says, to the last bit; or it is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cells import notebook, outcomes, plan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbproof.errors import CheckpointRefused
from nbproof.run.checkpoints.comparing import open_files

IMPORTS = "import random\nimport numpy as np\nimport pandas as pd"
ALIKE = {
    "one list under two names": ("a = [1]\nb = a", "b.append(2)\nprint(a, a is b)"),
    "a list inside a dict": ("a = [1]\nd = {'held': a}", "a.append(2)\nprint(d, d['held'] is a)"),
    "a list that holds itself": ("a = [1]\na.append(a)", "print(a[1] is a, len(a))"),
    "floats that JSON has not": ("x = [float('nan'), float('inf'), -0.0, 1e-310, 0.1 + 0.2]", "print(x, str(x[2]))"),
    "whole numbers of any size": ("x = [2**64, -(2**5000), True]", "print(x[0], x[1] % 10**9, x[2] is True)"),
    "text that is no Unicode": (r"x = 'a\ud800\x00ä'", "print(ascii(x))"),
    "tuples, sets and bytes": ("x = {(1, 'a'): {b'x'}, None: frozenset({1})}", "print(x)"),
    "the order of a set": ("x = {16}\nx.add(24)\nx.add(8)", "x.add(0)\nprint(list(x))"),
    "a set made of two": ("x = {1, 2, 3, 4} | {5}", "x.add(16)\nprint(list(x))"),
    "a set made of a set": ("x = set({1, 2, 3, 4, 5})", "x.add(16)\nprint(list(x))"),
    "a set made of keys": ("x = set({1: 0, 2: 0, 3: 0, 4: 0, 5: 0})", "x.add(16)\nprint(list(x))"),
    "a set that is empty, and one that cannot change": (
        "x: set = set()\ny: frozenset = frozenset({1, 2, 3, 4}) | {5}",
        "x.add(1)\nprint(list(x), list(y | {16}))",
    ),
    "moments": (
        "import datetime as dt\nx: list = [dt.datetime(2020, 1, 2, 3, tzinfo=dt.timezone.utc), dt.date(2020, 1, 1)]",
        "print(x)",
    ),
    "decimals, paths, counters": (
        "from collections import Counter, defaultdict, deque, OrderedDict\nfrom decimal import Decimal\n"
        "from pathlib import Path\n"
        ""
        "x = [Decimal('1.10'), Path('a/b'), Counter('aab'), defaultdict(list, a=[1]), deque([1, 2], 3),\n"
        "OrderedDict(a=1)]",
        "x[3]['new'].append(1)\nx[4].extend([3, 4])\nprint(x)",
    ),
    "the random states": ("random.random()\nnp.random.rand(3)", "print(random.random(), np.random.rand(2))"),
    "a generator and its children": (
        "g = np.random.default_rng(1)\ng.random()",
        "print(g.random(), g.spawn(1)[0].random())",
    ),
    "a half-used normal distribution": ("g: random.Random = random.Random(4)\ng.gauss(0, 1)", "print(g.gauss(0, 1))"),
    "arrays by their layout": (
        "x = np.arange(6.0).reshape(2, 3).T.copy(order='F')\nx: np.ndarray = x\ny: np.ndarray = np.arange(9)[::2]",
        "print(x.strides, x.flags.f_contiguous, y.strides, x.sum(), y)",
    ),
    "an array that may not be written": (
        "x = np.arange(3)\nx.flags.writeable = False",
        "try:\n    x[0] = 1\nexcept ValueError as error:\n    print(error)",
    ),
    "numpy scalars": ("x: float = np.float32(0.1)\ny: int = np.int8(3)", "print(repr(x), repr(y), x + 1)"),
    "a frame": (
        "f = pd.DataFrame({'a': [1, 2], 'b': ['x', None], 'c': pd.Categorical(['u', 'v']), 'd': [1.5, float('nan')]})\n"
        "f['when'] = pd.Timestamp('2020-01-01', tz='Europe/Berlin')\nf.attrs['of'] = [1]",
        "print(f, f.dtypes, f.attrs, f['d'].sum(), f.isna().sum().sum())",
    ),
    "a frame made of an array": (
        "f = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=list('abc'))",
        "print(f.to_numpy().flags.f_contiguous, (f.to_numpy() @ np.ones(3)).sum().hex(), f.sum().sum().hex())",
    ),
    "an index of several levels": (
        "f = pd.DataFrame({'k': list('aab'), 'l': [1, 2, 1], 'v': [1.0, 2.0, 3.0]}).set_index(['k', 'l'])",
        "print(f, f.index.names, f.loc['a'])",
    ),
    "a series with days": (
        "s = pd.Series([1, 2, 3], index=pd.date_range('2020-01-01', periods=3, freq='D'), name='x')",
        "print(s, s.index.freq, s.resample('2D').sum())",
    ),
    "an empty frame": ("f = pd.DataFrame({'a': pd.Series([], dtype='int64')})", "print(f, f.dtypes, f.shape)"),
    "functions that read what is stored": (
        "k = 2\ndef f(x):\n    return g(x) * k\ndef g(x):\n    return x + len(a)\na = [1]",
        "a.append(5)\nk = 10\nprint(f(3))",
    ),
    "a class and what it is made of": (
        "from dataclasses import dataclass, field\n@dataclass\nclass P:\n    x: int = 1\n"
        "    y: list = field(default_factory=list)\n"
        "class Q(P):\n    def more(self):\n        return self.x + rows",
        "print(Q(4), Q().more())",
    ),
    "a name that was bound by a loop": (
        "for i in range(3):\n    pass\ntotal = 0\nfor i in range(4):\n    total += i",
        "print(i, total)",
    ),
    "a name bound by a function": ("x = 1\ndef up():\n    global x\n    x = x + 1\nup()", "up()\nprint(x)"),
    "a name that was never bound": ("if rows > 5:\n    y = 1", "print('y' in [1], rows)\ny = 2\nprint(y)"),
    "a name that is unbound": ("y = 1\ndel y\ny = 3", "print(y)\ndel y\nprint(y)"),
    "settings": (
        "import warnings\nimport os\nwarnings.filterwarnings('ignore')\npd.set_option('display.precision', 2)\n"
        "np.set_printoptions(precision=2)\nos.environ['SOME'] = 'thing'",
        "print(pd.Series([1.23456]), np.array([1.23456]), os.environ['SOME'], len(warnings.filters))",
    ),
    "a lambda, a walrus, a match": (
        "f = lambda x: x + 1\nif (n := 3) > 2:\n    pass\nn: int = n\nv: int = 0\nmatch [1, 2]:\n"
        "    case [_, v]:\n        pass",
        "print(f(n), v)",
    ),
    "the very same NaN": (
        "x = float('nan')\nl = [x, x, np.nan]",
        "print(l[0] is l[1], l.count(x), np.nan in l, x in [l[2]])",
    ),
    "objects in a frame": (
        "l = [1]\nf = pd.DataFrame({'a': pd.Series([l, l, None], dtype=object), 'b': [1, 2, 3]})",
        "l.append(2)\nprint(f, f['a'][0] is l)",
    ),
    "source that is looked up": (
        "def f(x: 'int') -> int:\n    # a remark\n    return x",
        "import inspect\nimport typing\nprint(inspect.getsource(f), typing.get_type_hints(f))",
    ),
    "a class defined twice": (
        "class A:\n    v = 1\nclass B(A):\n    pass\nclass A:\n    v = 2",
        "print(B().v, A().v)",
    ),
    "a base class bound anew below": (
        "class A:\n    v = 1\nclass B(A):\n    pass",
        "A = 3\nprint(B().v, A)",
    ),
    "a module that something else imported": (
        "import xml\ndef f():\n    import xml.dom.minidom\nf()",
        "print(xml.dom.minidom.__name__)",
    ),
    "text that names a name": (
        "f = pd.DataFrame({'a': [1, 2, 3]})\nlow = 1",
        "print(f.query('a > @low'), len(f.eval('a + 1')))",
    ),
}


@pytest.mark.parametrize("cells", ALIKE.values(), ids=ALIKE)
def test_resumed_is_undisturbed(cells: tuple[str, str]) -> None:
    """What one cell leaves behind, the next finds again, whether or not a checkpoint lies in between."""
    whole, through, again = outcomes((IMPORTS, *cells), after=2)

    assert whole.problem == ""
    assert through == whole
    assert again == whole


HEAVY = {
    "tensors": (
        "x = torch.arange(6.0).reshape(2, 3)\nx: torch.Tensor = x.T\n"
        "w: torch.Tensor = torch.nn.Parameter(torch.ones(3))\n"
        "h: torch.Tensor = torch.tensor([1.5, 2.5]).to(torch.bfloat16)\nz = torch.tensor(3)\ne = torch.zeros(0, 2)",
        "print(x, x.stride(), w, w.requires_grad, h, z, e.shape, torch.rand(2))",
    ),
    "the weights of a model": (
        "model = torch.nn.Linear(2, 1)\nweights: dict = {k: v.clone() for k, v in model.state_dict().items()}",
        "model = torch.nn.Linear(2, 1)\nmodel.load_state_dict(weights)\nprint(model(torch.ones(2)), torch.rand(1))",
    ),
    "settings of torch": (
        "torch.manual_seed(3)\ntorch.set_default_dtype(torch.float64)",
        "print(torch.ones(1).dtype, torch.rand(1))",
    ),
    "a fitted estimator": (
        "X = np.random.default_rng(0).normal(size=(40, 3))\ny = X @ np.array([1.0, 2.0, 3.0])\ny: np.ndarray = y\n"
        "m = make_pipeline(StandardScaler(), LinearRegression())\nm: Pipeline = m.fit(X, y)",
        "print(m.predict(X).sum().hex(), m)",
    ),
    "a forest": (
        "X = np.random.default_rng(0).normal(size=(40, 3))\n"
        "m = RandomForestRegressor(3, random_state=0).fit(X, X.sum(axis=1))",
        "print(m.predict(X).sum().hex(), m.score(X, X.sum(axis=1)).hex())",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("cells", HEAVY.values(), ids=HEAVY)
def test_tensors_and_estimators_are_what_they_were(cells: tuple[str, str]) -> None:
    """So do the values of torch and scikit-learn, without a pickle."""
    imports = (
        f"{IMPORTS}\nimport torch\ntorch.manual_seed(5)\nfrom sklearn.ensemble import RandomForestRegressor\n"
        "from sklearn.linear_model import LinearRegression\nfrom sklearn.pipeline import Pipeline, make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler"
    )

    whole, through, again = outcomes((imports, *cells), after=2)

    assert whole.problem == ""
    assert through == whole
    assert again == whole


REFUSED = {
    "a logger": (
        "import logging\nlogging.getLogger('a').setLevel(10)\nn = 1",
        "print(n)",
        "`logging.getLogger.setLevel(…)`, called for an effect",
    ),
    "a module under another name": ("m = np\nm.x = 1", "print(np.x)", "the module `np` handed on"),
    "a module as an argument": ("def f(m):\n    m.x = 1\nf(np)", "print(np.x)", "the module `np` handed on"),
    "exec": ("exec('a = 1')", "print(1)", "`exec`, which names"),
    "eval below": ("a = 1", "print(eval('a'))", "`eval`, which names"),
    "globals below": ("a = 1", "print(globals()['a'])", "`globals`, which names"),
    "a star": ("from math import *", "print(pi)", "`from math import *`"),
    "a magic": ("%load_ext autoreload", "print(1)", "a magic or a shell line"),
    "a cell magic": ("%%time\na = 1", "print(a)", "a magic or a shell line"),
    "a shell line": ("!ls", "print(1)", "a magic or a shell line"),
    "a magic below": ("a = 1", "!echo {a}", "a magic or a shell line"),
    "the shell's memory": ("1 + 1", "print(_)", "`_`, which the shell keeps"),
    "the outputs": ("1 + 1", "print(Out)", "`Out`, which the shell keeps"),
    "a module changed": ("a = 1\nnp.something = [a]", "print(np.something)", "a change of `np.something`"),
    "a module changed in a function": ("def f():\n    np.x = 1\nf()", "print(np.x)", "a change of `np.x`"),
    "a function that counts": (
        "def f():\n    f.n += 1\nf.n = 0",
        "f()",
        "a change of `f.n`, which is part of a definition",
    ),
    "a class that counts": (
        "class A:\n    n = 0\nA.n += 1",
        "print(A.n)",
        "a change of `A.n`, which is part of a definition",
    ),
    "a class that counts itself": (
        "class A:\n    n = 0\n    def __init__(self):\n        type(self).n += 1\nA()",
        "print(A.n)",
        "which is part of a class",
    ),
    "a class with a list": ("class A:\n    held = []\nA.held.append(1)", "print(A.held)", "`held = []` in a class"),
    "a default that remembers": (
        "def f(x, held=[]):\n    held.append(x)\n    return held\nf(1)",
        "print(f(2))",
        "a default `[]`",
    ),
    "a decorator that remembers": (
        "from functools import cache\n@cache\ndef f(x):\n    print(x)\nf(1)",
        "f(1)",
        "the decorator `cache`",
    ),
    "a default that is stored": ("a = [1]\ndef f(x=a):\n    return x\na = 2", "print(f())", "a default `a`"),
    "a setting with a value": (
        "a = 3\npd.set_option('display.precision', a)",
        "print(1)",
        "`pandas.set_option` with values",
    ),
    "a setting in a branch": ("if rows:\n    np.seterr(all='ignore')", "print(1)", "`numpy.seterr` with values"),
    "an unknown effect": (
        "import json.tool\nimport importlib\nimportlib.invalidate_caches()\nn = 1",
        "print(1)",
        "called for an effect",
    ),
    "a thread": ("import threading\nt = threading.Thread(target=print)", "print(1)", "`threading.Thread`, whose state"),
    "a database": ("import sqlite3\nc = sqlite3.connect(':memory:')", "print(c)", "`sqlite3.connect`, whose state"),
    "an unknown kind": (
        "a = np.linalg.svd(np.eye(2))",
        "print(a)",
        "`a`, whose kind the code does not say and which cell 4 reads",
    ),
    "a name that is a definition or not": ("f = 3\ndef f():\n    return 1", "print(f())", "`f`, whose kind"),
    "a closure": (
        "def make():\n    n = [0]\n    def up():\n        n[0] += 1\n        return n\n    return up\nc = make()\nc()",
        "print(c())",
        "`c`, whose kind",
    ),
    "a generator": ("a = (i for i in [1])", "print(next(a))", "`a`, whose kind"),
    "an open file": ("a = open('x', 'w')", "a.write('y')", "`a`, whose kind"),
    "a view": ("a = np.arange(3)\nb = a[1:]", "b[0] = 5\nprint(a)", "`b`, whose kind"),
    "an object of a class": ("class A:\n    pass\na = A()", "print(a)", "`a`, whose kind"),
    "an import under a condition": (
        "try:\n    import json\nexcept ImportError:\n    json = None",
        "print(json)",
        "`json`, whose kind",
    ),
    "a text that is made": (
        "f = pd.DataFrame({'a': [1]})\nlow = 0",
        "n = 'low'\nprint(f.query(f'a > @{n}'))",
        "`.query(…)` with a text",
    ),
    "the frames of callers": ("a = 1", "import sys\nprint(sys._getframe(0).f_globals['a'])", "which reaches names"),
    "the main module": ("a = 1", "import __main__\nprint(__main__.a)", "`__main__`"),
    "the environment by a value": (
        "import os\na = 'x'\nos.environ['SOME'] = a",
        "print(os.environ['SOME'])",
        "a change of `os.environ",
    ),
}


@pytest.mark.parametrize(("above", "below", "found"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_known_is_refused(above: str, below: str, found: str) -> None:
    """Code that hides what it reads or changes has no checkpoint; cell and line are named."""
    with pytest.raises(CheckpointRefused) as refusal:
        plan(notebook(IMPORTS, above, below, after=2))

    assert found in str(refusal.value)
    assert "cell 3, line" in str(refusal.value) or "cell 4, line" in str(refusal.value)
    assert refusal.value.hint


STOPPED = {
    "another kind than was said": (
        "a: int = np.arange(3)",
        "print(a)",
        "`a` is a numpy.ndarray, expected a plain value",
    ),
    "an object in a list": (
        "class A:\n    pass\na = [A()]",
        "print(a)",
        "`a`: a __main__.A cannot be kept in a typed file",
    ),
    "two arrays that share memory": (
        "a = np.arange(3)\nb: np.ndarray = a[1:]",
        "b[0] = 5\nprint(a)",
        "two values share memory",
    ),
    "an array of a frame": (
        "f = pd.DataFrame({'a': [1.0, 2.0]})\nb: np.ndarray = f['a'].to_numpy()",
        "print(f, b)",
        "two values share memory",
    ),
    "a set whose order has a past": (
        "x = {70, 5, 300, 12}\nx.discard(5)",
        "print(list(x))",
        "a set whose order comes from what was taken out",
    ),
    "a set that something was taken out of": (
        "x = {1, 2, 3, 4}\nx.remove(4)",
        "x.add(16)\nprint(list(x))",
        "a set whose order comes from what was taken out",
    ),
    "a set that goes on from where it was popped": (
        "x = set(range(30))\nx.pop()\nx |= set(range(40, 90))",
        "print(x.pop(), x.pop())",
        "a set whose order comes from what was taken out",
    ),
    "objects in an array": ("a = np.array([None, 1])", "print(a)", "an array of Python objects"),
    "a file left open": ("h = open('x.txt', 'w')\na = 1", "print(a)", "is open for writing"),
    "what a module holds": (
        "import helper_of_cells\na: list = helper_of_cells.HELD",
        "a.append(1)\nprint(helper_of_cells.HELD)",
        "helper_of_cells",
    ),
}


@pytest.mark.parametrize(("above", "below", "found"), STOPPED.values(), ids=STOPPED)
def test_what_cannot_be_kept_stops_at_the_checkpoint(above: str, below: str, found: str) -> None:
    """A value that is not what was planned is named at once."""
    _, through, _ = outcomes((IMPORTS, above, below), after=2)

    assert found in through.problem


NOT_RESUMED = {
    "a module that counts": (
        "import helper_of_cells\nn: int = helper_of_cells.count()",
        "print(helper_of_cells.count())",
        "helper_of_cells",
    ),
    "a context": (
        "import decimal\nc: int = 5\ndecimal.setcontext(decimal.Context(prec=c))",
        "print(decimal.Decimal(1) / 3)",
        "decimal",
    ),
    "a level": (
        "import logging\nlog = logging.getLogger('of cells')\nlog.setLevel(10)",
        "print(logging.getLogger('of cells').level)",
        "loggers",
    ),
}


@pytest.mark.parametrize(("above", "below", "found"), NOT_RESUMED.values(), ids=NOT_RESUMED)
def test_state_that_no_name_holds_is_noticed(above: str, below: str, found: str) -> None:
    """A kernel that could not be made what it was is not used."""
    whole, through, again = outcomes((IMPORTS, above, below), after=2)

    assert whole.problem == through.problem == ""
    assert found in again.problem


FIRST = """\
import random
import numpy as np
import pandas as pd
a = [1, 2]
b = [a, 3]
d = {"x": 1}
n = 4
s = "text"
t = {"p", "q"}
arr = np.arange(6.0)
df = pd.DataFrame({"u": [1, 2, 3], "v": [0.5, 1.5, 2.5]})
def f(x):
    return x + n
def h():
    global n
    n = n + 1
    return len(a)
"""
LAST = """\
print(a, b, d, n, s, sorted(t), arr, df, f(1), h(), random.random(), np.random.rand())
print(a is b[0], a is b, list(t), df.dtypes, arr.strides)"""
STATEMENTS = (
    "a = b", "b = a", "a.append(n)", "b.append(a)", "d['k'] = a", "d['a'] = arr", "a = [n, s]", "n = n + 1", "n += 2",
    "s = s + 'x'", "t.add(s)", "t = {s, 'z'}", "d = dict(d)", "d = {'b': b, 'a': a}", "arr = arr * 2", "arr[0] = n",
    "arr = np.zeros(n)", "df = df.copy()", "df['w'] = df['u'] * 2", "df = pd.DataFrame({'u': [n], 'v': [1.0]})", "h()",
    "n = f(n)", "for i in range(2):\n    n += i", "if n > 4:\n    a = [0]\nelse:\n    b = []", "random.seed(n)",
    "random.shuffle(a)", "np.random.rand()", "x = [q for q in a]\na = x", "def f(x):\n    return x * 2 + len(b)",
    "try:\n    a.remove(1)\nexcept ValueError:\n    n = -1", "del a[:1]",
    "a, b = [1], [2]", "print(a, n)", "s = f'{n}{s}'",
    "while n > 9:\n    n -= 5", "with open('x.txt', 'w') as out:\n    out.write(s)", "d.setdefault('l', []).append(n)",
    "g = a\ng.append(9)", "if (m := n) > 3:\n    n = 1", "t = t | {'v'}", "b = [list(a), a, a]", "a = sorted(t)",
    "t.discard('q')", "t.pop()", "t = set(t)", "t |= {'w', 'y', 'k'}", "t = {str(q) for q in range(n % 40)}",
)  # fmt: skip
CELLS = st.lists(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4).map("\n".join), min_size=2, max_size=4)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cells=CELLS, data=st.data())
def test_composed_notebooks_are_resumed_as_they_were(cells: list[str], data: st.DataObject) -> None:
    """Whatever cells come together, at each place a checkpoint is refused, stops, or changes nothing."""
    after = data.draw(st.integers(1, len(cells)))

    try:
        whole, through, again = outcomes((FIRST, *cells, LAST), after=after)
    except CheckpointRefused:
        return

    if whole.problem or through.problem:
        return
    assert through == whole
    assert again == whole or again.problem


def test_most_composed_cells_have_checkpoints() -> None:
    """The statements that notebooks are composed of are for the most part such as a checkpoint can follow."""
    planned = 0
    for first, second in pairwise(STATEMENTS):
        try:
            plan(notebook(FIRST, first, second, LAST, after=2))
            planned += 1
        except CheckpointRefused:
            continue

    assert planned > 0.7 * len(STATEMENTS)


def test_an_object_that_will_not_say_what_it_is_harms_nothing() -> None:
    """Stand-ins for other objects may raise when they are asked for their class."""

    class Stranger:
        @property
        def __class__(self) -> type:
            raise RuntimeError("nobody asks me")

    stranger = [Stranger()]

    assert isinstance(open_files(), list)
    assert len(stranger) == 1
