"""Checks what was recorded in another process, with other hash seeds and threads: what comes out the same is tested.

A step that does the same when it is called by itself needs nothing of the steps before it but what it takes. Where one
does not, the package runs once more as a whole, and what the two runs disagree on is learnt.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .recording import referenced

# What is no record of a call.
_OTHERS = {"steps.json", "command_line.json"}
_AXES = re.compile(r".*\.axes\[\d+\](?=\.)")
# What matplotlib chooses by what is drawn.
_SCALES = ("ticks", "tick labels", "xlim", "ylim")
# Where a record holds what the comparison of notebook and package calls so.
_PARTS = {"value": "keeps", "displayed": "shows"}
VARIES = "two runs differ here by themselves"


def check(job: Mapping[str, Any]) -> dict[str, Any]:
    """Call again what was recorded; write down which calls can be made alone, and what runs disagree on."""
    from .templates._golden.comparing import loosened
    from .templates._golden.files import Folder
    from .templates._golden.recorded import Recorded, file, label
    from .templates._golden.values import unknown

    recorded = Path(job["tests"]) / "recorded"
    about = Recorded.read(recorded)
    folder = Folder(recorded)
    package = about.made()
    again: dict[str, Any] = {}

    def replayed(call: str, function: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="nbproof-golden-") as place:
            takes = folder.load(f"{file(call)}.takes")
            return package.replay(function, takes, about.furnished(Path(place)))

    for call, function in about.alone.items():
        again[call] = replayed(call, function)
        if _is_generator(folder.load(file(call)).get("gives")):
            # A whole run does not go through it for the tests; a call alone does.
            folder.save(file(call), again[call])
            again[call] = replayed(call, function)
    # What an earlier check has learnt stays learnt.
    loose = {step: dict(places) for step, places in about.loose.items()}
    if any(step not in again or about.counted(step, again[step]) for step in about.steps):
        with tempfile.TemporaryDirectory(prefix="nbproof-golden-") as place:
            whole = package.run(about.furnished(Path(place)), about.steps, about.parameters)
        for step, told in whole.items():
            found = loosened(folder.load(file(step)), told, label(step))
            if found:
                loose[step] = _with_scales(_wider(loose.get(step, {}), found))
    for step in (*about.steps, "results"):
        for place, told in _unsteady(folder.load(file(step)), label(step), job["unsteady"]):
            loose[step] = _open(loose.get(step, {}), place, told)
    about = replace(about, loose=loose)
    wrong = {call: about.counted(call, told) for call, told in again.items()}
    alone = {call: function for call, function in about.alone.items() if not wrong[call]}
    not_covered = {f"{label(step)}{at}": VARIES for step, places in loose.items() for at, bound in
                   ((place.removeprefix(label(step)), bound) for place, bound in places.items())
                   if bound is None}  # fmt: skip
    for call in (*about.steps, *(call for call in alone if call not in about.steps)):
        for at, kind, why in unknown(folder.load(file(call)), label(call)):
            not_covered[at] = f"a {kind}: {why}"
    replace(about, alone=alone, not_covered=not_covered).write()
    _sweep(recorded, _OTHERS | {f"{file(call)}.json" for call in (*about.steps, "results", *alone)}
           | {f"{file(call)}.takes.json" for call in alone})  # fmt: skip
    return {
        "alone": list(alone),
        "loose": {step: len(places) for step, places in loose.items()},
        "not_covered": not_covered,
        "not_alone": {label(call): str(told[0]) for call, told in wrong.items() if told and call in about.steps},
    }


def _unsteady(told: Any, at: str, unsteady: Sequence[Sequence[str]]) -> Iterator[tuple[str, Any]]:
    """Places of a record on which two runs of the notebook did not agree, with what is there.

    Figures are told apart by their pixels there, and by their content here: what differs of one is learnt here alone.
    """
    for what, name in unsteady:
        if what == "value" and at == "results":
            within, held = at, told
        elif what in _PARTS and at != "results":
            within, held = f"{at}.{_PARTS[what]}", told.get(_PARTS[what])
        else:
            continue
        key, _, number = name.partition("[")
        values = held.get("keys", {}) if isinstance(held, Mapping) else {}
        if key in values:
            yield f"{within}.{name}", values[key][int(number.rstrip("]"))] if number else values[key]


def _open(loose: Mapping[str, float | None], place: str, told: Any) -> dict[str, float | None]:
    """Let what stands in a place be anything: where it was seen to differ, or all of it, if runs happened to agree."""
    seen = [at for at in loose if at == place or at.startswith((f"{place}.", f"{place}["))]
    # An array tells the first number of its that differs, which is another one each time.
    if not seen or (isinstance(told, Mapping) and told.get("is") == "array"):
        return {**{at: bound for at, bound in loose.items() if at not in seen}, place: None}
    return {**loose, **dict.fromkeys(seen)}


def _with_scales(found: Mapping[str, float | None]) -> dict[str, float | None]:
    """Add the scales of axes on which something lies elsewhere each time: two runs may share them by chance."""
    axes = {match[0] for at in found if (match := _AXES.match(at))}
    return {**found, **{f"{each}.{part}": None for each in axes for part in _SCALES}}


def _wider(one: Mapping[str, float | None], other: Mapping[str, float | None]) -> dict[str, float | None]:
    """How far runs may be apart at each place, by what two checks have learnt; None where nothing can be said."""
    bounds = [(at, bound) for found in (one, other) for at, bound in found.items()]
    nothing = {at for at, bound in bounds if bound is None}
    return {
        at: None if at in nothing else max(bound for place, bound in bounds if place == at and bound is not None)
        for at, _ in bounds
    }


def _is_generator(told: Any) -> bool:
    return isinstance(told, Mapping) and told.get("is") == "unknown" and told.get("class") == "generator"


def _sweep(recorded: Path, names: set[str]) -> None:
    """Remove what no test asks for."""
    used = names | referenced(recorded, names - _OTHERS)
    for place in recorded.iterdir():
        if place.is_file() and place.name not in used:
            place.unlink()
