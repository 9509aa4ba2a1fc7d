"""What records executions inside a kernel: one file, sent as text, that needs nothing but Python's standard library.

The kernel may live in an environment without nbproof, so this file imports nothing of it and is written for Python 3.8.
It becomes the module `_nbproof_capture`. A fault in here must never reach a cell of the user: every door is guarded.
Nothing is written, and no file is made, before the first cell runs.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import itertools
import json
import os
import platform
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1
UNLOGGED = "nolog"
LEVELS = ("off", "metadata", "full")
MOST_WAITING = 10000
LONGEST_MESSAGE = 500
TAG_WAIT_S = 0.5
NONE = -1


class Execution:
    """One cell that runs now."""

    def __init__(
        self, exec_id: str, number: int, info: Any, meta: dict[str, Any], level: str, parent: Execution | None
    ) -> None:
        self.exec_id, self.number, self.info, self.parent = exec_id, number, info, parent
        self.tags = [tag for tag in meta.get("tags") or () if isinstance(tag, str)]
        self.is_unlogged: bool = UNLOGGED in self.tags or (parent is not None and parent.is_unlogged)
        self.cell_id = getattr(info, "cell_id", None) or meta.get("cellId")
        self.level = level
        self.thread = threading.get_ident()
        code = info.raw_cell or ""
        self.code = code
        self.code_sha256 = hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
        self.last_run = _last_run()
        self.runs: list[str] = []
        self.knew_mlflow = "mlflow" in sys.modules
        self.at, self.began = time.time(), time.perf_counter()

    def started(self) -> dict[str, Any]:
        line = {"kind": "started", "exec_id": self.exec_id, "number": self.number, "at": self.at}
        if self.is_unlogged:
            return dict(line, unlogged=True)
        line.update(cell_id=self.cell_id, code_sha256=self.code_sha256, tags=self.tags)
        if self.parent is not None:
            line["parent"] = self.parent.exec_id
        if not self.info.store_history:
            line["is_quiet"] = True
        if self.level == "full":
            line["code"] = self.code
        return line

    def ended(self, result: Any) -> dict[str, Any]:
        line = {"kind": "ended", "exec_id": self.exec_id, "at": time.time()}
        error = _error_of(result)
        line.update(
            seconds=round(time.perf_counter() - self.began, 6),
            outcome="ok" if error is None else "error",
            count=getattr(result, "execution_count", None),
        )
        if error is not None:
            line["error"] = _in_words(error, self.level)
        if self.runs:
            line["runs"] = self.runs
        return line


class Capture:
    """The recording of one life of one kernel."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.pid = 0
        self.level = "off"
        self.notebook: Any = None
        self.file = NONE
        self.trouble: str | None = None
        self.has_said = self.is_open = self.is_cut = self.is_joined = False
        self.waiting: list[bytes] = []
        self.dropped = 0
        self.lock = threading.RLock()
        self.numbers = itertools.count(1)
        self.running: list[Execution] = []
        self.control_seen: Any = None

    # Beginning and end

    def begin(self, given: dict[str, Any], shell: Any) -> None:
        """Start recording, or, where it was started before, take the level that is asked for now."""
        if self.pid and not self.is_ours():
            return
        if not self.pid:
            self.given, self.pid, self.notebook = given, os.getpid(), given["notebook"]
            shell.events.register("pre_run_cell", self.before)
            shell.events.register("post_run_cell", self.after)
            atexit.register(self.close)
            os.register_at_fork(after_in_child=self.forget)
            self.take_level(given["level"])
            self.catch_up(shell)
        self.take_level(given["level"])

    def catch_up(self, shell: Any) -> None:
        """Write that cells ran before this text came: a page that was there first may be quicker, after a restart.

        Nothing but that they ran is written, for they may have been tagged as not to be logged.
        """
        if self.level == "off" or not self.given["is_new"]:
            return
        for count in range(1, shell.execution_count):
            number = next(self.numbers)
            line = {"kind": "started", "exec_id": "%s.%d" % (self.given["session"], number), "number": number}
            self.write(dict(line, at=time.time(), late=True, count=count))

    def forget(self) -> None:
        """In a child of the kernel: nothing that runs here is a cell, and the kernel's lock is the kernel's."""
        # Another thread of the kernel may have held it when the child was made.
        self.lock = threading.RLock()
        if self.file != NONE:
            os.close(self.file)
            self.file = NONE

    def close(self) -> None:
        try:
            if self.is_ours() and self.is_open:
                self.write({"kind": "closed", "by": "kernel", "how": "exit", "at": time.time()})
        except Exception:
            pass

    def is_ours(self) -> bool:
        return self.pid == os.getpid()

    # Cells

    def before(self, info: Any) -> None:
        try:
            self.look_at_control()
            if self.level == "off" or not self.is_ours():
                return
            self.join_mlflow()
            shell = _shell()
            number = next(self.numbers)
            parent = self.current()
            exec_id = "%s.%d" % (self.given["session"], number)
            execution = Execution(exec_id, number, info, _metadata(shell), self.level, parent)
            self.running.append(execution)
            self.write(execution.started())
            execution.began = time.perf_counter()
        except Exception as error:
            self.say(error)

    def after(self, result: Any) -> None:
        try:
            if not self.is_ours():
                return
            execution = self.find(result)
            if execution is None:
                return
            self.running.remove(execution)
            if not execution.is_unlogged:
                self.look_for_runs(execution)
                self.write(execution.ended(result))
        except Exception as error:
            self.say(error)

    def find(self, result: Any) -> Execution | None:
        """The execution that ended; a cell that was cancelled has no result, a cell without code never began."""
        mine = [execution for execution in self.running if execution.thread == threading.get_ident()]
        if result is None:
            return mine[-1] if mine else None
        for execution in reversed(mine):
            if execution.info is getattr(result, "info", None):
                return execution
        return None

    def current(self) -> Execution | None:
        """The execution that this code runs in: of this thread, else the one that began last."""
        mine = [execution for execution in self.running if execution.thread == threading.get_ident()]
        found = mine or self.running
        return found[-1] if found else None

    # Level and name may change while the kernel runs, without a cell of ours: the server writes a small file.

    def look_at_control(self) -> None:
        try:
            state = os.stat(self.given["control"])
        except OSError:
            return
        seen = (state.st_mtime_ns, state.st_ino, state.st_size)
        if seen == self.control_seen:
            return
        try:
            with open(self.given["control"], encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            return
        self.control_seen = seen
        self.notebook = found.get("notebook", self.notebook)
        self.take_level(found.get("level", self.level))

    def take_level(self, level: Any) -> None:
        if level not in LEVELS:
            return
        changed, self.level = level != self.level, level
        if changed and self.is_open:
            self.write({"kind": "level", "level": level, "at": time.time()})

    # Lines

    def write(self, line: dict[str, Any]) -> None:
        """Append one line, with one write; what the disk does not take waits, and is told once."""
        with self.lock:
            self.waiting.append(_spelt(line))
            if len(self.waiting) > MOST_WAITING:
                self.waiting.pop(0)
                self.dropped += 1
            try:
                self.open()
                if self.dropped:
                    self.append(_spelt({"kind": "missed", "lines": self.dropped, "at": time.time()}))
                    self.dropped = 0
                while self.waiting:
                    self.append(self.waiting[0])
                    self.waiting.pop(0)
                self.trouble = None
            except OSError as error:
                self.say(error)

    def open(self) -> None:
        """The file of this session, which nobody else writes under this name; made anew if somebody removed it."""
        if self.file != NONE and not os.fstat(self.file).st_nlink:
            os.close(self.file)
            self.file = NONE
        if self.file == NONE:
            path = self.given["file"]
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
            self.file, self.is_open, self.is_cut = os.open(path, flags, 0o600), False, False
            # The system drops this lock when the kernel dies, however it dies: so the others know whether it lives.
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX)
            except OSError:
                pass
        if not self.is_open:
            self.append(_spelt(self.opened()))
            self.is_open = True

    def opened(self) -> dict[str, Any]:
        line = {name: self.given.get(name) for name in ("session", "kernel_id", "life", "how")}
        line.update(kind="opened", format=FORMAT, notebook=self.notebook, level=self.level, pid=self.pid)
        line.update(python="%s %s" % (platform.python_implementation(), platform.python_version()), at=time.time())
        return line

    def append(self, line: bytes) -> None:
        content = (b"\n" if self.is_cut else b"") + line
        written = os.write(self.file, content)
        # Half a line on a full disk: the next one begins on a line of its own.
        self.is_cut = 0 < written < len(content)
        if written < len(content):
            raise OSError("the disk took a part of a line only")

    def say(self, error: Exception) -> None:
        """Tell the user once, on the error stream of the cell; the cell itself goes on."""
        self.trouble = "%s: %s" % (type(error).__name__, error)
        if self.has_said:
            return
        self.has_said = True
        try:
            sys.stderr.write("nbproof: executions of this notebook cannot be recorded (%s)\n" % self.trouble)
        except Exception:
            pass

    # What else is recorded: what the notebook logs itself, and which runs of MLflow a cell made

    def logged(self, entry: dict[str, Any]) -> bool:
        """One line of `nbproof.track`; False where nothing is recorded. A child of the kernel may call it, too."""
        if self.level == "off" or not self.given:
            return False
        execution = self.current()
        line = {"kind": "logged", "exec_id": execution.exec_id if execution else None, "entry": entry}
        if self.is_ours():
            self.write(line)
            return self.trouble is None
        descriptor = os.open(self.given["file"], os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, _spelt(line))
        finally:
            os.close(descriptor)
        return True

    def tags(self) -> dict[str, str]:
        """The tags of a run of MLflow that begins now; a cell that is not logged gives none."""
        execution = self.current()
        if execution is None or execution.is_unlogged or not self.is_ours():
            return {}
        self.look_for_runs(execution)
        return self.tags_of(execution)

    def tags_of(self, execution: Execution) -> dict[str, str]:
        found = {
            "nbproof.session": self.given["session"],
            "nbproof.exec_id": execution.exec_id,
            "nbproof.code_sha256": execution.code_sha256,
        }
        if execution.cell_id:
            found["nbproof.cell_id"] = str(execution.cell_id)
        if self.notebook:
            found["nbproof.notebook"] = str(self.notebook)
        return found

    def join_mlflow(self) -> None:
        """Where nbproof is not installed, MLflow hears of us by itself only if we tell it that we are here."""
        module = sys.modules.get("mlflow.tracking.context.registry")
        registry = getattr(module, "_run_context_provider_registry", None)
        if self.is_joined or registry is None:
            return
        self.is_joined = True
        if not any(type(provider).__module__.startswith("nbproof.") for provider in registry):
            registry.register(Provider)

    def look_for_runs(self, execution: Execution) -> None:
        if execution.is_unlogged or "mlflow" not in sys.modules:
            return
        for run in (_last_run(), _active_run()):
            if run is not None and run != execution.last_run and run not in execution.runs:
                execution.runs.append(run)
        # MLflow came with this very cell, and read its list of providers before we could be on it.
        if execution.runs and not execution.knew_mlflow and not self.is_joined:
            self.join_mlflow()
            if any(isinstance(provider, Provider) for provider in _registry()):
                tagging = threading.Thread(
                    target=_tag, args=(list(execution.runs), self.tags_of(execution)), daemon=True
                )
                tagging.start()
                tagging.join(TAG_WAIT_S)


