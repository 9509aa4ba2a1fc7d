"""Tables that a notebook writes as text: pandas writes more columns in a kernel than elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import papermill
from exported import exported, python, write_notebook

TABLES = {
    "wide": "import numpy as np\nimport pandas as pd\n"
    "wide = pd.DataFrame(np.arange(60.0).reshape(3, 20), columns=[f'column_{n}' for n in range(20)])",
    "wider": "wider = pd.DataFrame([range(30)], columns=[f'column_{n}' for n in range(30)])",
    "other": "from pandas import DataFrame\nother = DataFrame([range(15)]).add_prefix('column_')",
    "late": "def of(width):\n    import pandas\n    return pandas.DataFrame([range(width)]).add_prefix('column_')\n"
    "late = of(18)",
    "told": "pd.set_option('display.max_columns', 4)\ntold = wider * 2",
}
TOLD = """
import contextlib, io, json
said = io.StringIO()
with contextlib.redirect_stdout(said):
    import writes_draft
    results = writes_draft.run()
    import pandas
    after = pandas.get_option("display.max_columns")
print(json.dumps([results["texts"], said.getvalue(), after]))
"""


def test_tables_are_written_as_in_a_kernel(tmp_path: Path) -> None:
    """The text that a real kernel leaves, printed and kept; what the notebook says itself holds from there on."""
    cells = [f"{source}\ntexts.append(str({name}))\nprint({name})" for name, source in TABLES.items()]
    made = write_notebook(tmp_path / "notebooks/writes.ipynb", "texts = []", *cells)
    ran = papermill.execute_notebook(str(made), str(tmp_path / "ran.ipynb"), kernel_name="python3", progress_bar=False)
    printed = [output["text"] for cell in ran.cells for output in cell.outputs if output.get("name") == "stdout"]

    package = exported(made)
    told = python("-c", TOLD, folder=tmp_path, path=package / "src")
    tested = python("-m", "pytest", "-q", "tests", folder=package)

    texts, said, after = json.loads(told.stdout)
    assert said == "".join(printed)
    assert [f"{text}\n" for text in texts] == printed
    assert after == 4
    assert tested.returncode == 0, tested.stdout


def test_what_the_process_had_holds_again_afterwards(tmp_path: Path) -> None:
    """Nobody else's tables change by a package that ran."""
    package = exported(write_notebook(tmp_path / "notebooks/writes.ipynb", "texts = []", TABLES["wide"]))

    told = python("-c", TOLD, folder=tmp_path, path=package / "src")

    assert json.loads(told.stdout)[2] == 0
