"""What a notebook asks about its kernel: a kernel and a plain process answer otherwise, so a package is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from nbproof.export.reading import read
from nbproof.notebook.document import parse

# Expressions, and what is said of them.
ASKED = {
    "'ipykernel' in sys.modules": "whether `ipykernel` is loaded",
    "'IPython' not in sys.modules": "whether `IPython` is loaded",
    "'zmq.sugar' in sys.modules.keys()": "whether `zmq.sugar` is loaded",
    "'tornado' in list(sys.modules)": "whether `tornado` is loaded",
    "sys.modules.get('ipykernel') is None": "whether `ipykernel` is loaded",
    "hasattr(builtins, '__IPYTHON__')": "whether IPython runs it",
    "getattr(builtins, '__IPYTHON__', False)": "whether IPython runs it",
    "'JPY_PARENT_PID' in os.environ": "for Jupyter's `JPY_PARENT_PID`",
    "hasattr(sys, 'ps1')": "whether somebody types",
    "len(sys.argv)": "for the words that it was started with",
    "len(parser.parse_known_args()[1])": "by `parse_known_args()`",
    "asyncio._get_running_loop() is None or asyncio.get_running_loop() is None": "whether a loop of events runs",
    "asyncio.get_event_loop().is_running()": "whether a loop of events runs",
    "matplotlib.get_backend()": "what draws its figures",
    "matplotlib.rcParams['backend']": "what draws its figures",
}
BEFORE = (
    "import argparse, asyncio, builtins, os, sys\nimport matplotlib\nmatplotlib.get_backend()\n"
    "parser = argparse.ArgumentParser()"
)


def refusals(folder: Path, *cells: str) -> list[str]:
    """What is said of a notebook of these cells."""
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return [str(each) for each in read(parse(folder / "asks.ipynb", nbformat.writes(document).encode())).refusals]


@pytest.mark.parametrize("asked", ASKED)
def test_what_is_asked_about_the_kernel_is_refused(tmp_path: Path, asked: str) -> None:
    """With its cell and line, and what would help."""
    said = refusals(tmp_path, "import sys", f"y = 1\nx = {asked}")

    assert said
    assert all(each.startswith("cell 2, line 2: it asks ") for each in said)
    assert any(ASKED[asked] in each for each in said)
    assert all(each.endswith("; leave the question out, or let a parameter answer it") for each in said)


def test_a_kernel_and_a_process_do_answer_otherwise(tmp_path: Path) -> None:
    """Each of them: nothing is refused that has the same answer everywhere."""
    told = f"told = {{asked: eval(asked) for asked in {list(ASKED)!r}}}"
    document = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in (BEFORE, f"{told}\nimport json\nprint(json.dumps(told))")]
    )
    nbformat.write(document, tmp_path / "asks.ipynb")

    ran = papermill.execute_notebook(
        str(tmp_path / "asks.ipynb"), str(tmp_path / "ran.ipynb"), kernel_name="python3", progress_bar=False
    )
    script = f"import warnings\nwarnings.simplefilter('ignore')\n{BEFORE}\n{told}\nimport json\nprint(json.dumps(told))"
    plain = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)

    in_kernel = json.loads("".join(output["text"] for output in ran.cells[1].outputs if output.get("name") == "stdout"))
    in_process = json.loads(plain.stdout)
    assert [asked for asked in ASKED if in_kernel[asked] == in_process[asked]] == []


@pytest.mark.parametrize(
    "cells",
    [
        ("import sys\nx = 'google.colab' in sys.modules",),
        ("import sys\nx = 'torch' in sys.modules",),
        ("args = parser.parse_args([])",),
        ("import sys\nsys.argv = ['']", "args = parser.parse_args()"),
        ("x = {'ipykernel': 1}['ipykernel']",),
        ("x = 'ipykernel' in packages",),
        ("x = thread.is_running()",),
        ("exit = 1\nexit",),
        ("rates = {'JPY_USD': 0.007}\nx = rates['JPY_USD']",),
        ("console = 'ps1'",),
        ("x = keras.get_backend()\ny = queue.current_task()",),
        ("plt.rcParams['figure.dpi'] = 90",),
    ],
)
def test_what_has_the_same_answer_is_not_refused(tmp_path: Path, cells: tuple[str, ...]) -> None:
    """Whatever runs it: what nobody loads by itself, words that the notebook gives, names of its own."""
    assert refusals(tmp_path, *cells) == []


@pytest.mark.parametrize("name", ["exit", "quit"])
def test_a_name_that_ends_the_kernel_is_refused(tmp_path: Path, name: str) -> None:
    """What stands below it would run in a package, and does not in a notebook."""
    assert refusals(tmp_path, "x = 1", name, "x = 2") == [
        f"cell 2, line 1: `{name}` ends the kernel, and what stands below does not run; "
        "leave it out, with what stands below"
    ]
