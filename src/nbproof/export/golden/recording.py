"""Records a whole run of a package: what each of its steps takes and does, and some calls of its other functions."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

# What a step is called with is kept longer than what it gives, so that it can be called again.
LONGEST_TAKEN = 8_000_000
# The tests of a package are no store of data.
MOST_BYTES = 24_000_000
# Of a function, so many calls are looked at, and so many that differ are kept.
LOOKED_AT, KEPT = 60, 4
LONGEST_CALL = 50_000
LIBRARIES = ("matplotlib", "numpy", "pandas", "torch")


def record(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run the package once, and write what was seen into the folder of its tests."""
    from .templates._golden.files import Folder
    from .templates._golden.recorded import Recorded, file

    recorded = Path(job["tests"]) / "recorded"
    libraries = tuple(name for name in job["libraries"] if name not in sys.stdlib_module_names)
    about = Recorded(
        recorded, job["package"], libraries, tuple(job["steps"]), job["gives"], job["parameters"], job["absent"]
    )
    package, folder = about.made(), Folder(recorded)
    taken: dict[str, Any] = {}
    calls: dict[str, tuple[str, Any, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="nbproof-golden-") as place:
        here = about.furnished(Path(place))
        with contextlib.ExitStack() as stack:
            for function in job["functions"]:
                stack.enter_context(_some_calls(package, function, here, calls))
            for step in job["steps"]:
                take = functools.partial(_keep, taken, step, str(here))
                stack.enter_context(package.heard(step, print, here, take))
            found = package.run(here, about.steps, about.parameters)
        if "raises" in found["results"]:
            sys.exit(found["results"]["raises"])
    for call, told in found.items():
        folder.save(file(call), told)
    for call, (_, _, told) in calls.items():
        folder.save(file(call), told)
    alone = {call: function for call, (function, _, _) in calls.items()} | {step: step for step in about.steps}
    inputs = {call: takes for call, (_, takes, _) in calls.items()} | taken
    kept = {}
    for call in sorted(inputs, key=lambda call: _size(inputs[call])):
        folder.save(f"{file(call)}.takes", inputs[call])
        if _size_of_folder(recorded) > MOST_BYTES:
            (recorded / f"{file(call)}.takes.json").unlink()
            break
        kept[call] = alone[call]
    also = {name for name in LIBRARIES if name in sys.modules} | set(_roots([*inputs.values()]))
    order = {call: kept[call] for call in [*about.steps, *calls] if call in kept}
    libraries = tuple(sorted({*libraries, *also} - {job["package"], "builtins"}))
    replace(about, libraries=libraries, alone=order).write()
    return {"steps": list(found), "calls": list(calls)}


def _keep(taken: dict[str, Any], step: str, here: str, takes: Mapping[str, Any]) -> bool:
    """Note what a step is called with; its call goes on unheard."""
    from .templates._golden.values import Describer

    if step not in taken:
        taken[step] = Describer(here, longest=LONGEST_TAKEN).of(dict(takes))
    return False


@contextlib.contextmanager
def _some_calls(package: Any, function: str, here: Path, calls: dict[str, tuple[str, Any, Any]]) -> Iterator[None]:
    """While the block runs, the first calls of a function that differ from one another are noted."""
    from .templates._golden.values import Describer

    looked_at: list[str] = []
    begun: list[Any] = []
    number = 0

    def take(takes: Mapping[str, Any]) -> bool:
        if len(looked_at) >= LOOKED_AT or len(set(looked_at)) >= KEPT:
            return False
        told = Describer(str(here), longest=LONGEST_TAKEN).of(dict(takes))
        if _size(told) > LONGEST_CALL:
            looked_at.append(looked_at[0] if looked_at else "")
            return False
        spelt = _spelt(told)
        is_new = spelt not in looked_at
        looked_at.append(spelt)
        if is_new:
            begun.append(told)
        return is_new

    def tell(told: Any) -> None:
        nonlocal number
        number += 1
        calls[f"{function}#{number}"] = (function, begun.pop(), told)

    with package.heard(function, tell, here, take):
        yield


def _spelt(told: Any) -> str:
    return json.dumps(told, default=_hashed, sort_keys=True)


def _hashed(content: Any) -> str:
    """Bytes, or an array."""
    kind, held = ("", content) if isinstance(content, bytes) else (str(content.dtype), content.tobytes())
    return kind + hashlib.sha256(held).hexdigest()


def _size(told: Any) -> int:
    """About how many bytes a described value takes."""
    if isinstance(told, Mapping):
        return sum(len(str(name)) + _size(part) for name, part in told.items())
    if isinstance(told, list):
        return sum(_size(part) for part in told)
    return int(getattr(told, "nbytes", 0)) or len(told if isinstance(told, bytes) else str(told))


def _size_of_folder(folder: Path) -> int:
    return sum(place.stat().st_size for place in folder.iterdir() if place.is_file())


def _roots(told: Any) -> Iterator[str]:
    """The libraries whose classes and functions the recorded values are made of."""
    if isinstance(told, Mapping):
        for name in ("class", "value"):
            if (name == "class" or told.get("is") == "name") and isinstance(told.get(name), str) and "." in told[name]:
                root = told[name].partition(".")[0]
                if root.isidentifier():
                    yield root
        for part in told.values():
            yield from _roots(part)
    elif isinstance(told, list):
        for part in told:
            yield from _roots(part)


def referenced(recorded: Path, names: Collection[str]) -> set[str]:
    """The files beside those of these names that they hold."""
    found: set[str] = set()

    def look(told: Any) -> None:
        if isinstance(told, dict):
            if told.get("is") in ("npy", "bin", "parquet"):
                found.add(told["file"])
            for part in told.values():
                look(part)
        elif isinstance(told, list):
            for part in told:
                look(part)

    for name in names:
        look(json.loads((recorded / name).read_text(encoding="utf-8")))
    return found
