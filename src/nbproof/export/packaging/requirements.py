"""What a package needs to be installed: the distributions of the modules that its notebook loaded, as they were."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ...run.sources.distributions import normalised
from ..reading import Reading
from ..watching.loaded import Loaded

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Requirements:
    """`direct` goes into the package, `lock` is all of it; each line as pip reads it. `python` is the run's own."""

    direct: tuple[str, ...]
    lock: tuple[str, ...]
    python: str


def requirements(reading: Reading, loaded: Loaded) -> Requirements:
    """What the notebook imports itself, and what was loaded besides though none of that requires it.

    A library that finds another one installed may well compute with it.
    """
    imported = {normalised(name) for top in tops(reading) for name in loaded.distributions.get(top, ())}
    every = {name for found in loaded.distributions.values() for name in found}
    direct = imported | (every - reachable(imported, loaded.requires))
    asked = {normalised(match[0]): need for need in reading.needs if (match := _NAME.match(need))}
    # What the notebook installs and then does not import is none of the run, and yet was asked for.
    others = tuple(need for name, need in sorted(asked.items()) if name not in loaded.versions)
    lock = reachable(every, loaded.requires) & loaded.versions.keys()
    return Requirements(
        (*_pinned(direct, loaded.versions), *others), tuple(_pinned(lock, loaded.versions)), loaded.python
    )


def tops(reading: Reading) -> set[str]:
    """The top-level modules that the cells import themselves, wherever in them."""
    found = set()
    for step in reading.steps:
        for node in ast.walk(step.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def reachable(names: Iterable[str], requires: Mapping[str, Collection[str]]) -> set[str]:
    """The distributions with all that they require in turn."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += requires.get(name, ())
    return found


def _pinned(names: Iterable[str], versions: Mapping[str, str]) -> Iterable[str]:
    # The part after `+` says who built it; other builds of the same version count as the same.
    return [f"{name}=={versions[name].partition('+')[0]}" for name in sorted(names) if name in versions]
