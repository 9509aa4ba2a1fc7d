"""What may be imported before a notebook starts: installed, named by the notebook or by its local modules, in order."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nbproof.run.warm.preload import Preload, preload


@pytest.fixture
def installed(tmp_path: Path) -> list[str]:
    """A search path with packages: `big` (with `big.part` and `big.other`), `small` and `tensorflow`."""
    site = tmp_path / "lib/python3.11/site-packages"
    for module in ("big/__init__", "big/part", "big/other", "small", "tensorflow"):
        file = site / f"{module}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return [*(path for path in sys.path if path), str(site)]


def choose(tmp_path: Path, installed: list[str], *cells: str) -> Preload:
    here = tmp_path / "project"
    here.mkdir(exist_ok=True)
    return preload(cells, cwd=here, search=installed)


def test_installed_modules_are_taken_and_the_standard_library_is_not(tmp_path: Path, installed: list[str]) -> None:
    """The kernel has imported what it needs of the standard library; the rest costs next to nothing."""
    found = choose(tmp_path, installed, "import json, big", "from big import part, NAME\nimport absent")

    assert found == Preload(("big", "big.part"))


def test_what_must_not_be_imported_ahead_is_not(tmp_path: Path, installed: list[str]) -> None:
    """Packages that start threads or contexts stay in the notebook."""
    assert choose(tmp_path, installed, "import tensorflow\nimport small").modules == ("small",)


def test_local_modules_are_never_taken_but_what_they_import_is(tmp_path: Path, installed: list[str]) -> None:
    """At its place in the order, through packages and relative imports, too."""
    project = tmp_path / "project"
    (project / "mine").mkdir(parents=True)
    (project / "mine/__init__.py").write_text("from . import inner\n")
    (project / "mine/inner.py").write_text("import big.other\ndef late():\n    import big.part\n")
    (project / "helper.py").write_text("import mine\nimport small\n")

    assert choose(tmp_path, installed, "import helper\nimport big").modules == ("big.other", "small", "big")


def test_a_local_module_that_sets_something_ends_them(tmp_path: Path, installed: list[str]) -> None:
    """What a local module does when it is imported may matter to the next import."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project/helper.py").write_text("import small\nimport os\nos.environ['X'] = '1'\n")

    found = choose(tmp_path, installed, "import helper\nimport big")

    assert found.modules == ("small",)
    assert found.because == "`helper.py` sets something before its further imports"


def test_a_file_of_the_folder_that_an_import_reads_leaves_nothing_ahead(tmp_path: Path, installed: list[str]) -> None:
    """matplotlib reads `matplotlibrc` where it is imported; the zygote is elsewhere."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project/matplotlibrc").write_text("")

    found = choose(tmp_path, installed, "import matplotlib")

    assert found == Preload(because="`matplotlibrc` in its folder is read by an import")


def test_uses_are_counted_in_modules(tmp_path: Path, installed: list[str]) -> None:
    """A submodule that is used must be there after so many modules: standard ones do not count."""
    found = choose(tmp_path, installed, "import json, small, big\nbig.part.x", "from big import other")

    assert found == Preload(("small", "big", "big.other"), uses={"big.part": 2})


def test_variables_without_imports_say_nothing(tmp_path: Path, installed: list[str]) -> None:
    """A notebook that imports nothing needs no process of its own."""
    assert choose(tmp_path, installed, "import os\nos.environ['X'] = '1'") == Preload()
