"""An IPython kernel in two halves: the shell, made in the zygote before any import, and its channels, made in a fork.

What is imported in the zygote so finds the shell that it would find in a kernel, and may hook itself into it; and the
shell, the larger part of a kernel's start, is made once.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import logging
import os
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from . import wire
from .loading import Loaded

INLINE = "module://matplotlib_inline.backend_inline"
PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
BEAT_S = 5.0
FLUSH_S = 5.0
# The first numbers of the versions of ipykernel whose start is known here in all its parts.
KNOWN = (6, 7)
HISTORY = "--HistoryManager.hist_file="
CONFIG_FILES = ("ipython_config", "ipython_kernel_config")


class Unknown(Exception):
    """The kernel's own software is another than we know."""


def load() -> None:
    """Import the kernel's software. Raises ImportError."""
    for module in ("ipykernel.kernelapp", "ipykernel.zmqshell", "IPython.core.application", "IPython.lib.pretty"):
        importlib.import_module(module)


@contextlib.contextmanager
def as_in_a_cell(app: Any) -> Iterator[None]:
    """Let what is imported find what it would find in a cell: `get_ipython`, and streams as a kernel has them."""
    streams: list[Any] = [stream for stream in (sys.stdout, sys.stderr) if getattr(stream, "encoding", "") == "utf-8"]
    for stream in streams:
        stream.reconfigure(encoding="UTF-8")
    try:
        with app.shell.builtin_trap:
            yield
    finally:
        for stream in streams:
            stream.reconfigure(encoding="utf-8")


def build(loaded: Loaded) -> Any:
    """Make the application, the kernel and its shell, without channels; note in `loaded` what must stay as it is."""
    from ipykernel import _version as ipykernel

    if ipykernel.version_info[0] not in KNOWN:
        known = " and ".join(f"{major}.x" for major in KNOWN)
        raise Unknown(f"ipykernel {ipykernel.__version__} is not known here, {known} are")
    from jupyter_client.localinterfaces import localhost
    from traitlets.config import Config

    app = _application_class().instance()
    # No history until there is a kernel: it would open a database and start a thread. Libraries know a notebook by the
    # section of the application, which a kernel has because its connection file is an option.
    app.update_config(Config({"HistoryManager": {"enabled": False}, "IPKernelApp": {"connection_file": ""}}))
    app.initialize_configuration([])
    for folder in app.config_file_paths:
        for name in CONFIG_FILES:
            loaded.may_appear(os.path.join(folder, f"{name}.py"), os.path.join(folder, f"{name}.json"))
    # To find out which addresses are those of this machine starts a process.
    localhost()
    app.init_pdb()
    kernel = app.kernel_class.instance(
        parent=app, session=app.session, log=app.log, profile_dir=app.profile_dir, user_ns=app.user_ns
    )
    app.kernel, app.shell, app.thread_run = kernel, kernel.shell, threading.Thread.run
    os.environ.setdefault("MPLBACKEND", INLINE)
    return app


def run(app: Any, argv: list[str], lease: socket.socket) -> None:
    """Be the kernel that `ipykernel_launcher argv…` would have been; tell the lease where it listens."""
    launcher = importlib.util.find_spec(argv[0])
    if launcher is not None and launcher.origin:
        sys.argv[0] = launcher.origin
    app.lease = lease
    app.parent_handle = int(os.environ.get("JPY_PARENT_PID") or 0)
    if _is_plain(argv[1:]):
        app.initialize_channels(argv[1:])
    else:
        # Options may reach every part of a shell: it is made anew, with them.
        _forget_all()
        app = _application_class().instance(parent_handle=app.parent_handle)
        app.lease = lease
        app.initialize(argv[1:])
    app.start()
    # It may be flushing its output still, and would wait long for a channel that is closed when the process ends.
    app.control_thread.stop()
    app.control_thread.join(FLUSH_S)


def _is_plain(options: list[str]) -> bool:
    """Whether there is nothing but the connection file and the file of the history."""
    rest = [option for option in options if not option.startswith(HISTORY)]
    return len(rest) == 2 and rest[0] == "-f"


def _forget_all() -> None:
    import ipykernel.ipkernel
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.zmqshell import ZMQInteractiveShell

    for made in (IPKernelApp, ipykernel.ipkernel.IPythonKernel, ZMQInteractiveShell):
        made.clear_instance()
    ipykernel.ipkernel._comm_manager = None


