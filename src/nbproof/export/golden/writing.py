"""Writes the tests of a package: what they compare with is recorded by running it, once it was proven equal."""

from __future__ import annotations

import ast
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ...errors import NotWatched
from ...notebook.shapes import as_json
from ..draft import Draft
from ..equivalence.proving import unsteady_rows
from ..watching.watch import STIRRED, carried_out
from .asking import asked
from .coverage import Coverage

TESTS = "tests"
_HERE, _PYTEST = "nbproof.export.golden", "pytest>=8"
# Other hashes, other leftovers in memory, and as many threads as there are: what holds nevertheless holds anywhere.
# Where chance has a part, two runs often agree by chance: two words of a set stand in one order half of the time. So
# there are more runs until so many in a row have shown nothing new, or it takes too long.
_OTHERWISE = tuple({"PYTHONHASHSEED": str(seed), **STIRRED} for seed in range(1, 25))
_QUIET, _LONG_S = 3, 30.0


def write_tests(draft: Draft, package_folder: Path, *, timeout_s: float | None = None) -> Coverage:
    """Write `tests/` of the package whose folder holds `src/NAME/`; say what they cover.

    The package runs up to twice, in fresh processes, in a copy of the notebook's data.
    """
    source = package_folder / "src"
    name = next(place.parent.name for place in sorted(source.glob("*/__init__.py")))
    tests = package_folder / TESTS
    tests.mkdir(parents=True, exist_ok=True)
    with resources.as_file(resources.files("nbproof.export.golden").joinpath("templates")) as templates:
        shutil.copytree(templates, tests, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    recorded = tests / "recorded"
    shutil.rmtree(recorded, ignore_errors=True)
    recorded.mkdir()
    along = {held.path for held in draft.needed.along}
    steps = tuple(_places(draft, [section.name for section in draft.shaped.sections]))
    job: dict[str, Any] = {
        "source": str(source), "tests": str(tests), "package": name, "steps": steps,
        "functions": list(_places(draft, _functions(draft))), "libraries": sorted(_libraries(draft.files)),
        "gives": {step: section.gives for section in draft.shaped.sections for step in _places(draft, [section.name])},
        "parameters": as_json(dict(draft.parameters)),
        "absent": {held.path: held.digest for held in draft.needed.data if held.path not in along},
        "unsteady": sorted(unsteady_rows(draft.equivalence)),
    }  # fmt: skip
    # What runs here is put in place as it is.
    asking = json.dumps(asked(draft.reading.contract, draft.parameters), indent=1, ensure_ascii=False)
    (recorded / "command_line.json").write_text(asking + "\n", encoding="utf-8")
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", f"{name.upper()}_DATA": str(draft.needed.root)}
    try:
        carried_out(_HERE, {**job, "do": "record"}, timeout_s=timeout_s, environ=environ)
        not_alone: dict[str, str] = {}
        has_chance, began = bool(job["unsteady"]) or _has_sets(source), time.monotonic()
        known: Any = None
        quiet = 0
        for number, steady in enumerate(_OTHERWISE, start=1):
            checked = carried_out(_HERE, {**job, "do": "check"}, timeout_s=timeout_s, environ=environ, steady=steady)
            not_alone |= checked["not_alone"]
            found = checked["loose"], checked["alone"]
            quiet, known = (quiet + 1 if found == known else 0), found
            has_chance = has_chance or bool(checked["loose"])
            is_long = number > _QUIET and time.monotonic() - began > _LONG_S
            if not has_chance or quiet >= _QUIET or is_long:
                break
    except NotWatched as error:
        shutil.rmtree(tests)
        return Coverage(missing={"a whole run": error.reason})
    return Coverage(
        steps,
        tuple(checked["alone"]),
        checked["loose"],
        {**checked["not_covered"], **{f"{step} by itself": why for step, why in not_alone.items()}},
        ("pyarrow", _PYTEST) if list(recorded.glob("*.parquet")) else (_PYTEST,),
    )


def _has_sets(source: Path) -> bool:
    """Whether the package's own code, or a module from beside the notebook, may make a set of texts."""
    texts = [path.read_text("utf-8", "replace") for path in source.rglob("*.py") if _is_of_notebook(path)]
    return any(
        isinstance(node, ast.Set | ast.SetComp) or _names_a_set(node) for text in texts for node in _walked(text)
    )


def _is_of_notebook(path: Path) -> bool:
    return path.name == "steps.py" or "_modules" in path.parts


def _walked(text: str) -> Iterator[ast.AST]:
    try:
        yield from ast.walk(ast.parse(text))
    except SyntaxError:
        return


def _names_a_set(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("set", "frozenset")


def _functions(draft: Draft) -> Iterator[str]:
    """The notebook's own functions: a step may call them."""
    for definition in draft.shaped.standing.definitions:
        if isinstance(definition.node, ast.FunctionDef):
            yield definition.name


def _places(draft: Draft, names: Iterator[str] | list[str]) -> Iterator[str]:
    """Functions as `module:name`."""
    where: dict[str, str] = {}
    for path, text in draft.files.items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                where.setdefault(node.name, path.removesuffix(".py").replace("/", "."))
    for name in names:
        if name in where:
            yield f"{where[name]}:{name}"


def _libraries(modules: Mapping[str, str]) -> set[str]:
    """What the modules of the package import."""
    found: set[str] = set()
    for text in modules.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found
