"""Warm processes: forked from a zygote that has imported what they import, started when there is none yet.

A zygote serves one user, one interpreter, one set of imports, and those of its environment's variables that native
libraries read; it is found by its socket in a folder that only its user can enter. See `zygote/` for what runs there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ...files import write_atomically
from .zygote import title, wire
from .zygote.child import SHOWN

RUNTIME_VARIABLE = "NBPROOF_RUNTIME"
IDLE_VARIABLE = "NBPROOF_WARM_IDLE_S"
IDLE_S = 900.0
START_S = 120.0
ANSWER_S = 60.0
LISTEN_S = 60.0
# For how long a zygote that could not be is not tried again.
REFUSED_S = 600.0
LONGEST_SOCKET = 90
# How often a request may be turned down and asked again in another way.
TRIES = 6
HERE = Path(__file__).parent / "zygote"

# What the interpreter, its memory and its loader read when they start.
_EARLY = (
    "PYTHON", "LD_", "LC_", "LANG", "TZ", "MALLOC_", "GLIBC_", "MIMALLOC_", "VIRTUAL_ENV", "CONDA_", "HOME",
    # What the kernel's software reads when it is imported, which is not watched.
    "IPYTHON", "JUPYTER_ALLOW_INSECURE_WRITES", "JUPYTER_PLATFORM_DIRS", "JUPYTER_USE_PROGRAMDATA", "PYDEVD_", "PYZMQ_",
    "TORNADO_", "TRAITLETS_",
)  # fmt: skip
# What native libraries read when they are loaded; the zygote itself sees which variables Python code reads.
_NATIVE = (
    "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "NUMEXPR_",
    "VECLIB_", "ARROW_", "CUDA_", "NVIDIA_", "NCCL_", "HIP_", "HSA_", "ROCR_",
    "XLA_", "TF_", "TORCH_", "PYTORCH_", "OPENSSL_",
)  # fmt: skip
_LIMITS = tuple(name for name in dir(resource) if name.startswith("RLIMIT_"))

Kind = Literal["kernel", "worker"]


class NotWarm(Exception):
    """No warm process can be had, and why; the caller starts an ordinary one."""


class _Unloadable(NotWarm):
    """A module cannot be imported ahead; without it there may be a zygote."""

    def __init__(self, module: str, reason: str) -> None:
        self.module = module
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a zygote must be: its interpreter with its flags, and what it has imported, in this order.

    `variables` were set in its environment, over those of whoever asks, while it did that.
    """

    kind: Kind
    python: str
    flags: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def without(self, module: str) -> Wanted:
        """The same, but without importing `module` or anything that comes after it, since that may need it."""
        kept = tuple(name for name in self.imports if name.split(".")[0] != module.split(".")[0])
        return replace(self, imports=kept)


class Forked:
    """A process that was forked for us: like `subprocess.Popen`, as far as that is asked for.

    It says its exit status itself when it leaves in good order, else its zygote says it; when that has died, too, the
    status is not known, and -SIGKILL stands for it.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, handle: int, lease: socket.socket) -> None:
        self.pid, self.handle, self._lease = pid, handle, lease
        self.returncode: int | None = None
        self.peak_kib = 0
        self.brought: tuple[str, ...] = ()
        self.said: list[dict[str, Any]] = []

    @property
    def files(self) -> tuple[int, int]:
        """What becomes readable when the process says something, or ends."""
        return self._lease.fileno(), self.handle

    def hear(self, timeout_s: float) -> dict[str, Any] | None:
        """The next thing that the process says of itself; None when it ended without a further word.

        Raises TimeoutError when it says nothing for so long.
        """
        if self.said:
            return self.said.pop(0)
        deadline = time.monotonic() + timeout_s
        while self.returncode is None:
            ready = _readable(self.files, max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            if self._lease.fileno() in ready:
                self._take()
                if self.said:
                    return self.said.pop(0)
            else:
                self.poll()
        return None

    def poll(self) -> int | None:
        """The exit status, or None while it lives."""
        while self.returncode is None and _readable((self.files[0],), 0.0):
            self._take()
        if self.returncode is None and _readable((self.handle,), 0.0):
            # It has ended; its zygote says how as soon as it has looked.
            while self.returncode is None:
                if _readable((self.files[0],), 1.0):
                    self._take()
                else:
                    self.returncode = -signal.SIGKILL
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises `subprocess.TimeoutExpired`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not _readable(self.files, left):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Give the process up: if it still lives, it is ended."""
        self._lease.close()
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1
        if self.returncode is None:
            self.returncode = -signal.SIGKILL

    def _take(self) -> None:
        try:
            message, files = wire.receive(self._lease)
        except (OSError, ValueError):
            message, files = None, []
        wire.close(files)
        if message is None:
            # The other end is open as long as the process lives: only its end can bring this.
            self.returncode = -signal.SIGKILL
        elif "exit" in message:
            self.peak_kib = message.get("peak_kib", 0)
            self.brought = tuple(message.get("brought", ()))
            self.returncode = int(message["exit"])
        else:
            self.said.append(message)


