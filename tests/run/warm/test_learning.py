"""A notebook that imports in a function, or through a local module's, has that done ahead the next time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nbproof.notebook.ahead import leaves_state_alone
from nbproof.run.state import STATE_FOLDER
from nbproof.run.warm import pool
from nbproof.run.warm.learning import recall, remember
from nbproof.run.warm.preload import preload

if TYPE_CHECKING:
    from conftest import Workspace

NOTEBOOK = """\
# %% tags=["parameters"]
upstream = None
product = None
seed: int = 0

# %%
def later():
    import late_one
    return late_one.NAME
print(later())
"""


@pytest.mark.slow
def test_what_was_imported_late_is_imported_ahead_the_next_time(
    workspace: Workspace, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run learns it; another value of a parameter forgets nothing."""
    (packages / "late_one.py").write_text("NAME = 'late one'\n")
    monkeypatch.setenv("PYTHONPATH", str(packages))
    workspace.write("one.py", NOTEBOOK)
    workspace.write("pipeline.yaml", "tasks:\n  - source: one.py\n    product: build/one.ipynb\n")

    workspace.run()
    before = [zygote for zygote in pool.zygotes() if zygote["imports"] == ["late_one"]]
    workspace.run("-p", "seed=1")
    after = [zygote for zygote in pool.zygotes() if zygote["imports"] == ["late_one"]]

    learnt = json.loads((workspace.root / STATE_FOLDER / "learnt/pipeline.yaml/one.json").read_bytes())
    assert learnt["modules"] == ["late_one"]
    assert (before, len(after)) == ([], 1)
    assert "late one" in (workspace.root / "build/one.ipynb").read_text()


def test_what_was_learnt_is_of_the_very_same_code(tmp_path: Path) -> None:
    """Once the code is another, it may import other things; a file cut short costs only time."""
    file = tmp_path / "learnt.json"

    remember(file, ["import a"], ["one"])
    remember(file, ["import a"], ["two"])

    assert recall(file, ["import a"]) == ("one", "two")
    assert recall(file, ["import b"]) == ()
    file.write_bytes(file.read_bytes()[:-3])
    assert recall(file, ["import a"]) == ()


@pytest.mark.parametrize(
    "cell",
    [
        "def f():\n    import os\n    os.environ['X'] = '1'\n    import numpy",
        "import os\nf = lambda: os.environ.pop('X')",
        "class A:\n    def f(self):\n        import warnings\n        warnings.simplefilter('error')",
        "def f():\n    %env X=1",
    ],
)
def test_nothing_is_learnt_where_a_function_might_be_noticed(tmp_path: Path, packages: Path, cell: str) -> None:
    """A variable that a function sets before it imports must be there for the import."""
    (packages / "late_one.py").write_text("")

    found = preload([cell], cwd=tmp_path, search=[str(packages)], learnt=["late_one"])

    assert not leaves_state_alone([cell])
    assert found.modules == ()


def test_nothing_is_learnt_where_a_local_module_might_be_noticed(tmp_path: Path, packages: Path) -> None:
    """Its functions count as well."""
    (packages / "late_one.py").write_text("")
    (tmp_path / "calm.py").write_text("def f():\n    return 1\n")
    (tmp_path / "sets.py").write_text("import os\ndef f():\n    os.environ['X'] = '1'\n")

    def modules(cell: str) -> tuple[str, ...]:
        return preload([cell], cwd=tmp_path, search=[str(packages)], learnt=["late_one"]).modules

    assert modules("import calm") == ("late_one",)
    assert modules("import sets") == ()
