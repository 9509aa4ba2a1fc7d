"""What a process has loaded for a notebook: installed distributions, and modules that lie beside it."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...run.sources.distributions import normalised

_REQUIRED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OWN = "nbproof"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The surroundings of a run.

    `distributions` names, for each top-level module that was loaded, what brought it; `versions` holds these and all
    that they require in turn, `requires` what each of them requires of what is installed; `modules` are the files of
    modules that nothing installed has brought.
    """

    interpreter: str = ""
    python: str = ""
    distributions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)


def loaded_since(before: Collection[str], also: Collection[str]) -> Loaded:
    """Tell what was loaded since `sys.modules` held `before`, and of what was there already the modules of `also`."""
    names = [name for name in list(sys.modules) if name not in before or name.partition(".")[0] in also]
    tops = sorted({name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"__mp_main__"})
    by_top = importlib.metadata.packages_distributions() if tops else {}
    brought = {top: found for top in tops if (found := _distributions(top, by_top))}
    local = dict(_local(name for name in names if name.partition(".")[0] not in brought))
    versions, requires = _with_requirements({name for found in brought.values() for name in found})
    interpreter = f"{platform.python_implementation()} {platform.python_version()} {sys.platform} {platform.machine()}"
    return Loaded(interpreter, platform.python_version(), brought, versions, requires, local)


def _distributions(top: str, by_top: Mapping[str, list[str]]) -> tuple[str, ...]:
    """What brought a top-level module; one that is installed from where it is written is known by its name only."""
    if top in by_top:
        return tuple(sorted({normalised(name) for name in by_top[top]}))
    try:
        return (normalised(importlib.metadata.distribution(top).metadata["Name"]),)
    except importlib.metadata.PackageNotFoundError:
        return (_OWN,) if top == _OWN else ()


def _local(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The files of modules that are neither Python's own nor installed."""
    installed = {Path(place).resolve() for place in (*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix)}
    for name in names:
        file = getattr(sys.modules.get(name), "__file__", None)
        if name in ("__main__", "__mp_main__") or name.partition(".")[0] in sys.stdlib_module_names or not file:
            continue
        path = Path(file).absolute()
        if path.suffix == ".py" and not any(path.is_relative_to(place) for place in installed):
            yield name, str(path)


def _with_requirements(names: Collection[str]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """The versions of distributions and of all that they require, as far as it is installed, and what each requires."""
    versions: dict[str, str] = {}
    requires: dict[str, tuple[str, ...]] = {}
    left = sorted(names)
    while left:
        name = left.pop()
        if name in versions:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        versions[name] = distribution.version
        # What only an extra asks for was not asked for.
        wanted = [match[0] for each in distribution.requires or () if "extra ==" not in each
                  if (match := _REQUIRED.match(each))]  # fmt: skip
        requires[name] = tuple(sorted({normalised(each) for each in wanted}))
        left += requires[name]
    return dict(sorted(versions.items())), dict(sorted(requires.items()))
