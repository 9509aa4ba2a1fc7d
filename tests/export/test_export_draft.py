"""Drafts of packages: whatever a notebook does, its package gives the same, or there is none."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from drafts import drafted
from exported import write_notebook

from nbproof.errors import NotExported
from nbproof.export.draft import draft

# Each is a thing that notebooks do and converters get wrong: cells, with headings as `# …`.
NOTEBOOKS: dict[str, tuple[str, ...]] = {
    "a name that is given another value": (
        "x = 1",
        "# More",
        "x = x + 1",
        "# Again",
        "x = [x, x]\nx",
    ),
    "a change through another name": (
        "x = [1]\ny = x",
        "# More",
        "y.append(2)",
        "# Seen",
        "x",
    ),
    "a function that reads a name": (
        "rate = 0.5\ndef half(n):\n    return n * rate",
        "# Use",
        "half(3)",
    ),
    "such a function as a value": (
        "import math\nrate = math.sqrt(4)\ndef scaled(n):\n    return n * rate",
        "# Use",
        "made = list(map(scaled, range(3)))\nmade",
    ),
    "functions that call one another": (
        "import math\nbase = math.floor(2.5)\ndef inner(n):\n    return n + base\n"
        "def outer(n, *more, **names):\n    return inner(n) + sum(more)",
        "# Use",
        "outer(1, 2, 3)\nlast = outer(1)",
    ),
    "a function whose name gets another value later": (
        "n = 1\ndef now():\n    return n",
        "# First",
        "first = now()",
        "# Later",
        "n = 2\nsecond = now()\n(first, second)",
    ),
    "a name that is bound after its function": (
        "def late():\n    return word",
        "# Now",
        "word = 'here'",
        "# Use",
        "late()",
    ),
    "a generator without brackets": (
        "import math\nk = math.floor(1.5)\ndef total(values):\n    return sum(values) * k",
        "# Use",
        "t = total(n for n in range(4))\nu = total(\n    [1, 2],  # two\n)",
    ),
    "a class that reads a constant": (
        "LIMIT = 3\nclass Box:\n    size = LIMIT\n    def room(self):\n        return LIMIT - 1",
        "# Use",
        "room = Box().room()\nroom",
    ),
    "a lambda, and a recursion": (
        "half = lambda n: n / 2\ndef fact(n):\n    return 1 if n < 2 else n * fact(n - 1)",
        "# Use",
        "(half(3), fact(5))",
    ),
    "a comprehension that hides a name": (
        "n = 5\nsquares = [n * n for n in range(3)]",
        "# Use",
        "(n, squares)",
    ),
    "what a loop leaves": (
        "for i in range(3):\n    last = i * 2",
        "# More",
        "(i, last)",
    ),
    "a name that is deleted": (
        "gone = 1\nkept = 2",
        "# More",
        "del gone\nkept",
    ),
    "a walrus and a match": (
        "if (n := 10) > 5:\n    big = True",
        "# More",
        "match [n, 2]:\n    case [a, b]:\n        both = a + b\nboth",
    ),
    "random numbers with a seed": (
        "import random\nimport numpy as np\nrandom.seed(1)\nnp.random.seed(2)",
        "# Draw",
        "a = random.random()",
        "# Again",
        "b = np.random.rand(3)\n(a, b.sum())",
    ),
    "a frame that is changed in place": (
        "import pandas as pd\nframe = pd.DataFrame({'a': [3, 1, 2]})\nsame = frame",
        "# Change",
        "frame['b'] = frame['a'] * 2\nframe.sort_values('a', inplace=True)",
        "# Seen",
        "same",
    ),
    "a query that names a name": (
        "import pandas as pd\nframe = pd.DataFrame({'a': [1, 2, 3]})\nlow = frame['a'].min()",
        "# Ask",
        "found = frame.query('a > @low')\nfound",
    ),
    "files": (
        "from pathlib import Path\nPath('made.txt').write_text('one')",
        "# Read",
        "text = Path('made.txt').read_text()\ntext",
    ),
    "magics": (
        "%matplotlib inline\n%time x = 2",
        "# More",
        "%%time\ny = x * 2\ny",
        "%env NBX_DRAFT=1",
        "import os\nos.environ['NBX_DRAFT']",
    ),
    "figures": (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('one');",
        "# More",
        "plt.bar([1], [2])\nplt.show()",
    ),
    "a cell that waits": (
        "import asyncio",
        "# Wait",
        "await asyncio.sleep(0)\nw = await asyncio.sleep(0, 'waited')\nw",
    ),
    "words that are displayed": (
        "display(1, 'two')\nprint('three')",
        "# More",
        "display([1])\nNone",
    ),
    "whether it is the main program": (
        "if __name__ == '__main__':\n    x = 1",
        "# More",
        "x",
    ),
    "text over several lines": (
        "text = '''\n  left\nright'''",
        "# More",
        "text + '''\nend'''",
    ),
    "an import inside of a function": (
        "def root(n):\n    import math\n    return math.sqrt(n)",
        "# Use",
        "root(9)",
    ),
    "the same import twice": (
        "import math",
        "# More",
        "import math\nmath.pi",
    ),
    "an import that may fail": (
        "try:\n    import nothing_at_all\nexcept ImportError:\n    nothing_at_all = None",
        "# More",
        "nothing_at_all is None",
    ),
    "a future import": (
        "from __future__ import annotations\nx: int = 1",
        "# More",
        "x",
    ),
    "a decorator of the notebook": (
        "def twice(f):\n    def inner(*a):\n        return f(*a) * 2\n    return inner",
        "# Use",
        "@twice\ndef one():\n    return 1\none()",
    ),
    "names like those of the package": (
        "keep = 1\nshow = 2\nresults = keep + show",
        "# Use",
        "steps = results\nsteps",
    ),
    "a function defined twice": (
        "def f():\n    return 1\na = f()",
        "# Again",
        "def f():\n    return 2\n(a, f())",
    ),
}
REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "all names": (("x = len(globals())",), "`globals`"),
    "a question": (("name = input('who? ')",), "`input`"),
    "the shell's memory": (("1", "Out[1]"), "memory of earlier cells"),
    "a program": (("!rm -f nothing",), "runs a program"),
    "a notebook that fails": (("x = 1", "1 / 0"), "cell 2, line 1 fails: ZeroDivisionError"),
}


@pytest.mark.parametrize("what", NOTEBOOKS)
def test_the_package_gives_what_the_notebook_gives(tmp_path: Path, what: str) -> None:
    """Every value that is left, everything displayed and every figure is the same, and nothing is missing."""
    made = drafted(tmp_path, NOTEBOOKS[what])

    assert made.equivalence.holds
    assert made.equivalence.count("equal") > 0
    assert made.equivalence.count("not steady") == 0
    for text in made.files.values():
        ast.parse(text)


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_exported_is_refused_with_its_reason(tmp_path: Path, what: str) -> None:
    """One line that names the cell and why."""
    cells, reason = REFUSED[what]

    with pytest.raises(NotExported) as refused:
        drafted(tmp_path, cells)

    assert reason in str(refused.value)
    assert refused.value.exit_code == 3


def test_products_of_a_pipeline_stay_as_they_were(tmp_path: Path) -> None:
    """An export runs the notebook where it works; what that writes is no product of the pipeline."""
    (tmp_path / "build/folder").mkdir(parents=True)
    for name in ("build/model.bin", "build/folder/part.txt"):
        (tmp_path / name).write_text("as the pipeline made it")
        os.utime(tmp_path / name, ns=(1_000_000_000, 1_234_567_890))
    cells = (
        ("product = {'model': 'build/model.bin', 'parts': 'build/folder', 'new': 'other/new.txt'}", ["parameters"]),
        "from pathlib import Path\nPath(product['model']).write_text('anew')\n"
        "Path(product['parts'], 'more.txt').write_text('more')\nPath(product['new']).write_text('new')",
    )

    made = draft(write_notebook(tmp_path / "notebook.ipynb", *cells), timeout_s=300)

    assert made.equivalence.holds
    assert (tmp_path / "build/model.bin").read_text() == "as the pipeline made it"
    assert (tmp_path / "build/model.bin").stat().st_mtime_ns == 1_234_567_890
    assert [path.name for path in (tmp_path / "build/folder").iterdir()] == ["part.txt"]
    assert not (tmp_path / "other").exists()


def test_a_file_of_secrets_does_not_go_along(tmp_path: Path) -> None:
    """Who reads one is refused; who lists a folder gets a package without it."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / ".env").write_text("TOKEN=abcdefgh")
    (folder / "deploy.txt").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    (folder / "rates.csv").write_text("1\n2\n")

    for name in (".env", "deploy.txt"):
        with pytest.raises(NotExported, match=f"it reads `{name}`, a file of secrets"):
            drafted(folder, (f"words = open('{name}').read().split()\nlen(words)",))
    made = drafted(folder, ("import glob\nnames = sorted(glob.glob('*.csv'))\nnames",))

    assert [each.path for each in made.needed.data if each.path.endswith((".env", ".txt"))] == []
    assert "rates.csv" in [each.path for each in made.needed.data]


