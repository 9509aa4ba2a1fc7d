"""An IPython kernel in two halves: the shell, made in the zygote before any import, and its channels, made in a fork.

What is imported in the zygote so finds the shell that it would find in a kernel, and may hook itself into it; and the
shell, the larger part of a kernel's start, is made once.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
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
# The first number of the versions of ipykernel whose start is known here in all its parts.
KNOWN = 6
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

    if ipykernel.version_info[0] != KNOWN:
        raise Unknown(f"ipykernel {ipykernel.__version__} is not known here, {KNOWN}.x is")
    from jupyter_client.localinterfaces import localhost
    from traitlets.config import Config

    app = _application_class().instance()
    # No history until there is a kernel: it would open a database and start a thread.
    app.update_config(Config({"HistoryManager": {"enabled": False}}))
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
    app.kernel, app.shell = kernel, kernel.shell
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
    from ipykernel.debugger import Debugger, _is_debugpy_available
    from ipykernel.heartbeat import Heartbeat
    from ipykernel.kernelapp import IPKernelApp
    from IPython.core.application import BaseIPythonApplication
    from jupyter_client.session import Session
    from zmq.eventloop.zmqstream import ZMQStream

    class Heart(Heartbeat):
        """Says when it has its port: until then another process might take it."""

        def __init__(self, *arguments: Any) -> None:
            self.has_port = threading.Event()
            super().__init__(*arguments)

        def _bind_socket(self) -> None:
            super()._bind_socket()
            self.has_port.set()

    class Application(IPKernelApp):
        """The kernel application, whose lessee hears where it listens as soon as it does."""

        lease: Any = None

        def initialize_channels(self, argv: list[str]) -> None:
            """What `initialize` does after it has read its configuration, around a kernel that is there."""
            # To read these two takes longer by the parser of all options than all that follows.
            self.connection_file = argv[argv.index("-f") + 1]
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
            self.heartbeat = Heart(zmq.Context(), (self.transport, self.ip, self.hb_port))
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
            kernel, shell = self.kernel, self.kernel.shell
            kernel.session, kernel.ident = self.session, str(uuid.uuid4())
            kernel.shell_stream = ZMQStream(self.shell_socket)
            kernel.control_stream = ZMQStream(self.control_socket, self.control_thread.io_loop)
            kernel.debugpy_stream = ZMQStream(self.debugpy_socket, self.control_thread.io_loop)
            self.control_thread.start()
            kernel.debug_shell_socket, kernel.stdin_socket = self.debug_shell_socket, self.stdin_socket
            kernel.control_thread, kernel.iopub_thread = self.control_thread, self.iopub_thread
            kernel.iopub_socket = self.iopub_socket
            kernel._stdout, kernel._stderr = sys.stdout, sys.stderr
            if _is_debugpy_available:
                kernel.debugger = Debugger(
                    kernel.log, kernel.debugpy_stream, kernel._publish_debug_event, kernel.debug_shell_socket,
                    kernel.session, kernel.debug_just_my_code,
                )  # fmt: skip
            kernel.record_ports({f"{name}_port": port for name, port in self._ports.items()})
            self.displayhook.get_execution_count = lambda: kernel.execution_count
            self._connect_shell(shell)

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