def _application_class() -> Any:
    import zmq
    from ipykernel.debugger import _is_debugpy_available
    from ipykernel.heartbeat import Heartbeat
    from ipykernel.kernelapp import IPKernelApp
    from IPython.core.application import BaseIPythonApplication
    from jupyter_client.session import Session

    class Heart(Heartbeat):
        """Says when it has its port: until then another process might take it."""

        def __init__(self, *arguments: Any, **keys: Any) -> None:
            self.has_port = threading.Event()
            super().__init__(*arguments, **keys)

        def _bind_socket(self) -> None:
            super()._bind_socket()
            self.has_port.set()

    class Application(IPKernelApp):
        """The kernel application, whose lessee hears where it listens as soon as it does."""

        lease: Any = None
        # What every thread runs first, as it was when the kernel had been made.
        thread_run: Any = None

        def initialize_channels(self, argv: list[str]) -> None:
            """What `initialize` does after it has read its configuration, around a kernel that is there."""
            # To read these two takes longer by the parser of all options than all that follows.
            self.connection_file = self.config.IPKernelApp.connection_file = argv[argv.index("-f") + 1]
            for option in argv:
                if option.startswith(HISTORY):
                    self.config.HistoryManager.hist_file = option.removeprefix(HISTORY)
            # Keys, names and counters of a session are its own.
            self.session = Session(parent=self)
            self.init_connection_file()
            self.init_sockets()
            self.init_heartbeat()
            self.write_connection_file()
            self.log_connection_info()
            self.init_io()
            self.init_signal()
            self._connect_kernel()
            self.init_path()
            self.init_shell()
            self.init_gui_pylab()
            self.init_extensions()
            self.init_code()
            sys.stdout.flush()
            sys.stderr.flush()

        def init_heartbeat(self) -> None:
            self.heartbeat = Heart(zmq.Context(), (self.transport, self.ip, self.hb_port), **_heart_keys(self))
            self.heartbeat.start()
            self.heartbeat.has_port.wait(BEAT_S)
            self.hb_port = self.heartbeat.port

        def write_connection_file(self, **options: Any) -> None:
            super().write_connection_file(**options)
            with contextlib.suppress(OSError):
                wire.send(self.lease, {"listening": {name: getattr(self, name) for name in PORTS}})

        def init_poller(self) -> None:
            """The lease says when the parent has gone."""

        def init_io(self) -> None:
            before = {sys.stdout: "stdout", sys.stderr: "stderr"}
            super().init_io()
            # What logs to a stream took that which was there when it was imported.
            for reference in logging._handlerList:  # type: ignore[attr-defined]
                handler = reference()
                if isinstance(handler, logging.StreamHandler) and handler.stream in before:
                    handler.stream = getattr(sys, before[handler.stream])

        def _connect_kernel(self) -> None:
            """Let ipykernel make streams and threads as its version has them, for the kernel that is there."""
            kernel, usual = self.kernel, self.kernel_class

            class Found(usual):  # type: ignore[misc, valid-type]
                """Hands what a kernel would be made of to the one that is there."""

                @classmethod
                def instance(cls, **parts: Any) -> Any:
                    for name, part in parts.items():
                        setattr(kernel, name, part)
                    return kernel

            self.kernel_class = Found
            self.init_kernel()
            self.kernel_class = usual
            kernel.ident = str(uuid.uuid4())
            kernel._stdout, kernel._stderr = sys.stdout, sys.stderr
            _show_streams(self.thread_run)
            if _is_debugpy_available:
                kernel.debugger = _debugger(kernel)
            self._connect_shell(kernel.shell)

        def _connect_shell(self, shell: Any) -> None:
            for part in (shell.displayhook, shell.display_pub):
                part.session, part.pub_socket = self.session, self.iopub_socket
            shell.displayhook.topic = self.kernel._topic("execute_result")
            shell._orig_sys_module_state.update(stdout=sys.stdout, stderr=sys.stderr, stdin=sys.stdin)
            shell.starting_dir = os.getcwd()
            del self.config.HistoryManager["enabled"]
            shell.config = self.config
            shell.configurables.remove(shell.history_manager)
            shell.init_history()
            shell.init_user_ns()
            session_name = os.environ.get("JPY_SESSION_NAME")
            if session_name:
                shell.user_ns["__session__"] = session_name

        def initialize_configuration(self, argv: list[str]) -> None:
            BaseIPythonApplication.initialize(self, argv)

    # Configuration files and command lines call it by this name.
    Application.__name__ = "IPKernelApp"
    return Application


def _show_streams(thread_run: Any) -> None:
    """Give the kernel's streams to what every thread runs first: before 7, they learn there whose cell a thread is.

    It is a closure, whatever has been wrapped around it since.
    """
    if getattr(thread_run, "__module__", None) != "ipykernel.ipkernel":
        return
    for name, cell in zip(thread_run.__code__.co_freevars, thread_run.__closure__, strict=True):
        if name in ("stdout", "stderr"):
            cell.cell_contents = getattr(sys, name)


def _heart_keys(app: Any) -> dict[str, bytes]:
    """The keys that encrypt the heartbeat as they do the other channels: since 7, and where the lessee made some."""
    names = ("curve_publickey", "curve_secretkey")
    return {name: getattr(app, name) for name in names if getattr(app, name, None) is not None}


def _debugger(kernel: Any) -> Any:
    """The debugger of a kernel that has its streams by now, made of what its version asks for."""
    from ipykernel.debugger import Debugger

    made = getattr(kernel, "debugger_class", Debugger)
    parts = {
        "log": kernel.log, "debugpy_stream": kernel.debugpy_stream, "event_callback": kernel._publish_debug_event,
        "shell_socket": kernel.debug_shell_socket, "session": kernel.session,
        "just_my_code": kernel.debug_just_my_code,
        # Since 7:
        "kernel_modules": getattr(kernel, "_kernel_modules", None),
        "filter_internal_frames": getattr(kernel, "filter_internal_frames", None),
    }  # fmt: skip
    asked = inspect.signature(made).parameters
    return made(**{name: part for name, part in parts.items() if name in asked})
