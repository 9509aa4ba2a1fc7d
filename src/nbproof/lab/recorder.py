"""The recorder: sees to it that every Python kernel of the server is recorded, and tells the pages what was executed.

The record is what the kernels write themselves. Everything here may fail, come late or be switched off without a line
of it being lost: the recorder starts the recording, adds what a kernel cannot know of itself, and reads along.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import settings as settings_file
from ..errors import NbproofError, Unwritable
from ..settings import Settings
from ..track.capture import boot, place
from ..track.capture.place import Level, Place
from ..track.capture.session import Execution, Reader, append, around_line
from ..track.courier import SessionCourier
from .doors import Tell
from .injection import Injection, is_python

ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
PART = "recording"
LOOK_S = 0.25
NAMES_S = 1.0
LOOP_WAIT_S = 10.0
NAME_TRIES, NAME_WAIT_S = 8, 0.003
# A page that misses some of many executions asks for the whole list.
MOST_TOLD = 500
STARTING = "its kernel has not answered yet"


@dataclass(slots=True)
class KernelLife:
    """One life of one kernel, as far as the recorder knows it.

    `path` is the contents path of the notebook (or console) that the kernel runs for, "" if for none. `reason` says why
    nothing is recorded, if so. `closing` says how the life ended, once it has.
    """

    kernel_id: str
    kernel_name: str
    life: int
    path: str
    project: Path
    settings: Settings | None
    level: Level
    place: Place
    reader: Reader
    reason: str | None = None
    injection: Injection | None = None
    is_injected: bool = False
    is_surrounded: bool = False
    is_fresh: bool = True
    closing: tuple[str, float] | None = None
    lock: Any = field(default_factory=threading.Lock)


class Recorder:
    """Records the kernels of one Jupyter server. Methods without a word on it may be called from any thread."""

    def __init__(self, *, root: Path, kernels: Any, sessions: Any, loop: Any, log: Any, tell: Tell) -> None:
        self._root, self._kernels, self._sessions = root.resolve(), kernels, sessions
        self._loop, self._log, self._tell = loop, log, tell
        self._lives: dict[str, KernelLife] = {}
        self._counts: dict[str, int] = {}
        self._paths: dict[str, str] = {}
        self._died: set[str] = set()
        self._unknown: set[str] = set()
        self._ended: deque[KernelLife] = deque()
        self._couriers: dict[Path, SessionCourier] = {}
        self._thread: threading.Thread | None = None
        self._surroundings: ThreadPoolExecutor | None = None

    # In the loop: kernels begin and end

    def listen(self, events: Any) -> None:
        """Follow the kernels of the server from now on, those included that run already. Call it in the loop."""
        events.add_listener(schema_id=ACTIONS, listener=self._hear)
        for kernel_id in self._kernels.list_kernel_ids():
            self._begin(kernel_id, None, is_new=False)

    async def _hear(self, logger: Any, schema_id: str, data: Mapping[str, Any]) -> None:
        kernel_id = data.get("kernel_id")
        if data.get("status") != "success" or kernel_id is None:
            return
        if data["action"] == "start":
            # A restart says so twice, and the second word must find what the first one began: no waiting here.
            known = self._paths.get(kernel_id)
            self._begin(kernel_id, await self._name_of_new(kernel_id) if known is None else known)
        elif data["action"] == "shutdown":
            self._end(kernel_id, "died" if kernel_id in self._died else "shutdown")
            self._died.discard(kernel_id)
        elif data["action"] == "restart" and not self._is_fresh(kernel_id):
            self._end(kernel_id, "restart")
            self._begin(kernel_id, self._paths.get(kernel_id))

    def _is_fresh(self, kernel_id: str) -> bool:
        """Whether the end and the start that a restart is made of have been heard already."""
        life = self._lives.get(kernel_id)
        if life is None or life.life == 1 or not life.is_fresh:
            return False
        life.is_fresh = False
        return True

    async def _name_of_new(self, kernel_id: str) -> str | None:
        """The contents path of a kernel that has just started for a session, which is written a moment later."""
        # The kernel speaks before its server has put it down among the others.
        until = time.monotonic() + LOOP_WAIT_S
        while kernel_id not in self._kernels.list_kernel_ids() and time.monotonic() < until:
            await asyncio.sleep(0.001)
        environment = (getattr(self._kernels.get_kernel(kernel_id), "_launch_args", None) or {}).get("env") or {}
        told = environment.get("JPY_SESSION_NAME")
        if not told:
            return None
        for _ in range(NAME_TRIES):
            with contextlib.suppress(Exception):
                names = await self._names()
                if kernel_id in names:
                    return names[kernel_id]
            await asyncio.sleep(NAME_WAIT_S)
        # What the kernel itself is told: its folder is right, and its name nearly always.
        shown = os.path.relpath(self._root / told, self._root)
        return None if shown.startswith("..") else Path(shown).as_posix()

    def _begin(self, kernel_id: str, path: str | None, *, is_new: bool = True) -> None:
        """A kernel has begun a life: start recording it, if that is wanted. It never keeps the kernel from starting."""
        try:
            manager = self._kernels.get_kernel(kernel_id)
            if not is_python(manager):
                return
            life = self._life(kernel_id, manager, path or "")
            self._paths[kernel_id] = life.path
            self._lives[kernel_id] = life
            if life.life == 1:
                manager.add_restart_callback(functools.partial(self._died.add, kernel_id), "restart")
                manager.add_restart_callback(functools.partial(self._end, kernel_id, "died"), "dead")
            if life.reason is None and life.level != "off":
                self._inject(life, is_new=is_new)
            self._start_looking()
        except Exception:
            self._log.exception("nbproof: kernel %s is not recorded", kernel_id)

    def _life(self, kernel_id: str, manager: Any, path: str) -> KernelLife:
        project, settings, level, reason = self._wanted(path)
        number = self._counts[kernel_id] = self._counts.get(kernel_id, 0) + 1
        where = place.new_place(project, kernel_id, number, time.time())
        return KernelLife(
            kernel_id, manager.kernel_name, number, path, project, settings, level, where, Reader(where.lines), reason
        )

    def _inject(self, life: KernelLife, *, is_new: bool) -> None:
        if life.closing is not None or life.is_injected:
            return
        life.is_injected, life.reason = True, STARTING
        given = boot.Given(life.place, self._notebook(life), life.level, life.kernel_id, life.life, is_new=is_new)
        manager = self._kernels.get_kernel(life.kernel_id)
        life.injection = Injection(manager, given, functools.partial(self._answered, life))

    def _answered(self, life: KernelLife, answer: boot.KernelAnswer | None, reason: str | None) -> None:
        with life.lock:
            life.reason = reason if answer is None else answer.trouble
            if answer is not None and answer.session_id not in (None, life.place.session_id):
                # It was recorded before this server came; its session goes on.
                life.place = Place(life.project, str(answer.session_id))
                life.reader = Reader(life.place.lines)
                place.tell_kernel(life.place, life.level, self._notebook(life))
        if reason is not None:
            self._log.warning("nbproof: kernel %s is not recorded: %s", life.kernel_id, reason)
        self._tell_about(life, [])

    def _end(self, kernel_id: str, how: str) -> None:
        life = self._lives.pop(kernel_id, None)
        if life is None or life.closing is not None:
            return
        life.closing = (how, time.time())
        if life.injection is not None:
            life.injection.close()
        self._ended.append(life)

    # What is wanted of a notebook

    def _wanted(self, path: str) -> tuple[Path, Settings | None, Level, str | None]:
        """The project of a notebook, how much is to be recorded, and why nothing can be, if so."""
        project = self.project_of(path)
        try:
            settings = settings_file.load(project, os.environ)
            chosen = place.chosen(project, self.within(project, path))
        except (NbproofError, OSError) as error:
            # It may have been switched off there: what cannot be read is no permission.
            return project, None, "off", str(error)
        level: Level = chosen or settings.recording
        return project, settings, level, _why_not_written(project) if level != "off" else None

    def project_of(self, path: str) -> Path:
        """The project that a contents path belongs to, whether there is such a file or not."""
        folder = (self._root / path).parent
        try:
            inside = folder.resolve().is_relative_to(self._root) and folder.is_dir()
        except (OSError, ValueError):
            inside = False
        return settings_file.find_project(folder if inside else self._root)

    def within(self, project: Path, path: str) -> str:
        """A contents path as the project says it."""
        return Path(os.path.relpath(self._root / path, project)).as_posix() if path else ""

    def _notebook(self, life: KernelLife) -> str | None:
        return self.within(life.project, life.path) or None

    def switch(self, path: str, level: Level) -> None:
        """Record the notebook `path` in this way from now on; its running kernel hears of it before its next cell."""
        project = self.project_of(path)
        try:
            place.choose(project, self.within(project, path), level)
        except OSError as error:
            raise Unwritable(place.folder(project), error.strerror or str(error)) from error
        for life in self.lives_of(path):
            life.level = level
            if life.is_injected:
                place.tell_kernel(life.place, level, self._notebook(life))
            elif level != "off":
                self._in_loop(self._inject_later(life))
            self._tell_about(life, [])

    async def _inject_later(self, life: KernelLife) -> None:
        self._inject(life, is_new=False)

    def lives_of(self, path: str) -> list[KernelLife]:
        """The kernels that run for a notebook, the newest last."""
        self._refresh_names()
        return [life for life in list(self._lives.values()) if life.path == path]

    def notebook_of(self, kernel_id: str) -> str | None:
        """The contents path that a kernel runs for, as the server knows it now. Not to be called in the loop."""
        found: str | None = self._in_loop(self._names(), {}).get(kernel_id)
        return found

    def level_of(self, path: str) -> tuple[Level, str | None]:
        """How much a notebook without a kernel would be recorded, and why not at all, if so."""
        _, _, level, reason = self._wanted(path)
        return level, reason

    def courier_of(self, project: Path) -> SessionCourier | None:
        """Who carries the sessions of a project to the tracker, if anybody does yet."""
        return self._couriers.get(project)

    # In a thread of its own: what the kernels write is read along

    def _start_looking(self) -> None:
        if self._thread is None:
            self._surroundings = ThreadPoolExecutor(1, "nbproof-around")
            self._thread = threading.Thread(target=self._look, name="nbproof-recorder", daemon=True)
            self._thread.start()
            atexit.register(self._close_all)

    def _look(self) -> None:
        named_at = 0.0
        while True:
            time.sleep(LOOK_S)
            if time.monotonic() > named_at + NAMES_S:
                named_at = time.monotonic()
                self._guarded(self._refresh_names)
            for life in list(self._lives.values()):
                self._guarded(functools.partial(self._read, life))
            while self._ended:
                self._guarded(functools.partial(self._close, self._ended.popleft()))

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:
            # Whatever it was, the next look may be luckier, and the record does not depend on it.
            self._log.warning("nbproof: the recording is not shown: %s", error)

    def _read(self, life: KernelLife) -> None:
        with life.lock:
            if not life.reader.has_news():
                return
            changed = life.reader.read()
        if not changed:
            return
        if not life.is_surrounded:
            life.is_surrounded = True
            assert self._surroundings is not None
            self._surroundings.submit(self._surround, life, keep=False)
        self._tell_about(life, changed)
        self._wake_courier(life)

    def _close(self, life: KernelLife) -> None:
        """Add the last words on a life that has ended."""
        assert life.closing is not None
        how, at = life.closing
        if not life.is_injected or not life.place.lines.exists():
            life.place.control.unlink(missing_ok=True)
            return
        self._surround(life, keep=life.level == "full")
        append(life.place.lines, {"kind": "closed", "by": "server", "how": how, "at": at})
        life.place.control.unlink(missing_ok=True)
        with life.lock:
            changed = life.reader.read()
            session = life.reader.session()
        lost = [each for each in session.executions if each.outcome == "lost"] if session is not None else []
        self._tell_about(life, [*changed, *lost])
        self._wake_courier(life)

    def _close_all(self) -> None:
        """The server ends, and its kernels with it: say so of those that could not say it themselves."""
        for life in [*self._lives.values(), *self._ended]:
            life.closing = life.closing or ("shutdown", time.time())
            self._guarded(functools.partial(self._close, life))

    def _surround(self, life: KernelLife, *, keep: bool) -> None:
        from ..assemble import Project, around

        if life.settings is None:
            return
        notebook = self._root / life.path if life.path else None
        found = around(Project(life.project, life.settings), notebook, life.kernel_name, keep=keep)
        append(life.place.lines, around_line(found))

    def _wake_courier(self, life: KernelLife) -> None:
        if life.settings is None:
            return
        if life.project not in self._couriers:
            self._couriers[life.project] = SessionCourier(life.project, life.settings, pid=os.getpid())
        self._couriers[life.project].wake()

    def _tell_about(self, life: KernelLife, changed: Any) -> None:
        told = [shown(execution) for execution in changed]
        facts = {
            "path": life.path,
            "session": life.place.session_id if life.is_injected else None,
            "level": life.level,
            "is_recording": is_recording(life),
            "reason": why_not(life),
            "ended": life.closing[0] if life.closing is not None else None,
            "executions": told[-MOST_TOLD:],
            "is_cut": len(told) > MOST_TOLD,
        }
        # A loop that has ended has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            self._tell(PART, facts)

    # Names of notebooks, which the server's sessions know

    def _refresh_names(self) -> None:
        names = self._in_loop(self._names(), None)
        self._in_loop(self._sweep(), None)
        if names is None:
            return
        for kernel_id, path in names.items():
            life = self._lives.get(kernel_id)
            if life is not None and path and life.path != path:
                self._rename(life, path)

    def _rename(self, life: KernelLife, path: str) -> None:
        life.path = self._paths[life.kernel_id] = path
        if not life.is_injected:
            return
        notebook = self._notebook(life)
        if life.place.lines.exists():
            append(life.place.lines, {"kind": "renamed", "notebook": notebook, "at": time.time()})
        place.tell_kernel(life.place, life.level, notebook)

    async def _names(self) -> dict[str, str]:
        """The contents path of each kernel; of several, a notebook's."""
        names: dict[str, str] = {}
        for session in await self._sessions.list_sessions():
            kernel_id, is_notebook = session["kernel"]["id"], session["type"] == "notebook"
            if kernel_id not in names or is_notebook:
                names[kernel_id] = str(session["path"]).strip("/")
        return names

    async def _sweep(self) -> None:
        """Meet kernels that came without a word, and miss those that went without one."""
        found = {kernel_id for kernel_id in self._kernels.list_kernel_ids() if kernel_id not in self._counts}
        # Seen twice, it is not one that is just starting and will be announced.
        for kernel_id in found & self._unknown:
            self._counts.setdefault(kernel_id, 0)
            self._begin(kernel_id, (await self._names()).get(kernel_id), is_new=False)
        self._unknown = found
        for kernel_id in set(self._lives) - set(self._kernels.list_kernel_ids()):
            self._end(kernel_id, "died")

    def _in_loop(self, work: Coroutine[Any, Any, Any], otherwise: Any = None) -> Any:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        with contextlib.suppress(TimeoutError, RuntimeError, asyncio.CancelledError):
            return future.result(LOOP_WAIT_S)
        future.cancel()
        return otherwise


def is_recording(life: KernelLife) -> bool:
    """Whether what this kernel runs is being written down."""
    return why_not(life) is None


def why_not(life: KernelLife) -> str | None:
    """Why nothing is written down, if so."""
    if life.level == "off":
        return life.reason if life.settings is None else "it is switched off"
    return life.reason or (None if life.is_injected else STARTING)


def shown(execution: Execution) -> dict[str, Any]:
    """What the page is told of an execution: no code."""
    names = ("exec_id", "number", "cell_id", "count", "code_sha256", "started_at", "seconds", "outcome", "error",
             "parent", "is_quiet")  # fmt: skip
    return {**{name: getattr(execution, name) for name in names}, "runs": list(execution.runs)}


def _why_not_written(project: Path) -> str | None:
    """Why the kernel's lines cannot be written in this project, as far as it can be seen from here."""
    where = place.folder(project)
    while not where.exists() and where != where.parent:
        where = where.parent
    is_fit = where.is_dir() and os.access(where, os.W_OK)
    return None if is_fit else f"nothing can be written in {where}"
