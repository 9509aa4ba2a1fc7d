"""The doors of the recorder: what was executed in a notebook, whether it is recorded, and the switch."""

from __future__ import annotations

from typing import Any

from ..errors import RequestInvalid
from ..track.capture.place import LEVELS, Level
from ..track.delivery import count_waiting_of_sessions
from .doors import Asked, Route
from .recorder import Recorder, is_recording, shown, why_not

MOST_SHOWN = 2000


def recording(asked: Asked) -> dict[str, Any]:
    """How the notebook `path` is recorded, and what was executed in its kernel, the newest last."""
    recorder, path = _recorder(asked), _path(asked)
    lives = recorder.lives_of(path)
    found: dict[str, Any] = {"path": path, "session": None, "executions": [], "is_cut": False}
    if not lives:
        level, reason = recorder.level_of(path)
        off = reason or ("it is switched off" if level == "off" else "no Python kernel runs for it")
        return {**found, "level": level, "is_recording": False, "reason": off, "waiting": _waiting(recorder, path)}
    life = lives[-1]
    with life.lock:
        session = life.reader.session()
    executions = session.executions if session is not None else ()
    return {
        **found,
        "session": life.place.session_id if life.is_injected else None,
        "level": life.level,
        "is_recording": is_recording(life),
        "reason": why_not(life),
        "executions": [shown(execution) for execution in executions[-MOST_SHOWN:]],
        "is_cut": len(executions) > MOST_SHOWN,
        "waiting": _waiting(recorder, path),
    }


def switch(asked: Asked) -> dict[str, Any]:
    """Record the notebook `path` with the `level` off, metadata or full from now on, in later kernels, too."""
    level = asked.text("level")
    if level not in LEVELS:
        raise RequestInvalid("level", repr(level)[:80], "off, metadata or full")
    chosen: Level = level
    _recorder(asked).switch(_path(asked), chosen)
    return recording(asked)


def _path(asked: Asked) -> str:
    asked.file()
    path = asked.text("path").strip("/")
    if not path:
        raise RequestInvalid("path", "nothing", "the path of a notebook")
    return path


def _recorder(asked: Asked) -> Recorder:
    recorder = asked.server.recorder
    assert isinstance(recorder, Recorder)
    return recorder


def _waiting(recorder: Recorder, path: str) -> dict[str, Any]:
    project = recorder.project_of(path)
    courier = recorder.courier_of(project)
    records = count_waiting_of_sessions(project)
    return {"records": records, "reason": courier.reason if courier is not None and records else None}


ROUTES = (Route("recording", get=recording, post=switch),)