def _readable(files: Sequence[int], timeout_s: float | None) -> list[int]:
    """Which of `files` can be read, or have been closed at their other end, within `timeout_s` (None: wait)."""
    # Unlike `select`, this takes the many files that a large server has open.
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    return [file for file, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)]


def fork(
    wanted: Wanted, request: Mapping[str, Any], environ: Mapping[str, str], cwd: Path, files: Sequence[int] = ()
) -> Forked:
    """Fork a process from the zygote that `wanted` describes, which is started if there is none.

    `files` become its standard input, output and error. Raises `NotWarm`.
    """
    _check_platform()
    message = {
        **request, **_surroundings(), "ask": "fork", "env": dict(environ), "variables": dict(wanted.variables),
        "cwd": str(cwd.resolve()),
    }  # fmt: skip
    asking = _Asking(wanted, message, {**environ, **wanted.variables}, files)
    for _ in range(TRIES):
        answer, connection = asking.ask()
        if connection is not None:
            return Forked(answer["pid"], answer["handle"], connection)
        if "phantoms" in answer:
            raise NotWarm(f"it uses {', '.join(answer['phantoms'])} before anything that it imports brings it")
        if "differs" in answer:
            # What was imported looked at these variables, and they are others here: that is another zygote.
            asking.seen = {name: asking.environ.get(name) for name in answer["differs"]}
            asking.cwd = cwd.resolve() if answer["elsewhere"] else Path("/")
        elif "module" in answer:
            asking.wanted = asking.wanted.without(answer["module"])
        # Else it was stale and has stopped listening: the next one has imported what is there now.
    raise NotWarm(f"its zygote answers {answer}")


def is_ready(wanted: Wanted, environ: Mapping[str, str]) -> bool:
    """Whether the zygote that `wanted` describes is there, so that a fork takes no longer than a fork."""
    _check_platform()
    return _place(wanted, {**environ, **wanted.variables}, [{}, "/"]).exists()


def prepare(wanted: Wanted, environ: Mapping[str, str]) -> None:
    """Start the zygote that `wanted` describes, if there is none, and wait for it. Raises `NotWarm`."""
    _check_platform()
    _Asking(wanted, {"ask": "about"}, {**environ, **wanted.variables}, ()).ask()


def zygotes() -> list[dict[str, Any]]:
    """What each zygote of this user says of itself."""
    found = []
    with contextlib.suppress(NotWarm):
        for place in sorted(runtime_folder().glob("*.sock")):
            connection = _connect(place)
            if connection is not None:
                with connection, contextlib.suppress(OSError, ValueError):
                    wire.send(connection, {"ask": "about"})
                    answer, _ = wire.receive(connection)
                    if answer is not None:
                        found.append(answer)
    return found


def refusals() -> list[str]:
    """Why zygotes could not be, lately, in words; not which modules they did without."""
    notes = (_refused_before(note) for note in sorted(runtime_folder().glob("*.refused")))
    return sorted({note["refused"] for note in notes if note is not None and not note.get("module")})


