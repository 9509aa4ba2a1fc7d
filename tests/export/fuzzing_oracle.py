"""What a notebook leaves in a real IPython shell, and what its package leaves; neither asks the exporter.

Each is called in a process made for it, in the folder that it works in, with a job as JSON on standard input.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import contextlib
import functools
import hashlib
import importlib
import io
import json
import os
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fuzzing_described import Describing


def notebook() -> None:
    """Run the cells of `job["cells"]`, pairs of id and source, in IPython."""
    job = _begun()
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    shell.colors = "nocolor"
    shell.enable_gui = lambda gui=None: None
    shell.ast_node_interactivity = "last_expr"
    shell.displayhook.write_format_data = lambda *arguments, **options: None
    shell.displayhook.write_output_prompt = lambda: None
    shell.displayhook.finish_displayhook = lambda: None
    shown: dict[str, list[Any]] = {}
    figures: dict[str, list[str]] = {}
    current = ""

    def hook(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        shown.setdefault(current, []).append(Describing(is_shown=True).of(value))
        return {}, {}

    shell.displayhook.compute_format_data = hook
    written_in: dict[str, str] = {}
    named = shell.compile.cache

    def cache(*arguments: Any, **options: Any) -> str:
        name: str = named(*arguments, **options)
        written_in[name] = current
        return name

    shell.compile.cache = cache

    def display(*values: Any, **options: Any) -> None:
        # What a function shows belongs to the cell in which it is written.
        cell = written_in.get(sys._getframe(1).f_code.co_filename, current)
        shown.setdefault(cell, []).extend(Describing(is_shown=True).of(value) for value in values)

    import IPython.display

    builtins.display = IPython.display.display = display  # type: ignore[attr-defined]
    shell.user_ns["display"] = display
    # What is shown inline are the figures that a cell draws, which are told by themselves.
    shell.enable_matplotlib = lambda gui=None: (gui, "agg")  # type: ignore[method-assign]
    early: list[str] = []
    if any("matplotlib" in source for _, source in job["cells"]):
        import matplotlib.pyplot as pyplot

        # Inline, what is shown is closed.
        pyplot.show = lambda *arguments, **options: early.extend(_figures())
    error, prints = "", io.StringIO()
    for current, source in job["cells"]:
        with contextlib.redirect_stdout(prints):
            result = shell.run_cell(source, store_history=True)
        failed = result.error_before_exec or result.error_in_exec
        if failed is not None:
            error = f"{type(failed).__name__}: {failed}"
            break
        drawn = [*early, *_figures()]
        early.clear()
        if drawn:
            figures[current] = drawn
    hidden = {*shell.user_ns_hidden, "In", "Out", "get_ipython", "exit", "quit", "open", "display"}
    hidden |= set(_only_imported([source for _, source in job["cells"]], shell.transform_cell))
    values = {name: value for name, value in shell.user_ns.items()
              if name not in hidden and not name.startswith("_") and not _is_code(value)}  # fmt: skip
    _left(job, values, shown, figures, prints.getvalue(), error, "")


def package() -> None:
    """Run the package `job["name"]` twice in one process and one folder: what each run gives."""
    job = _begun()
    sys.path.insert(0, job["parent"])
    name = job["name"]
    made = importlib.import_module(name)
    for output in (job["output"], job["output_again"]):
        prints = io.StringIO()
        with contextlib.redirect_stdout(prints):
            results = made.run(**job.get("parameters", {}))
        shown = {
            cell: [Describing(name, is_shown=True).of(value) for value in values]
            for cell, values in results.displayed.items() if values
        }  # fmt: skip
        figures = {cell: list(drawn) for cell, drawn in results.drawings.items() if drawn}
        _left({**job, "output": output}, dict(results), shown, figures, prints.getvalue(), "", name)
        os.chdir(job["folder"])
        for path in sorted(Path(job["folder"]).rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()


def _begun() -> dict[str, Any]:
    job: dict[str, Any] = json.load(sys.stdin)
    sys.stdin = io.StringIO()
    os.chdir(job["folder"])
    sys.path.insert(0, "")
    os.environ["MPLBACKEND"] = "agg"
    return job


def _only_imported(sources: list[str], transform: Callable[[str], str]) -> Iterator[str]:
    """The names that the notebook has from a module alone: what they hold is the module's, and none of its values."""
    imported: set[str] = set()
    own: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(transform(source))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    # A notebook that fails may not have come so far.
                    if alias.name == "*" and isinstance(node, ast.ImportFrom) and node.module in sys.modules:
                        imported |= set(vars(sys.modules[node.module]))
                    imported.add(alias.asname or alias.name.partition(".")[0])
            elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                own.add(node.id)
    yield from imported - own


def _is_code(value: Any) -> bool:
    return isinstance(
        value,
        types.ModuleType
        | types.FunctionType
        | types.BuiltinFunctionType
        | type
        | __future__._Feature
        | functools._lru_cache_wrapper,
    )


def _figures() -> Iterator[str]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        yield _drawn(pyplot.figure(number))
    pyplot.close("all")


def _drawn(figure: Any) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return hashlib.sha256(bytes(canvas.buffer_rgba())).hexdigest()


def _left(
    job: dict[str, Any], values: dict[str, Any], shown: Any, figures: Any, prints: str, error: str, package: str
) -> None:
    """Write down what was left; names in one order, so that what they share is told alike."""
    describing = Describing(package)
    told = {name: describing.of(values[name]) for name in sorted(values)}
    folder = Path(job["folder"])
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".ipynb"
    }
    found = {"values": told, "shown": shown, "figures": figures, "prints": describing.text(prints), "files": files,
             "error": error}  # fmt: skip
    Path(job["output"]).write_text(json.dumps(found), encoding="utf-8")
