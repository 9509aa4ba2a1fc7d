"""The text that starts the recording inside a kernel, and what the kernel says to it."""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from .place import Level, Place

ASK = "__import__('sys').modules['_nbproof_capture'].answer()"

# Nothing of this stays in the user's namespace, and no error of it is shown to anybody but the server.
_LOADER = """
import sys, types
module = sys.modules.get("_nbproof_capture")
if module is None:
    module = types.ModuleType("_nbproof_capture")
    exec(compile(SOURCE, "<nbproof: recording>", "exec"), module.__dict__)
    sys.modules["_nbproof_capture"] = module
module.begin(GIVEN)
"""


@dataclass(frozen=True, slots=True)
class Given:
    """What a kernel is told about the session that it records.

    `is_new` says that it has been wanted since the kernel began: cells that were quicker than this text count, too.
    """

    place: Place
    notebook: str | None
    level: Level
    kernel_id: str
    life: int
    how: str = "server"
    is_new: bool = True

    def to_dict(self) -> dict[str, Any]:
        return {
            "session": self.place.session_id,
            "file": str(self.place.lines),
            "control": str(self.place.control),
            "project": str(self.place.project),
            "notebook": self.notebook,
            "level": self.level,
            "kernel_id": self.kernel_id,
            "life": self.life,
            "how": self.how,
            "is_new": self.is_new,
        }


@dataclass(frozen=True, slots=True)
class KernelAnswer:
    """The session that the kernel records (its own, when it recorded before), how much, and what is wrong, if so."""

    session_id: str | None
    level: str
    trouble: str | None


@functools.cache
def source() -> str:
    """The text of the module that records inside the kernel."""
    return files(__package__).joinpath("bootstrap.py").read_text(encoding="utf-8")


def code(given: Given) -> str:
    """One statement, to be executed silently, that starts the recording; sent again, it changes the level only."""
    names = f"{{'SOURCE': {source()!r}, 'GIVEN': {given.to_dict()!r}}}"
    return f"__import__('builtins').exec({_LOADER!r}, {names})"


def request(given: Given) -> dict[str, Any]:
    """The content of the execute request that carries the text: silent, so it counts and shows nothing."""
    return {
        "code": code(given),
        "silent": True,
        "store_history": False,
        "user_expressions": {"nbproof": ASK},
        "allow_stdin": False,
        "stop_on_error": False,
    }


def answer(content: Mapping[str, Any]) -> KernelAnswer:
    """What the kernel said, read from the content of its reply; raises `ValueError` with the reason when it did not."""
    try:
        said = content["user_expressions"]["nbproof"]
        if said.get("status") != "ok":
            raise ValueError(f"{said.get('ename')}: {said.get('evalue')}"[:300])
        found = json.loads(ast.literal_eval(said["data"]["text/plain"]))
        return KernelAnswer(found["session"], str(found["level"]), found["trouble"])
    except (KeyError, TypeError, AttributeError, SyntaxError) as error:
        reason = content.get("evalue") or "the kernel gave no answer"
        raise ValueError(str(reason)[:300]) from error