def test_what_varies_by_itself_proves_nothing(tmp_path: Path) -> None:
    """A clock and an unseeded draw are named as not steady, and are not held against the package."""
    made = drafted(tmp_path, ("import random, time\ndrawn = random.random()\nat = time.time_ns()\nfixed = 1",))

    assert {row.name: row.verdict for row in made.equivalence.rows} == {
        "drawn": "not steady", "at": "not steady", "fixed": "equal"
    }  # fmt: skip


def test_sections_become_functions_after_their_headings(tmp_path: Path) -> None:
    """Functions of the notebook and imports stand at the top; each section takes and gives what flows."""
    cells = ("import math\nscale = math.floor(2.5)\n# Scales.\ndef scaled(n):\n    return n * scale",
             "# Load the data", "rows = [1, 2]",
             "# Fit a model!", "model = [scaled(row) for row in rows]\nmodel")  # fmt: skip

    made = drafted(tmp_path, cells)

    assert made.shape == "sections"
    tree = ast.parse(made.files["steps.py"])
    functions = {node.name: [one.arg for one in (*node.args.args, *node.args.kwonlyargs)]
                 for node in tree.body if isinstance(node, ast.FunctionDef)}  # fmt: skip
    assert functions == {
        "scaled": ["n", "scale"], "make_scale": [], "load_the_data": [], "fit_a_model": ["scale", "rows"]
    }  # fmt: skip
    assert "# Scales.\ndef scaled(" in made.files["steps.py"]
