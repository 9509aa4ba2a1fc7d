"""Run what a converter made, in the notebook's folder: `converted_run.py KIND TARGET STATE.json [CELLS.json]`.

`script`: a file, run as the main program; `ipython`: the same inside IPython; `package`: a package of nbproof, with
the numbers of the notebook's cells by their ids.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import telling

sys.path.pop(0)


def main() -> None:
    kind, target, state, *cells = sys.argv[1:]
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.argv = [target]
    sys.path.insert(0, str(Path.cwd()))
    names: dict[str, Any] = {}
    displayed: dict[int, Any] = {}
    error, began = "", time.monotonic()
    try:
        if kind == "package":
            telling.own = target
            results = importlib.import_module(target).run()
            names = dict(results)
            numbers = json.loads(Path(cells[0]).read_text())
            displayed = {numbers[cell]: telling.tell(shown[-1]) for cell, shown in results.displayed.items() if shown}
        else:
            _run(kind, target, names)
    except SystemExit as ended:
        error = "" if ended.code in (None, 0) else f"SystemExit: {ended.code}"
    except BaseException as failed:
        error = f"{type(failed).__name__}: {failed}"
    took = round(time.monotonic() - began, 2)
    told = {"values": telling.snapshot(names), "displayed": displayed, "error": error[:300], "seconds": took}
    Path(state).write_text(json.dumps(told))
    sys.exit(1 if error else 0)


def _run(kind: str, target: str, names: dict[str, Any]) -> None:
    if kind == "ipython":
        from IPython.terminal.interactiveshell import TerminalInteractiveShell

        shell = TerminalInteractiveShell.instance()
        try:
            shell.safe_execfile(target, shell.user_ns, raise_exceptions=True)
        finally:
            names.update(shell.user_ns)
        return
    main_module = types.ModuleType("__main__")
    main_module.__dict__["__file__"] = target
    sys.modules["__main__"] = main_module
    try:
        exec(compile(Path(target).read_text(encoding="utf-8"), target, "exec"), main_module.__dict__)
    finally:
        names.update({name: value for name, value in main_module.__dict__.items() if name != "__builtins__"})


if __name__ == "__main__":
    main()
