"""What code touches outside of its own names: files, network, processes, and the state of the process itself."""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
import random
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
_NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"}
_LOOKING_ROUND = {"os.listdir", "os.scandir", "os.chdir"}
_IMPORTING = ("<frozen importlib", f"{Path(importlib.__file__).parent}/", pkgutil.__file__)
_PROCESSES = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty",
              "pty.spawn"}  # fmt: skip
_CHANGING = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate",
             "shutil.rmtree", "shutil.move"}  # fmt: skip


@dataclass(slots=True)
class Touched:
    """One cell's doings. Paths are absolute.

    `read` are files that were read before they were written, and folders that were listed or gone into; `beside` are
    those that were named by the way from the folder in which the notebook runs.
    """

    read: set[str] = field(default_factory=set)
    beside: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    network: set[str] = field(default_factory=set)
    processes: set[str] = field(default_factory=set)


class Watch:
    """An audit hook, which once added stays; it notes while `current` is set.

    It sees what passes through Python: a library in C that opens a file by itself is not seen.
    """

    def __init__(self) -> None:
        self.current: Touched | None = None
        self._home = Path.cwd()
        # Libraries are read by importing them; nobody asks for these files.
        places: list[str | Path] = [sys.prefix, sys.base_prefix, "/proc", "/sys", "/dev", "/usr/share/zoneinfo"]
        # Whoever looks at where a call came from reads the code of this package.
        places += [Path(__file__).parents[2]]
        # Some lie in the user's own folder, or are led to by a `.pth` file.
        places += [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
        # matplotlib keeps a list of fonts; whoever draws first writes it.
        places += [Path.home() / ".cache/matplotlib", Path.home() / ".config/matplotlib"]
        # IPython remembers there what was typed, whoever asks it for its shell.
        places += [Path.home() / ".ipython", Path.home() / ".jupyter", Path(os.environ.get("IPYTHONDIR", "/proc"))]
        self._hidden = tuple({f"{Path(place).resolve()}/" for place in places})
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        touched = self.current
        if touched is None:
            return
        if event == "open":
            self._note_open(touched, *arguments)
        elif event == "sqlite3.connect":
            # It opens its files past Python.
            self._note_open(touched, arguments[0], None, os.O_RDONLY if Path(str(arguments[0])).is_file() else _WRITING)
        elif event in _LOOKING_ROUND:
            self._note_folder(touched, arguments[0] if arguments else None)
        elif event in _NETWORK:
            # Names are looked up by their first argument; what is connected to is the second.
            place = arguments[0] if event == "socket.getaddrinfo" else arguments[1] if len(arguments) > 1 else ""
            touched.network.add(f"{event} {place}"[:200])
        elif event in _PROCESSES:
            touched.processes.add(str(arguments[0] if arguments else event)[:200])
        elif event in _CHANGING:
            for path in arguments[:2]:
                if isinstance(path, str | bytes | os.PathLike):
                    place = self._absolute(path)
                    touched.written |= set() if f"{place}/".startswith(self._hidden) else {place}

    def _note_open(self, touched: Touched, path: Any, mode: Any, flags: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        place = self._absolute(path)
        if f"{place}/".startswith(self._hidden) or place.endswith((".pyc", ".so")):
            return
        is_writing = bool(mode and set(str(mode)) & set("wax+")) or bool(isinstance(flags, int) and flags & _WRITING)
        # Whoever adds to a file, or changes it in place, depends on what was in it.
        is_kept = isinstance(flags, int) and not flags & os.O_TRUNC and Path(place).is_file()
        is_reading = not is_writing or is_kept
        if is_reading and place not in touched.written:
            self._note_read(touched, path, place)
        if is_writing:
            touched.written.add(place)

    def _note_folder(self, touched: Touched, path: Any) -> None:
        # Whoever imports, or asks which packages there are, looks round in every folder of modules, the working one
        # among them; that is none of the notebook's own doing.
        caller = sys._getframe(2).f_code.co_filename
        if isinstance(path, int) or caller.startswith(_IMPORTING):
            return
        place = self._absolute(path or ".")
        if not f"{place}/".startswith(self._hidden):
            self._note_read(touched, path or ".", place)

    def _note_read(self, touched: Touched, path: Any, place: str) -> None:
        touched.read.add(place)
        # Whoever has gone elsewhere by an absolute path names the way from there.
        if not Path(os.fsdecode(path)).is_absolute() and self._home.is_relative_to(Path.cwd()):
            touched.beside.add(place)

    @staticmethod
    def _absolute(path: Any) -> str:
        # The name as it was given, not where a link leads: that is what the code depends on.
        return os.path.abspath(os.fsdecode(path))  # noqa: PTH100


def _hashed(value: Any) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()


def _numpy_random() -> Any:
    name, keys, *rest = sys.modules["numpy"].random.get_state()
    return name, keys.tobytes(), rest


def _torch_random() -> Any:
    return sys.modules["torch"].get_rng_state().numpy().tobytes()


def _pandas_options() -> Any:
    pandas = sys.modules["pandas"]
    # An option is named in full, or pandas looks for all that fit.
    return [(name, repr(pandas.get_option(name))) for name in sorted(pandas._config.config._registered_options)]


# Each state of the process that a cell may change and a later one may feel; libraries count once they are loaded.
_STATES: dict[str, tuple[str, Callable[[], Any]]] = {
    "environment variables": ("os", lambda: sorted(os.environ.items())),
    "working folder": ("os", lambda: str(Path.cwd())),
    "sys.path": ("sys", lambda: list(sys.path)),
    "random": ("random", random.getstate),
    "numpy.random": ("numpy", _numpy_random),
    "torch random": ("torch", _torch_random),
    "warnings": ("warnings", lambda: [tuple(map(str, item)) for item in warnings.filters]),
    "numpy options": ("numpy", lambda: sorted(map(repr, sys.modules["numpy"].get_printoptions().items()))),
    "numpy errors": ("numpy", lambda: sorted(sys.modules["numpy"].geterr().items())),
    "pandas options": ("pandas", _pandas_options),
    "matplotlib settings": ("matplotlib", lambda: sorted(map(repr, sys.modules["matplotlib"].rcParams.items()))),
}


def states() -> dict[str, str]:
    """A hash of each state of the process, by the name that people know it by."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found["warnings"] = ""
        for name, (module, ask) in _STATES.items():
            if module in sys.modules and name != "warnings":
                found[name] = _hashed(ask())
    found["warnings"] = _hashed(_STATES["warnings"][1]())
    return found
