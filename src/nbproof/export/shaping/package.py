"""The files of a package that does what a notebook does: its steps, its results, and `run()`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Literal

from ...notebook.dataflow import bindings
from ...notebook.dataflow import steps as top_level
from ..reading import Reading, Step, title_of
from ..watching.seen import Run
from .cutting import cut
from .flow import Section, by_heading, closed, sections
from .following import followed
from .module import free, module, one_line
from .parameters import Parameters, parameters, without_parameters
from .polishing import polished
from .script import script
from .settings import written
from .standing import Standing, standing
from .stars import resolved
from .tidying import formatted, marked, tidied
from .typechecking import type_checked

Shape = Literal["sections", "one function", "script"]
Origin = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shaped:
    """The modules of a package, by their paths in it, and how they came from the notebook.

    `sections` are the functions that `run()` calls, in their order. `origins[module][i]` is the cell, and the line of
    its plain source, behind line `i` (from 0) of a module; None where the line is the exporter's own. `displaying` are
    the cells in which libraries display something, with their ids, and `showing` those that call `pyplot.show`.
    """

    shape: Shape
    title: str
    modules: Mapping[str, str]
    sections: tuple[Section, ...]
    standing: Standing
    parameters: Parameters
    origins: Mapping[str, tuple[Origin | None, ...]]
    displaying: Mapping[int, str] = field(default_factory=dict)
    showing: Mapping[int, str] = field(default_factory=dict)


def shaped(reading: Reading, run: Run, *, shape: Shape = "sections", checks_types: bool = False) -> Shaped:
    """Write the modules; as "one function" all cells become one; as "script" they stay what they are.

    `run` is one that was watched to its end. What a type checker finds is marked if it `checks_types`, which takes it
    a second, and many where it sees a library for the first time.
    """
    ids = {step.number: step.id for step in reading.steps}
    displaying = {cell.cell: ids[cell.cell] for cell in run.cells if cell.shows_for_others}
    showing = {cell.cell: ids[cell.cell] for cell in run.cells if cell.shows_figures}
    return replace(_shaped(reading, run, shape, checks_types), displaying=displaying, showing=showing)


def _shaped(reading: Reading, run: Run, shape: Shape, checks_types: bool) -> Shaped:
    asked = parameters(reading)
    cells = resolved(list(_cells(reading)), run)
    run = _without_parameters(run, reading, asked)
    found = standing(cells, run, parameters=asked.names)
    groups = [cells]
    if shape == "sections":
        whole = closed(by_heading(cells), found, run, parameters=asked.names)
        groups = cut(whole, found, run, parameters=asked.names)
    parts = sections(groups, found, run, parameters=asked.names)
    title = title_of(reading.document) or _spoken(reading.document.path.stem)
    if shape == "script":
        return _as_script(title, cells, run, asked)
    steps = polished(module(title, cells, parts, found, run, varies=bool(asked.names)), parts, run, asked)
    modules = _modules(_entrance(title, parts, found, run, steps.text, asked), steps.text, asked)
    origins = {"steps.py": steps.origins}
    if found.prologue.settings:
        lines = list(written(found.prologue, {cell.number: cell.source for cell in cells}))
        before = "".join(f"{text}\n" for text, _ in lines)
        modules["_settings.py"] = tidied(before)
        origins["_settings.py"] = followed(before, [origin for _, origin in lines], modules["_settings.py"])
    if checks_types:
        checked = type_checked(modules)
        origins = {name: followed(modules[name], told, checked[name]) for name, told in origins.items()}
        modules = checked
    return Shaped(shape, title, modules, tuple(parts), found, asked, origins)


def _modules(entrance: str, steps: str, asked: Parameters) -> dict[str, str]:
    modules = {"__init__.py": entrance, **{name: _template(name) for name in ("_results.py", "_surroundings.py")}}
    if asked.module:
        modules |= {"_checking.py": _template("_checking.py"), "_contract.py": asked.module}
    return {name: tidied(text) for name, text in modules.items()} | {"steps.py": steps}


def _as_script(title: str, cells: Sequence[Step], run: Run, asked: Parameters) -> Shaped:
    steps = script(title, cells, run, varies=bool(asked.names))
    taken = set(asked.names)
    results, keep, names, runner = (free(name, taken) for name in ("results", "keep", "names", "run_script"))
    # What only other values of the parameters bind is kept where it is bound.
    bound = bindings(top_level({cell.number: cell.tree for cell in cells})) if asked.names else {}
    others = [name for name, made in bound.items() if any(each.kind == "variable" for each in made)]
    kept = list(dict.fromkeys(name for name in (*run.values, *others) if not name.startswith("_")))
    given = "".join(f", {name}={name}" for name in asked.names)
    call = f'{runner}(f"{{__name__}}.steps"{given})'
    body = [call]
    if kept:
        listed = "".join(f"{name!r}, " for name in kept).rstrip()
        body = [f"{names} = {call}", f"{keep}(**{{name: {names}[name] for name in ({listed}) if name in {names}}})"]
    imports = {"_results": ["Results", "collecting", *([_named("keep", keep)] if kept else [])],
               "_script": [_named("run_script", runner)]}  # fmt: skip
    entrance = _entered(title, body, asked, imports, results)
    # Nothing of it is put into another order: in a script imports stand where they take effect.
    text = marked(formatted(steps.text))
    modules = {**_modules(entrance, text, asked), "_script.py": tidied(_template("_script.py"))}
    return Shaped(
        "script", title, modules, (), Standing(), asked, {"steps.py": followed(steps.text, steps.origins, text)}
    )


def _spoken(stem: str) -> str:
    """The name of a file as a title: without the number that it is sorted by."""
    return re.sub(r"^\d+[_-]+", "", stem).replace("_", " ").replace("-", " ").strip() or stem


def _template(name: str) -> str:
    return resources.files("nbproof.export").joinpath("templates", name).read_text(encoding="utf-8")


def _cells(reading: Reading) -> Iterator[Step]:
    """The cells that become code of the package: of the one that declares parameters, only what it imports."""
    for step in reading.steps:
        kept = without_parameters(step) if step is reading.parameters_cell else step
        if kept is not None:
            yield kept


def _without_parameters(run: Run, reading: Reading, asked: Parameters) -> Run:
    """The run as if nobody but the caller had given the parameters their values."""
    declaring = reading.parameters_cell
    if declaring is None:
        return run
    return replace(
        run,
        cells=tuple(
            replace(cell, binds=tuple(name for name in cell.binds if name not in asked.names))
            if cell.cell == declaring.number else cell
            for cell in run.cells
        ),
    )  # fmt: skip


def _entrance(title: str, parts: Sequence[Section], found: Standing, run: Run, steps: str, asked: Parameters) -> str:
    """The module that users import: it loads nothing before `run()` is called."""
    taken = {*found.names, *asked.names, *(name for cell in run.cells for name in cell.binds)}
    steps_name, results, keep, checked = (free(name, taken) for name in ("steps", "results", "keep", "checked"))
    prepare = free("prepare", taken)
    is_waiting = any(f"async def {part.name}(" in steps for part in parts)
    finals = {name for name in run.values if not name.startswith("_")}
    # What a section has left behind itself is the last word on it.
    flowing = {name for part in parts for name in part.gives} | set(asked.names)
    flowing = flowing & finals - {name for part in parts for name in (*part.leaves, *part.perhaps)}
    kept = [f"{name}={name}" for name in run.values if name in flowing]
    # Whoever changes a result changes no later run.
    for each in found.constants:
        if each.name in finals:
            value = f"{steps_name}.{each.name}"
            kept.append(f"{each.name}={each.copied}({value})" if each.copied else f"{each.name}={value}")
    body = []
    for part in parts:
        call = f"{steps_name}.{part.name}({', '.join(part.takes)})"
        if f"async def {part.name}(" in steps:
            call = f"asyncio.run({call})"
        body.append(f"{', '.join(part.gives)} = {call}" if part.gives else call)
    if kept:
        body.append(f"{keep}({', '.join(kept)})")
    helpers = {"_results": ["Results", "collecting", *([_named("keep", keep)] if kept else [])]}
    if found.prologue.settings:
        helpers["_settings"] = [_named("prepare", prepare)]
    before = [f"{prepare}()"] if found.prologue.settings else []
    body = [*before, f"from . import {_named('steps', steps_name)}", "", *(body or ["pass"])]
    return _entered(title, body, asked, helpers, results, checked=checked, is_waiting=is_waiting)


def _entered(
    title: str,
    body: Sequence[str],
    asked: Parameters,
    helpers: Mapping[str, Sequence[str]],
    results: str,
    *,
    checked: str = "checked",
    is_waiting: bool = False,
) -> str:
    constants = [*asked.constants, *([_named("checked", checked)] if asked.taken else [])]
    for_types = asked.imports(for_types=True)
    lines = [
        one_line(title),
        "",
        "from __future__ import annotations",
        "",
        *(["import asyncio"] if is_waiting else []),
        *_imported(asked.imports(for_types=False)),
        *(["from typing import TYPE_CHECKING"] if for_types else []),
        "",
        *([f"from ._contract import {', '.join(sorted(constants))}"] if constants else []),
        *(f"from .{module_name} import {', '.join(names)}" for module_name, names in helpers.items()),
        *(["", "if TYPE_CHECKING:", *(f"    {line}" for line in _imported(for_types))] if for_types else []),
        "",
        "",
        *_signature(asked),
        '    """Do what the notebook does, from its first cell to its last."""',
        *_check(asked, checked),
        f"    with collecting() as {results}:",
        *(f"        {line}" for line in body),
        f"    return {results}",
    ]
    return "\n".join(lines) + "\n"


def _imported(names: Mapping[str, set[str]]) -> Iterator[str]:
    for module_name in sorted(names):
        yield f"from {module_name} import {', '.join(sorted(names[module_name]))}"


def _signature(asked: Parameters) -> list[str]:
    if not asked.taken:
        return ["def run() -> Results:"]
    each = [
        f"    {one.name}: {one.annotation}" + ("" if one.default is None else f" = {one.default}")
        for one in asked.taken
    ]
    return ["def run(", "    *,", *(f"{line}," for line in each), ") -> Results:"]


def _check(asked: Parameters, checked: str) -> list[str]:
    """Every value is checked before anything runs."""
    if not asked.taken:
        return []
    names = f"{', '.join(asked.names)}," if len(asked.names) == 1 else ", ".join(asked.names)
    given = ", ".join(f'"{name}": {name}' for name in asked.names)
    return [f"    {names} = {checked}({{{given}}}).values()"]


def _named(name: str, own: str) -> str:
    return name if name == own else f"{name} as {own}"
