"""The files of a package that does what a notebook does: its steps, its results, and `run()`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from ..reading import Reading
from ..watching.seen import Run
from .flow import Section, by_heading, closed, sections
from .module import free, module
from .standing import Standing, standing

Shape = Literal["sections", "one function"]
Origin = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shaped:
    """The modules of a package, by their paths in it, and how they came from the notebook.

    `sections` are the functions that `run()` calls, in their order. `origins[module][i]` is the cell, and the line of
    its plain source, behind line `i` (from 0) of a module; None where the line is the exporter's own.
    """

    shape: Shape
    title: str
    modules: Mapping[str, str]
    sections: tuple[Section, ...]
    standing: Standing
    origins: Mapping[str, tuple[Origin | None, ...]]


def shaped(reading: Reading, run: Run, *, shape: Shape = "sections") -> Shaped:
    """Write the modules; as "one function" all cells become one, which changes the least.

    `run` is one that was watched to its end.
    """
    found = standing(reading.steps, run, parameters=())
    groups = [list(reading.steps)] if shape == "one function" else closed(by_heading(reading.steps), found)
    parts = sections(groups, found, run, parameters=())
    title = next((step.title for step in reading.steps if step.title), "") or reading.document.path.stem
    steps = module(title, reading.steps, parts, found, run)
    modules = {
        "__init__.py": _entrance(title, parts, found, run, steps.text),
        **{name: _template(name) for name in ("_results.py", "_surroundings.py")},
        "steps.py": steps.text,
    }
    return Shaped(shape, title, modules, tuple(parts), found, {"steps.py": steps.origins})


def _entrance(title: str, parts: Sequence[Section], found: Standing, run: Run, steps: str) -> str:
    """The module that users import: it loads nothing before `run()` is called."""
    taken = {*found.names, *(name for cell in run.cells for name in cell.binds)}
    steps_name, results, keep = (free(name, taken) for name in ("steps", "results", "keep"))
    is_waiting = any(f"async def {part.name}(" in steps for part in parts)
    finals = {name for name in run.values if not name.startswith("_")}
    flowing = {name for part in parts for name in part.gives} & finals
    kept = [f"{name}={name}" for name in run.values if name in flowing]
    kept += [f"{each.name}={steps_name}.{each.name}" for each in found.constants if each.name in finals]
    body = []
    for part in parts:
        call = f"{steps_name}.{part.name}({', '.join(part.takes)})"
        if f"async def {part.name}(" in steps:
            call = f"asyncio.run({call})"
        body.append(f"{', '.join(part.gives)} = {call}" if part.gives else call)
    if kept:
        body.append(f"{keep}({', '.join(kept)})")
    helpers = ["Results", "collecting", *([_named("keep", keep)] if kept else [])]
    lines = [
        f'"""{title}."""',
        "",
        "from __future__ import annotations",
        "",
        *(["import asyncio", ""] if is_waiting else []),
        f"from ._results import {', '.join(helpers)}",
        "",
        "",
        "def run() -> Results:",
        '    """Do what the notebook does, from its first cell to its last."""',
        f"    with collecting() as {results}:",
        f"        from . import {_named('steps', steps_name)}",
        "",
        *(f"        {line}" for line in body or ["pass"]),
        f"    return {results}",
    ]
    return "\n".join(lines) + "\n"


def _template(name: str) -> str:
    return resources.files("nbproof.export").joinpath("templates", name).read_text(encoding="utf-8")


def _named(name: str, own: str) -> str:
    return name if name == own else f"{name} as {own}"
