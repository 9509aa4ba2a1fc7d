"""Import ahead what kernels will import, and learn what that depended on: files, variables, the working directory."""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Stat = tuple[int, int, int]

# Files of installed distributions are looked at again at most once in this time.
RECHECK_S = 1.0
LATE_NS = 20_000_000
_INSTALLED = tuple(
    path for path in sys.path if path.endswith(("site-packages", "dist-packages")) or "/lib/python" in path
)

# Modules that look through the whole environment, and the beginning of the only names that they take from it.
_TAKES_ONLY = {"numba.core.config": "NUMBA_", "tqdm.autonotebook": "SPYDER", "tqdm.utils": "TQDM_"}
# Modules that ask for the working directory and keep no trace of it, or one that each kernel mends (see `fresh`).
_CWD_HARMLESS = {
    "IPython.core.application", "IPython.core.history", "IPython.core.interactiveshell", "inspect", "linecache",
    "multiprocessing.process", "rich", "tempfile", "traitlets.utils",
}  # fmt: skip
# Variables that say who started a kernel, not how it is to behave; each kernel reads its own.
_OWN = {"JPY_INTERRUPT_EVENT", "JPY_PARENT_PID", "JPY_SESSION_NAME", "PYTEST_CURRENT_TEST"}
# Threads whose libraries see to forks themselves: the allocator of pyarrow gives back memory in the background.
_HARMLESS_THREADS = {"jemalloc_bg_thd"}
_PATH_MODULES = {"posixpath", "pathlib", "os", "genericpath"}


@dataclass
class Loaded:
    """What importing ahead led to.

    `variables_read` are the environment variables that were looked at, with the values seen (None: not set), and
    `prefixes_read` beginnings of names that were looked for ("": all); `variables_set` those that an import set or
    (None) removed; `files` every file that was imported or read, as it was before; `reads_cwd` says that an import
    asked for the working directory.
    """

    environ: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    variables_read: dict[str, str | None] = field(default_factory=dict)
    prefixes_read: set[str] = field(default_factory=set)
    variables_set: dict[str, str | None] = field(default_factory=dict)
    files: dict[str, Stat] = field(default_factory=dict)
    reads_cwd: bool = False
    since: dict[str, int] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    known: frozenset[str] = frozenset()
    began_ns: int = field(default_factory=time.time_ns)
    checked: float = 0.0

    def further(self, environ: Mapping[str, str]) -> Loaded:
        """What a fork that imports further begins with, in the environment `environ`."""
        return replace(
            self, environ=dict(environ), variables_read=dict(self.variables_read), files=dict(self.files),
            prefixes_read=set(self.prefixes_read), variables_set=dict(self.variables_set), absent=list(self.absent),
            since=dict(self.since), began_ns=time.time_ns(),
        )  # fmt: skip

    def may_appear(self, *paths: str) -> None:
        """Note configuration files that would be read if they were there."""
        self.absent.extend(path for path in paths if not os.path.exists(path))

    def packages_since(self) -> list[str]:
        """The installed packages that have come since all was loaded."""
        new = {name.split(".")[0] for name in set(sys.modules) - self.known}
        files = ((name, getattr(sys.modules.get(name), "__file__", None)) for name in new - self.known)
        return sorted(name for name, file in files if isinstance(file, str) and "-packages" in file)

    def phantoms(self, uses: Mapping[str, int]) -> list[str]:
        """The modules that a notebook uses after so many imports, though they came with a later one."""
        return [module for module, after in uses.items() if self.since.get(module, 0) > after]

    def differing_variables(self, environ: Mapping[str, str]) -> list[str]:
        """The variables that mattered here and have another value in `environ`, by name."""
        named = {name for name, value in self.variables_read.items() if environ.get(name) != value}
        found = {
            name
            for prefix in self.prefixes_read
            for name in {*self.environ, *environ}
            if name.startswith(prefix) and environ.get(name) != self.environ.get(name)
        }
        return sorted(name for name in (named | found) - _OWN if not name.startswith("NBPROOF_"))

    def changed_file(self) -> str | None:
        """The first file that is no longer what it was when it was loaded, or was not there then.

        Those of installed distributions, which are thousands, are looked at once in `RECHECK_S`; a distribution that
        is installed or removed changes a folder of the search path, and those are looked at each time.
        """
        appeared = next((path for path in self.absent if os.path.exists(path)), None)
        if appeared is not None:
            return appeared
        now = time.monotonic()
        is_due = now - self.checked >= RECHECK_S
        if is_due:
            self.checked = now
        for path, before in self.files.items():
            if (is_due or not _is_installed(path)) and _state(path) != before:
                return path
        return None


def _is_installed(path: str) -> bool:
    return path.endswith((".py", ".pyc", ".so")) and path.startswith(_INSTALLED)


