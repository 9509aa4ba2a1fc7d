"""Which imports may be done before a notebook runs, and mean the same."""

from __future__ import annotations

import pytest

from nbproof.notebook.ahead import Ahead, ImportedAhead, Use, ahead


def modules(found: Ahead) -> list[str]:
    return [imported.module for imported in found.imports]


def test_imports_of_all_cells_are_taken_in_their_order() -> None:
    """Cells that do nothing to the process stop nothing."""
    found = ahead(["import pandas as pd", "rows = 3\nprint(rows)", "from sklearn import svm, tree"])

    assert found == Ahead(
        (ImportedAhead("pandas"), ImportedAhead("sklearn", ("svm", "tree"))), None, {}, ()
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        ("import os\nos.environ['X'] = str(1)", "`os.environ`"),
        ("import os\nos.environ.setdefault('X', '1')", "`os.environ.setdefault`"),
        ("from os import environ as e\ne.pop('X')", "`os.environ.pop`"),
        ("import sys\nsys.path.insert(0, 'src')", "`sys.path.insert`"),
        ("import sys as s\ns.path.append('src')", "`sys.path.append`"),
        ("import warnings\nwarnings.filterwarnings('ignore')", "`warnings.filterwarnings`"),
        ("import logging\nlogging.basicConfig()", "`logging.basicConfig`"),
        ("import logging\nlogging.getLogger('x').setLevel(10)", "`setLevel()`"),
        ("import matplotlib\nmatplotlib.use('svg')", "`use()`"),
        ("import multiprocessing\nmultiprocessing.set_start_method('spawn')", "`set_start_method()`"),
        ("%env X=1", "`%env`"),
        ("%cd elsewhere", "`%cd`"),
        ("%load_ext autoreload", "`%load_ext`"),
        ("!pip install package", "a shell line that may install something"),
        ("%%bash\npip install package", "a shell line that may install something"),
    ],
)
def test_what_later_imports_might_notice_ends_them(cell: str, named: str) -> None:
    """Variables, paths, filters, loggers, folders and installations: what is imported after these stays behind them."""
    found = ahead(["import json", cell, "import pandas"])

    assert "pandas" not in modules(found)
    assert found.because == f"cell 2 uses {named} before its further imports"


@pytest.mark.parametrize(
    "cell",
    [
        "import os\nprint(os.environ.get('X'), os.path.join('a', 'b'), os.cpu_count())",
        "import sys\nprint(sys.version)",
        "import logging\nlog = logging.getLogger(__name__)",
        "def later():\n    import os\n    os.environ['X'] = '1'",
        "class Kept:\n    def clear(self):\n        sys.path.clear()",
        "late = lambda: os.environ.clear()",
        "!ls",
        "%matplotlib inline",
    ],
)
def test_what_harms_no_import_ends_nothing(cell: str) -> None:
    """What only looks, or runs later, is no reason to stop."""
    found = ahead([cell, "import pandas"])

    assert modules(found)[-1] == "pandas"
    assert found.because is None


def test_variables_set_to_texts_before_all_imports_are_set_then_too() -> None:
    """A kernel whose threads are limited first has its imports done with the same limit."""
    found = ahead(["import os\nos.environ['A'] = os.environ['B'] = '1'\nos.environ.update(C='2')\nimport numpy"])

    assert found.variables == {"A": "1", "B": "1", "C": "2"}
    assert modules(found) == ["os", "numpy"]


def test_a_variable_set_between_imports_is_too_late() -> None:
    """What was imported before must not see it."""
    found = ahead(["import numpy\nimport os\nos.environ['A'] = '1'\nimport torch"])

    assert modules(found) == ["numpy", "os"]
    assert found.variables == {}
    assert found.because == "cell 1 uses `os.environ` before its further imports"


def test_imports_under_a_condition_stay_where_they_are() -> None:
    """Whether they happen is known only then; an optional package is one that may be missing."""
    found = ahead(
        [
            "if fast:\n    import torch\nfor _ in range(2):\n    import numpy",
            "try:\n    import cupy\nexcept ImportError:\n    pass",
        ]
    )

    assert modules(found) == ["cupy"]


def test_a_submodule_used_without_an_import_is_noted_with_its_place() -> None:
    """`matplotlib.pyplot` after `import matplotlib` works only where something else has imported it."""
    found = ahead(["import matplotlib\nmatplotlib.pyplot.plot([1])", "import seaborn"])

    assert Use("matplotlib.pyplot", 1) in found.uses


def test_a_use_inside_a_function_counts_after_all_imports() -> None:
    """A function runs at the earliest when it is called."""
    found = ahead(["import matplotlib\ndef draw():\n    matplotlib.pyplot.plot([1])", "import seaborn"])

    assert Use("matplotlib.pyplot", 2) in found.uses


def test_a_named_submodule_is_no_such_use() -> None:
    """`import a.b` and `from a import b` say that it is there."""
    found = ahead(["import os.path\nimport matplotlib.pyplot as plt\nfrom matplotlib import cm\nplt.plot\ncm.get_cmap"])

    assert not {use.module for use in found.uses} & {"os.path", "matplotlib.pyplot", "matplotlib.cm"}


def test_a_cell_that_cannot_be_read_ends_them() -> None:
    """Who knows what it does."""
    found = ahead(["import json", "import ("])

    assert modules(found) == ["json"]
    assert found.because == "cell 2 cannot be read"
