"""Recording where no server of ours starts it, in VS Code say: `%load_ext nbproof.track.recording` in the kernel."""

from __future__ import annotations

import os
import sys
import time
import types
import uuid
from pathlib import Path
from typing import Any

from ..settings import find_project, load
from .capture import boot
from .capture.place import Level, chosen, new_place
from .courier import SessionCourier

MODULE = "_nbproof_capture"


def load_ipython_extension(shell: Any) -> None:
    """Start recording in this very kernel, as the settings of its project say, and deliver as long as it lives.

    In a kernel that is recorded already, nothing changes.
    """
    if MODULE in sys.modules:
        return
    notebook = _notebook_of(shell)
    project = find_project(notebook or Path.cwd())
    settings = load(project, os.environ)
    shown = os.path.relpath(notebook, project) if notebook else None
    level: Level = (chosen(project, shown) if shown else None) or settings.recording
    if level == "off":
        return
    place = new_place(project, uuid.uuid4().hex, 1, time.time())
    module = types.ModuleType(MODULE)
    exec(compile(boot.source(), "<nbproof: recording>", "exec"), module.__dict__)  # noqa: S102
    sys.modules[MODULE] = module
    module.begin(boot.Given(place, shown, level, place.session_id, 1, how="extension", is_new=False).to_dict())
    SessionCourier(project, settings, pid=os.getpid(), stays=True).wake()


def _notebook_of(shell: Any) -> Path | None:
    """The notebook of this kernel, where the front end tells its name: VS Code and Jupyter do."""
    told = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return Path(str(told)) if told else None