def runtime_folder() -> Path:
    """The folder of sockets, which only its user can enter. Raises `NotWarm` when somebody else could."""
    named = os.environ.get(RUNTIME_VARIABLE)
    session = os.environ.get("XDG_RUNTIME_DIR")
    folder = (
        Path(named) if named else Path(session, "nbproof") if session
        else Path(tempfile.gettempdir(), f"nbproof-{os.getuid()}")
    )  # fmt: skip
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise NotWarm(f"`{folder}` cannot be made: {error.strerror}") from None
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NotWarm(f"`{folder}` must belong to this user alone, with mode 0700")
    return folder


def check() -> Path:
    """Return the folder where zygotes are to be found. Raises `NotWarm` when none can be on this machine."""
    _check_platform()
    return runtime_folder()


def _check_platform() -> None:
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        raise NotWarm(f"forking after imports is safe on Linux only, and this is {sys.platform}")


@dataclass(slots=True)
class _Asking:
    """A request on its way to the zygote that can fulfil it."""

    wanted: Wanted
    message: Mapping[str, Any]
    environ: Mapping[str, str]
    files: Sequence[int]
    cwd: Path = Path("/")
    seen: Mapping[str, str | None] = field(default_factory=dict)

    def ask(self) -> tuple[dict[str, Any], socket.socket | None]:
        """The answer; when the zygote forked, the connection is the lease of what it forked. Raises `NotWarm`."""
        place = _place(self.wanted, self.environ, [self.seen, str(self.cwd)])
        connection = _connect(place)
        if connection is None:
            try:
                connection = _start(place, self.wanted, self.environ, self.cwd)
            except _Unloadable as error:
                return {"module": error.module}, None
        connection.settimeout(ANSWER_S)
        try:
            wire.send(connection, self.message, self.files)
            answer, handles = wire.receive(connection)
        except (OSError, ValueError) as error:
            connection.close()
            raise NotWarm(f"its zygote does not answer: {error}") from None
        connection.settimeout(None)
        if answer is not None and "pid" in answer and handles:
            return {**answer, "handle": handles[0]}, connection
        connection.close()
        wire.close(handles)
        if answer is None or "pid" in answer:
            raise NotWarm("its zygote ended without an answer")
        return answer, None


def _connect(place: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(place))
    except OSError:
        connection.close()
        return None
    return connection


def _start(place: Path, wanted: Wanted, environ: Mapping[str, str], cwd: Path) -> socket.socket:
    """Start the zygote at `place`, or wait for whoever is starting it. Raises `NotWarm` when it cannot be."""
    with _starting(place):
        connection = _connect(place)
        if connection is not None:
            return connection
        note = place.with_suffix(".refused")
        answer = (
            _refused_before(note)
            or _derive(place, wanted, environ, cwd)
            or _launch(place, wanted, environ, cwd)
        )  # fmt: skip
        if not answer.get("ready"):
            answer.setdefault("refused", f"it ended while it was starting; see {place.with_suffix('.log')}")
            write_atomically(note, json.dumps(answer).encode())
            if answer.get("module"):
                raise _Unloadable(answer["module"], answer["refused"])
            raise NotWarm(answer["refused"])
        connection = _connect(place)
    if connection is None:
        raise NotWarm("its zygote ended as soon as it had started")
    return connection