class Provider:
    """What MLflow asks for the tags of a new run."""

    def in_context(self) -> bool:
        return bool(tags())

    def tags(self) -> dict[str, str]:
        return tags()


def _tag(runs: list[str], found: dict[str, str]) -> None:
    """Give tags to runs that began without; a tracker that is away is no matter of the cell."""
    try:
        import mlflow
        from mlflow.entities import RunTag

        client = mlflow.MlflowClient()
        for run in runs:
            client.log_batch(run, tags=[RunTag(name, value) for name, value in found.items()])
    except Exception:
        pass


def _registry() -> Any:
    module = sys.modules.get("mlflow.tracking.context.registry")
    return getattr(module, "_run_context_provider_registry", None) or ()


def _fluent(name: str) -> Any:
    found = getattr(sys.modules.get("mlflow.tracking.fluent"), name, None)
    return found.get() if found is not None and hasattr(found, "get") else None


def _last_run() -> Any:
    """The run that ended last in this thread, as MLflow remembers it; no tracker is asked."""
    try:
        return _fluent("_last_active_run_id")
    except Exception:
        return None


def _active_run() -> Any:
    try:
        stack = _fluent("_active_run_stack")
        return stack[-1].info.run_id if stack else None
    except Exception:
        return None


def _spelt(line: dict[str, Any]) -> bytes:
    # ASCII: half a character of a cut line can then never make the next one unreadable.
    return json.dumps(line, allow_nan=False).encode("ascii") + b"\n"


