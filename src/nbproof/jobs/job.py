"""A job as data: what runs, with which resources, how often it is tried again, and what it must leave behind."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..errors import JobInvalid
from ..records import Resources as Resources

# In a command this stands for the folder that an element works in; it is empty when the element starts.
WORK = "{work}"
# And this for the Python that the element itself runs on, which another machine may have elsewhere.
PYTHON = "{python}"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KIND = re.compile(r"[A-Za-z0-9_.-]+")
_SIZES = {
    "": 1,
    "m": 1,
    "mb": 1,
    "mib": 1,
    "g": 1024,
    "gb": 1024,
    "gib": 1024,
    "t": 1024**2,
    "tb": 1024**2,
    "tib": 1024**2,
}
_TIMES = {"s": 1, "": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_MOST_ELEMENTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked of an engine.

    `command` runs once for each of `elements`, with that element's arguments behind it; a job without an array has one
    element without arguments. Of them at most `at_once` run at the same time (None: as many as there is room for). Each
    starts in `folder` and works in a folder of its own, which its command is told as `{work}`; what it leaves there
    becomes its results once it has ended well and all `outputs` (paths in that folder) are there. An element that fails
    is tried `retries` more times. `signal_s` seconds before its time is over it is sent SIGUSR1, to write a checkpoint.
    It starts once all jobs `after` have ended well.
    """

    name: str
    command: tuple[str, ...]
    folder: str
    resources: Resources = field(default_factory=Resources)
    environment: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    elements: tuple[tuple[str, ...], ...] = ((),)
    is_array: bool = False
    at_once: int | None = None
    retries: int = 0
    signal_s: int | None = None
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise `JobInvalid` with everything that no engine could carry out."""
        problems = list(_problems(self))
        if problems:
            raise JobInvalid(self.name, problems)

    def command_of(self, index: int, work: str) -> tuple[str, ...]:
        """The command of one element, with the folder that it works in and the Python that asks."""
        command = (sys.executable if part == PYTHON else part for part in self.command)
        return tuple(part.replace(WORK, work) for part in (*command, *self.elements[index]))

    def told(self) -> str:
        """The command, as one would type it."""
        return shlex.join(self.command)


def to_json(job: Job) -> dict[str, Any]:
    """A job as JSON holds it."""
    return asdict(job)


def from_json(found: Mapping[str, Any]) -> Job:
    """Read what `to_json` made, after a way through JSON."""
    values = {spec.name: found[spec.name] for spec in fields(Job)}
    return Job(**{
        **values,
        "command": tuple(values["command"]),
        "resources": Resources(**values["resources"]),
        "outputs": tuple(values["outputs"]),
        "elements": tuple(tuple(each) for each in values["elements"]),
        "after": tuple(values["after"]),
    })  # fmt: skip


def memory_mb(text: str) -> int:
    """Megabytes of a text such as `4G`, `512M` or `2048`; raises `ValueError` when it means none.

    >>> memory_mb("4G"), memory_mb("512")
    (4096, 512)
    """
    return _measured(text, _SIZES)


def time_s(text: str) -> int:
    """Seconds of a text such as `90s`, `30min`, `2h` or `1d`; raises `ValueError` when it means none.

    >>> time_s("2h"), time_s("90")
    (7200, 90)
    """
    return _measured(text, _TIMES)


def _measured(text: str, units: Mapping[str, int]) -> int:
    match = re.fullmatch(r"(\d+)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in units or int(match[1]) == 0:
        raise ValueError(text)
    return int(match[1]) * units[match[2]]


def _problems(job: Job) -> list[str]:
    found = []
    needs, size = job.resources, len(job.elements)
    if _NAME.fullmatch(job.name) is None:
        found.append(f"the name {job.name!r}, expected up to 40 of a-z, 0-9 and -")
    if not job.command:
        found.append("no command")
    if not 1 <= size <= _MOST_ELEMENTS or (size > 1 and not job.is_array):
        found.append(f"{size} elements, expected 1 to {_MOST_ELEMENTS}")
    counts = {"cpus": needs.cpus, "memory_mb": needs.memory_mb, "time_s": needs.time_s, "at_once": job.at_once}
    found += [
        f"{name} = {count}, expected at least 1" for name, count in counts.items() if count is not None and count < 1
    ]
    if needs.gpus < 0 or job.retries < 0:
        found.append("less than none")
    if needs.gpu_kind is not None and (not needs.gpus or _KIND.fullmatch(needs.gpu_kind) is None):
        found.append(f"the GPU kind {needs.gpu_kind!r}, expected a name, beside a number of GPUs")
    if job.signal_s is not None and (needs.time_s is None or not 0 < job.signal_s < needs.time_s):
        found.append(f"a signal {job.signal_s} s before the end, expected less than the time that is given")
    found += [f"the variable {name!r}" for name in job.environment if _VARIABLE.fullmatch(name) is None]
    if any("\0" in part or "\n" in part for part in (*job.command, *job.environment.values(), job.folder)):
        found.append("a line break in a command, a folder or a variable")
    return found
