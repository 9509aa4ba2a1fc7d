"""What a fork does to be as fresh as a new process: its own session, files, environment, folder, limits and chance."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

from . import title, wire
from .loading import Loaded

# What the operating system shows of a process, and processes are found by.
SHOWN = ("NBPROOF_LEASE",)


def live(request: dict[str, Any], files: list[int], lease: socket.socket, loaded: Loaded, app: Any) -> NoReturn:
    """Become what was asked for, live, and leave the process with an exit code."""
    code = 1
    try:
        become_fresh(request, files, loaded)
        if not request.get("tidies_up"):
            end_with(lease)
        run(request, lease, app)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code, lease, loaded)


def run(request: dict[str, Any], lease: socket.socket, app: Any) -> None:
    """Carry out what this child is for: a kernel around `app`, or the function that the request names."""
    if app is not None:
        from . import kernel

        kernel.run(app, request["argv"], lease)
    else:
        module, _, function = request["call"].partition(":")
        getattr(importlib.import_module(module), function)()


def become_fresh(request: dict[str, Any], files: list[int], loaded: Loaded) -> None:
    """Take over from the request all that a new process would have from whoever started it."""
    # First of all: whoever looks for the processes of a task must find this one.
    title.show_variables(request["env"], SHOWN)
    _reset_signals()
    nothing = os.open(os.devnull, os.O_RDONLY)
    move(request["env"], loaded, request["cwd"], [*files[1:3]], stdin=files[0] if files else nothing)
    for file in {nothing, *files}:
        os.close(file)
    os.umask(request["umask"])
    _limit(request)
    sys.argv[:] = request["argv"]
    sys.orig_argv[:] = [sys.executable, *request["title"]]
    title.show_command([sys.executable, *request["title"]])
    _forget_places()
    reseed()


def move(environ: Mapping[str, str], loaded: Loaded, cwd: str, outputs: list[int], *, stdin: int = 0) -> None:
    """Move this process to a session, an environment, a folder and streams of its own."""
    os.setsid()
    for target, source in enumerate([stdin, *outputs]):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(environ)
    for name, value in loaded.variables_set.items():
        # An import set it, as it would have done in the kernel.
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    time.tzset()
    os.chdir(cwd)


def _reset_signals() -> None:
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _limit(request: dict[str, Any]) -> None:
    for name, (soft, hard) in request.get("limits", {}).items():
        with contextlib.suppress(ValueError, OSError, AttributeError):
            resource.setrlimit(getattr(resource, name), (soft, hard))
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setaffinity(0, request["cores"])
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, request["nice"])


def _forget_places() -> None:
    """Forget where the zygote was: what modules remembered when they were imported."""
    here = os.getcwd()
    for module, name, value in (
        ("multiprocessing.process", "ORIGINAL_DIR", here),
        ("rich", "_IMPORT_CWD", here),
        ("tempfile", "tempdir", None),
        ("tempfile", "_name_sequence", None),
    ):
        if module in sys.modules and hasattr(sys.modules[module], name):
            setattr(sys.modules[module], name, value)
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        key = processes.AuthenticationString(os.urandom(32))
        processes.current_process()._config["authkey"] = key


def reseed() -> None:
    """Chance as a new process has it: no two kernels share it, and none repeats that of its zygote."""
    import random

    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None and "numpy.random" in sys.modules:
        numpy.random.seed()
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "default_generator"):
        torch.default_generator.seed()


def end_with(lease: socket.socket) -> None:
    """End this process and its session as soon as whoever leased it has gone, even when the zygote is gone, too."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while lease.recv(1, socket.MSG_PEEK):
                time.sleep(1)
        os.killpg(0, signal.SIGKILL)

    # A cold kernel has a thread without a name for that, so what follows is counted as there.
    thread = threading.Thread(target=watch, daemon=True)
    thread.name = "lease"
    thread.start()


def leave(code: int, lease: socket.socket, loaded: Loaded) -> NoReturn:
    """Do what a process does for its user when it ends, and end without unwinding what is the zygote's.

    The lessee hears of it before the system has taken the memory apart, which takes longer than all else; and hears
    which packages were imported that might have been imported ahead.
    """
    import atexit

    brought = loaded.packages_since()
    shutdown = threading._shutdown  # type: ignore[attr-defined]
    for step in (shutdown, _drop_user_values, atexit._run_exitfuncs, _flush_files):
        with contextlib.suppress(BaseException):
            step()
    with contextlib.suppress(OSError):
        wire.send(lease, {"exit": code & 0xFF, "brought": brought})
    os._exit(code & 0xFF)


def _drop_user_values() -> None:
    """Let go of what `__main__` holds, so that files are closed and finalizers run, as at the end of a process."""
    vars(sys.modules["__main__"]).clear()
    gc.collect()


def _flush_files() -> None:
    """Write out what files still hold back; only what was made after the fork is looked at."""
    for found in gc.get_objects():
        # What stands for another object says so only when it is asked for its class, and may raise then.
        if issubclass(type(found), (io.BufferedWriter, io.TextIOWrapper)):
            with contextlib.suppress(Exception):
                found.flush()