def _shell() -> Any:
    from IPython import get_ipython

    return get_ipython()


def _metadata(shell: Any) -> dict[str, Any]:
    """What the front end says about the cell that is being asked for; it holds the cell's id and tags."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return {}
    get_parent = getattr(kernel, "get_parent", None)
    parent = get_parent() if get_parent is not None else getattr(kernel, "_parent_header", None)
    found = (parent or {}).get("metadata")
    return found if isinstance(found, dict) else {}


def _error_of(result: Any) -> Any:
    if result is None:
        return "cancelled"
    return getattr(result, "error_before_exec", None) or getattr(result, "error_in_exec", None)


def _in_words(error: Any, level: str) -> dict[str, str]:
    if isinstance(error, str):
        return {"type": error}
    found = {"type": type(error).__name__}
    if level == "full":
        found["message"] = str(error)[:LONGEST_MESSAGE]
    return found


CAPTURE = Capture()


def begin(given: dict[str, Any]) -> None:
    """Start recording as `given` says (see `Given` in boot.py)."""
    shell = _shell()
    if shell is not None:
        CAPTURE.begin(given, shell)


def tags() -> dict[str, str]:
    """The tags of the execution under way."""
    try:
        return CAPTURE.tags()
    except Exception:
        return {}


def logged(entry: dict[str, Any]) -> bool:
    """Take down what the notebook logs about itself; False where nothing is recorded."""
    return CAPTURE.logged(entry)


def project() -> Any:
    """The folder of the project that the session belongs to, while it is recorded."""
    return None if CAPTURE.level == "off" else CAPTURE.given.get("project")


def answer() -> str:
    """What the server wants to know after it sent this text."""
    found = {"session": CAPTURE.given.get("session"), "level": CAPTURE.level, "trouble": CAPTURE.trouble}
    return json.dumps(found)