def _state(path: str) -> Stat | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class _Watched(os._Environ):  # type: ignore[type-arg]
    """`os.environ`, remembering which variables were looked at and by which modules all of them were."""

    names: set[str] = set()  # noqa: RUF012 (there is one environment)
    prefixes: set[str] = set()  # noqa: RUF012

    def __getitem__(self, name: str) -> str:
        # Whoever iterates over items says by its own name what it was looking for.
        if sys._getframe(1).f_code.co_name != "__iter__" and isinstance(name, str):
            self.names.add(name)
        return str(super().__getitem__(name))

    def __iter__(self) -> Iterator[str]:
        self.prefixes.add(_TAKES_ONLY.get(_asking_module(), ""))
        return super().__iter__()

    def copy(self) -> dict[str, str]:
        self.prefixes.add(_TAKES_ONLY.get(_asking_module(), ""))
        return super().copy()


def _asking_module() -> str:
    """The module that called the one that asks, passing over the standard library's go-betweens."""
    frame = sys._getframe(2)
    passed = {"collections.abc", *_PATH_MODULES}
    while frame.f_back is not None and frame.f_globals.get("__name__") in passed:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__"))


@contextlib.contextmanager
def recorded(loaded: Loaded) -> Iterator[None]:
    """Record in `loaded` what the code inside depends on and what it does to the environment."""
    plain_environ, plain_getcwd, plain_open = type(os.environ), os.getcwd, builtins.open
    is_on = True

    def getcwd() -> str:
        if is_on and _asking_module() not in _CWD_HARMLESS:
            loaded.reads_cwd = True
        return plain_getcwd()

    @functools.wraps(plain_open)
    def watched_open(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if is_on and not set(mode) & set("wax+") and isinstance(file, (str, os.PathLike)):
            _note(loaded, os.fspath(file))
        return plain_open(file, mode, *rest, **options)

    _Watched.names.clear()
    _Watched.prefixes.clear()
    os.environ.__class__ = _Watched
    os.getcwd = getcwd
    # A module that keeps one of these under a name of its own keeps a plain function with one more call in it.
    builtins.open = io.open = watched_open
    try:
        yield
    finally:
        is_on = False
        os.environ.__class__ = plain_environ
        os.getcwd, builtins.open, io.open = plain_getcwd, plain_open, plain_open
        loaded.variables_read.update({name: loaded.environ.get(name) for name in _Watched.names})
        loaded.prefixes_read.update(_Watched.prefixes)
        now = dict(os.environ)
        loaded.variables_set.update(
            {name: now.get(name) for name in {*loaded.environ, *now} if loaded.environ.get(name) != now.get(name)}
        )


def import_all(modules: Iterable[str], loaded: Loaded) -> tuple[str, str] | None:
    """Import `modules` in their order; return the first that could not be, or leaves a thread, and why.

    An entry `module:function` is imported and then called.
    """
    said = _Said()
    for step, entry in enumerate(modules, 1):
        module, _, function = entry.partition(":")
        before = set(sys.modules)
        try:
            imported = importlib.import_module(module)
            if function:
                getattr(imported, function)()
        except BaseException as error:  # an import may even call sys.exit
            return module, f"{type(error).__name__}: {error}"
        if threading.active_count() > 1:
            return module, "it leaves a thread"
        if said.has_grown():
            # In a kernel this would be output of the cell that imports it.
            return module, "it says something when it is imported"
        loaded.since.update(dict.fromkeys(set(sys.modules) - before, step))
    return None


class _Said:
    """What is written to standard output and error, which are one file; elsewhere nothing can be told."""

    def __init__(self) -> None:
        self.size = self._now()

    def has_grown(self) -> bool:
        before, self.size = self.size, self._now()
        return self.size > before

    def _now(self) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        return os.fstat(2).st_size


def note_files(loaded: Loaded) -> None:
    """Remember the state of the file of every module that is loaded by now, of the interpreter and of the search path.

    What changed since the imports began may not be what was loaded: it counts as changed from the start.
    """
    loaded.known = frozenset(sys.modules)
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str):
            _note(loaded, path)
    for path in [sys.executable, *sys.path]:
        _note(loaded, path)


def _note(loaded: Loaded, path: str | bytes) -> None:
    if isinstance(path, bytes) or path in loaded.files or path.startswith(("/proc/", "/sys/", "/dev/")):
        return
    found = _state(path)
    if found is not None:
        # A clock may tell the time of a file a little late.
        loaded.files[path] = found if found[0] < loaded.began_ns - LATE_NS else (0, 0, 0)


def why_not_to_fork(threads: Callable[[], list[str]]) -> str | None:
    """Why a fork of this process would not be safe: a thread that is left, or CUDA that has begun; None if it is."""
    left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if left:
        return f"an import left the threads {', '.join(sorted(left))}"
    running = [name for name in threads() if name not in _HARMLESS_THREADS]
    if running:
        return f"an import left threads of the system ({', '.join(sorted(set(running)))})"
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        return "an import initialised CUDA"
    return None


def system_threads() -> list[str]:
    """The names of the threads of this process but the first, as the system knows them; none where it does not say."""
    try:
        numbers = os.listdir("/proc/self/task")
    except OSError:
        return []
    names = []
    for number in numbers:
        with contextlib.suppress(OSError), open(f"/proc/self/task/{number}/comm") as file:
            if int(number) != os.getpid():
                names.append(file.read().strip())
    return names
