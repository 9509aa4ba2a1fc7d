"""The process that a package is run in to be compared: what to run as JSON on standard input, what came of it named."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import sys
import time
import types
from dataclasses import asdict
from pathlib import Path
from typing import Any


def main() -> None:
    job = json.load(sys.stdin)
    # Whoever asks for input is told that there is nobody.
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 (it is open as long as the process)
    os.chdir(job["folder"])
    sys.path[:0] = [job["package_parent"], ""]
    os.environ.setdefault("MPLBACKEND", "agg")
    from ..watching.draws import ONE_START, start_draws
    from ..watching.touched import Touched, Watch

    start_draws(ONE_START)

    watch, touched, printed = Watch(), Touched(), io.StringIO()
    began_ns = time.time_ns()
    watch.current = touched
    error, results = "", None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()) as complained:
        try:
            package = importlib.import_module(job["package"])
            results = package.run(**job["parameters"])
        # A cell that ends the process fails, as does a package that does so.
        except BaseException as raised:
            error = f"{type(raised).__name__}: {raised}".strip().splitlines()[0]
            notes = list(getattr(raised, "__notes__", ()))
    watch.current = None
    from ..watching.left import changed_since, left

    written = touched.written | set(map(str, changed_since(Path(job["folder"]), began_ns)))
    found = {
        "error": error,
        "notes": notes if error else [],
        "prints": printed.getvalue(),
        "complains": complained.getvalue(),
        "files": {path: asdict(left(Path(path))) for path in sorted(written)},
        **_left_behind(results, job["package"]),
    }
    Path(job["output"]).write_text(json.dumps(found), encoding="utf-8")


def _left_behind(results: Any, package: str) -> dict[str, Any]:
    if results is None:
        return {"values": {}, "shows": {}, "figures": {}}
    from ..watching import executor
    from ..watching.looking import Look

    _call_them_as_the_notebook_does(package)
    pictures: dict[int, str] = {}
    looks = {name: Look(is_drawing=True, pictures=pictures) for name in results}
    return {
        "values": {name: _told(executor.value_of(value, looks[name])) for name, value in results.items()},
        "shows": {
            cell: [_told(executor.value_of(value, Look(is_shown=True))) for value in shown]
            for cell, shown in results.displayed.items()
        },
        "figures": results.drawings,
    }


def _told(value: Any) -> dict[str, Any]:
    return {"kind": value.kind, "digest": value.digest, "text": value.text}


def _call_them_as_the_notebook_does(package: str) -> None:
    """Give classes and functions of the package the names that they have in the notebook.

    They are the same by their content; where they live is what an export changes.
    """
    modules = {name for name in sys.modules if name == package or name.startswith(f"{package}.")}
    # A function that stands in a section has the section's name before its own.
    sections = sorted(sys.modules[package].run.__code__.co_names)
    for value in gc.get_objects():
        # What stands for another object may do anything when it is asked for its class.
        if issubclass(type(value), type | types.FunctionType) and value.__module__ in modules:
            value.__module__ = "__main__"
            first, inside, own = value.__qualname__.partition(".<locals>.")
            if inside and first in sections:
                value.__qualname__ = own


if __name__ == "__main__":
    main()
