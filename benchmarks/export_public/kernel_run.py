"""Run a notebook from its top in a fresh kernel, as its author would: `kernel_run.py NOTEBOOK STATE.json SECONDS`.

The state holds every variable at the end, and what the last expression of each cell displayed, by the number of the
cell among those with code.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

BEGIN = """
import sys as _sys
_sys.path.insert(0, {here!r})
import telling as _telling
_sys.path.remove({here!r})
_telling.at, _telling.displayed = 0, {{}}
if {stirs}:
    get_ipython().events.register("pre_run_cell", lambda info: _telling.stir())
def _after(result):
    if result.info is not None and result.info.store_history:
        _telling.at += 1
        if result.result is not None:
            _telling.displayed[_telling.at] = _telling.tell(result.result)
get_ipython().events.register("post_run_cell", _after)
"""
END = """
import json as _json
with open({state!r}, "w") as _file:
    _own = _telling.without_imported(dict(get_ipython().user_ns), {imported!r})
    _json.dump({{"values": _telling.snapshot(_own), "displayed": _telling.displayed}}, _file)
"""


def main() -> None:
    notebook, state, seconds = Path(sys.argv[1]), Path(sys.argv[2]).absolute(), float(sys.argv[3])
    found = nbformat.read(notebook, as_version=4)
    found.metadata.pop("kernelspec", None)
    client = NotebookClient(found, kernel_name="python3", resources={"metadata": {"path": str(notebook.parent)}})
    error, began = "", time.monotonic()
    with client.setup_kernel():
        _hidden(client, BEGIN.format(here=str(Path(__file__).parent), stirs="MEASURING_STIRS" in os.environ))
        began = time.monotonic()
        try:
            for at, cell in enumerate(found.cells):
                if cell.cell_type == "code" and cell.source.strip():
                    client.timeout = max(1, int(began + seconds - time.monotonic()))
                    client.execute_cell(cell, at)
        except CellExecutionError as failed:
            error = f"{failed.ename}: {failed.evalue}"
        except (CellTimeoutError, TimeoutError, DeadKernelError) as failed:
            error = type(failed).__name__
        took = round(time.monotonic() - began, 2)
        if not error:
            _hidden(client, END.format(state=str(state), imported=list(_imported(found))))
    told = json.loads(state.read_text()) if state.is_file() else {"values": {}, "displayed": {}}
    state.write_text(json.dumps({**told, "error": error[:300], "seconds": took}))


def _imported(notebook: nbformat.NotebookNode) -> Iterator[tuple[str, str, str]]:
    """What `from module import name as other` says anywhere in the cells: module, name (or a star) and other name."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        try:
            tree = ast.parse(TransformerManager().transform_cell(cell.source))
        except SyntaxError:
            continue
        if "run_line_magic('pylab'" in ast.unparse(tree):
            yield from ((module, "*", "*") for module in ("matplotlib.pylab", "numpy"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from ((node.module, alias.name, alias.asname or alias.name) for alias in node.names)


def _hidden(client: NotebookClient, source: str) -> None:
    cell = nbformat.v4.new_code_cell(source)
    client.nb.cells.append(cell)
    client.timeout = 120
    try:
        client.execute_cell(cell, len(client.nb.cells) - 1, store_history=False)
    finally:
        client.nb.cells.pop()


if __name__ == "__main__":
    main()
