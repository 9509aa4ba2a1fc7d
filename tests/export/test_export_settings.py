"""What a notebook sets before it imports: it keeps its place before these imports, which stand at the module's top."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from drafts import drafted

from nbproof.export.draft import Draft

# A module that remembers what it found when it was imported.
HELPER = "import os, sys\nfound = os.environ.get('NBX_SET')\npath = list(sys.path)\nfolder = os.getcwd()\n"


def tops(made: Draft, module: str = "steps.py") -> set[str]:
    """The imports at the top of a module of the draft."""
    return {ast.unparse(node) for node in ast.parse(made.files[module]).body
            if isinstance(node, ast.Import | ast.ImportFrom)} - {"from __future__ import annotations"}  # fmt: skip


def test_a_variable_of_the_environment_is_set_before_the_import_that_feels_it(tmp_path: Path) -> None:
    """The import still stands at the top, since `run()` sets the variable before it imports the steps."""
    (tmp_path / "nbx_helper.py").write_text(HELPER)
    cells = ("import os\nos.environ['NBX_SET'] = 'yes'\nimport nbx_helper\nfound = nbx_helper.found", "# Use", "found")

    made = drafted(tmp_path, cells)

    assert made.shape == "sections"
    assert made.first.values["found"].text == "'yes'"
    assert "import nbx_helper" in tops(made)
    assert 'os.environ["NBX_SET"] = "yes"' in made.files["_settings.py"]
    assert "NBX_SET" not in made.files["steps.py"]
    assert len(made.shaped.origins["_settings.py"]) == made.files["_settings.py"].count("\n")


def test_an_import_before_a_setting_stays_before_it(tmp_path: Path) -> None:
    """A module that was loaded without the variable is loaded without it in the package, too."""
    (tmp_path / "nbx_helper.py").write_text(HELPER)
    cells = ("import os\nimport nbx_helper\nos.environ['NBX_SET'] = 'yes'\nimport colorsys",
             "# Use", "found = nbx_helper.found\nis_set = os.environ['NBX_SET']")  # fmt: skip

    made = drafted(tmp_path, cells)

    assert made.first.values["found"].text == "None"
    assert "import nbx_helper" in tops(made)
    assert made.files["_settings.py"].index("import nbx_helper") < made.files["_settings.py"].index("NBX_SET")


@pytest.mark.parametrize("setting", [
    "sys.path.append('lib')", "sys.path.insert(0, os.path.abspath('lib'))",
    "if 'lib' not in sys.path:\n    sys.path.append('lib')", "sys.path += ['lib']", "%cd lib", "os.chdir('lib')",
])  # fmt: skip
def test_a_place_of_modules_is_set_before_its_imports(tmp_path: Path, setting: str) -> None:
    """Whatever the way to say it: the module there is found, and imported at the top."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "nbx_there.py").write_text("value = 5\n")

    made = drafted(
        tmp_path, (f"import os, sys\n{setting}", "import nbx_there\nvalue = nbx_there.value", "# Use", "value")
    )

    assert made.shape == "sections"
    assert "import nbx_there" in tops(made)
    assert "value" in {row.name for row in made.equivalence.rows if row.verdict == "equal"}


def test_a_setting_after_something_that_could_feel_it_stays_there(tmp_path: Path) -> None:
    """A name has asked for the folder before it is changed; the imports below stay below."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "nbx_there.py").write_text("value = 5\n")
    cells = ("import os\nbefore = os.getcwd()[-3:]\nos.chdir('lib')\nafter = os.getcwd()[-3:]",
             "# Use", "import nbx_there\nnbx_there.value, before, after")  # fmt: skip

    made = drafted(tmp_path, cells)

    assert "_settings.py" not in made.files
    assert "import nbx_there" not in tops(made)
    assert made.equivalence.holds


def test_a_module_that_the_notebook_writes_is_imported_after_that(tmp_path: Path) -> None:
    """The file lies there from the run that was watched; in a package's folder it does not."""
    cells = ("from pathlib import Path\nPath('nbx_made.py').write_text('value = 7')", "# Use",
             "import nbx_made\nvalue = nbx_made.value")  # fmt: skip

    made = drafted(tmp_path, cells)

    assert "import nbx_made" not in tops(made)


def test_importing_the_package_sets_nothing(tmp_path: Path) -> None:
    """Only `run()` does."""
    made = drafted(tmp_path, ("import os\nos.environ['NBX_SET'] = 'yes'\nimport json\nfrom xml import dom\nx = 1",))
    for name, text in made.files.items():
        (tmp_path / "made" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "made" / name).write_text(text)
    code = "import os, sys, made; print('NBX_SET' in os.environ, 'xml' in sys.modules)"

    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert said.split() == ["False", "False"]