@contextlib.contextmanager
def _starting(place: Path) -> Iterator[None]:
    """One starter at a time; the system lets go of the lock when the starter dies."""
    try:
        file = os.open(place.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NotWarm(f"`{place.parent}` cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _refused_before(note: Path) -> dict[str, Any] | None:
    """What the last zygote that was started in vain said, if that was not long ago."""
    with contextlib.suppress(OSError, ValueError):
        if time.time() - note.stat().st_mtime < REFUSED_S:
            answer: dict[str, Any] = json.loads(note.read_bytes())
            return answer
    return None


def _derive(place: Path, wanted: Wanted, environ: Mapping[str, str], cwd: Path) -> dict[str, Any] | None:
    """Let the bare zygote of this interpreter fork one that imports further; None where it cannot."""
    if wanted.kind != "kernel" or not wanted.imports:
        return None
    plain = {name: value for name, value in environ.items() if name not in wanted.variables}
    bare = replace(wanted, imports=(), variables={})
    with _pipe() as (reading, writing), place.with_suffix(".log").open("wb") as log:
        message = {
            "ask": "derive", "order": _order(place, wanted, environ), "env": plain, "variables": dict(wanted.variables),
            "cwd": str(cwd),
        }  # fmt: skip
        asking = _Asking(bare, message, environ, (writing, log.fileno()))
        try:
            answer, _ = asking.ask()
        except NotWarm:
            return None
        if "derives" not in answer:
            return None
        os.close(writing)
        return _first_word(reading)


def _launch(place: Path, wanted: Wanted, environ: Mapping[str, str], cwd: Path) -> dict[str, Any]:
    """Start a zygote and wait for its first word."""
    own = {name: value for name, value in environ.items() if not name.startswith(("NBPROOF_", "JPY_", "PYTEST_"))}
    with _pipe() as (reading, writing):
        order = json.dumps({**_order(place, wanted, environ), "ready": writing})
        try:
            with place.with_suffix(".log").open("wb") as log:
                subprocess.run(
                    [wanted.python, *wanted.flags, str(HERE), order, " " * title.ROOM],
                    cwd=cwd,
                    env={**own, **title.room_for(SHOWN)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(writing,),
                    start_new_session=True,
                    check=True,
                    timeout=START_S,
                )
        except (OSError, subprocess.SubprocessError) as error:
            return {"refused": f"`{wanted.python}` does not start: {error}"}
        os.close(writing)
        return _first_word(reading)


def _order(place: Path, wanted: Wanted, environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        "socket": str(place),
        "kind": wanted.kind,
        "imports": wanted.imports,
        "idle_s": float(environ.get(IDLE_VARIABLE, IDLE_S)),
    }


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe; whichever is open still is closed at the end."""
    ends = os.pipe()
    inodes = [os.fstat(end).st_ino for end in ends]
    try:
        yield ends
    finally:
        for end, inode in zip(ends, inodes, strict=True):
            with contextlib.suppress(OSError):
                if os.fstat(end).st_ino == inode:
                    os.close(end)


def _first_word(reading: int) -> dict[str, Any]:
    said, deadline = b"", time.monotonic() + START_S
    while not said.endswith(b"\n"):
        if not _readable((reading,), max(0.0, deadline - time.monotonic())):
            return {"refused": f"it took more than {START_S:g} s to import everything"}
        part = os.read(reading, 65536)
        if not part:
            return {}
        said += part
    answer: dict[str, Any] = json.loads(said)
    return answer


def _place(wanted: Wanted, environ: Mapping[str, str], variant: Any) -> Path:
    """Where the socket of such a zygote is: all that must agree has a part in its name."""
    read = (*_EARLY, *_NATIVE) if wanted.imports else _EARLY
    native = {name: value for name, value in environ.items() if name.startswith(read)}
    parts = [
        wire.PROTOCOL, _own_code(), wanted.kind, str(Path(wanted.python).absolute()), wanted.flags, wanted.imports,
        sorted(native.items()), _confinement(), variant,
    ]  # fmt: skip
    name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]
    place = runtime_folder() / f"{name}.sock"
    if len(str(place)) > LONGEST_SOCKET:
        raise NotWarm(f"`{place.parent}` is too long a path for a socket")
    return place


@lru_cache(maxsize=1)
def _own_code() -> str:
    """The hash of what runs in a zygote: one of another version of ours is another zygote."""
    total = hashlib.sha256()
    for file in sorted(HERE.glob("*.py")):
        total.update(file.read_bytes())
    return total.hexdigest()


@lru_cache(maxsize=1)
def _confinement() -> tuple[str, ...]:
    """The control group and the namespaces of this process: a job must not run outside what it was confined to."""
    found = []
    with contextlib.suppress(OSError):
        found.append(Path("/proc/self/cgroup").read_text())
    for name in ("mnt", "net", "pid", "user", "ipc"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/ns/{name}"))  # noqa: PTH115 (not a path)
    return tuple(found)


def _surroundings() -> dict[str, Any]:
    """What a process has from its parent besides files, environment and folder."""
    mask = os.umask(0)
    os.umask(mask)
    return {
        "umask": mask,
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "cores": sorted(os.sched_getaffinity(0)),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in _LIMITS},
    }
