"""Warm kernels at Jupyter's own seam: a `KernelProvisioner`, so that everything that starts kernels can use them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from jupyter_core.paths import jupyter_runtime_dir
from traitlets import Bool, Dict, List, Unicode

from . import pool
from .pool import Forked, NotWarm, Wanted
from .preload import Preload, preload

NAME = "nbproof-warm"
PRELOAD_VARIABLE = "NBPROOF_PRELOAD"
LAUNCHERS = {"ipykernel", "ipykernel_launcher"}
PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
# A kernel that was asked to end gets this long before the manager sends signals.
POLITE_S = 2.5
# What may come with a start besides files, environment and folder, and means nothing to a fork.
_NEEDLESS = {
    "preexec_fn",
    "kernel_id",
    "extra_arguments",
    "close_fds",
    "start_new_session",
    "independent",
    "kernel_name",
}


class WarmProvisioner(LocalProvisioner):
    """Forks the kernel from a zygote; where none can be had, starts an ordinary kernel and says so once."""

    imports = List(Unicode(), help="the modules that the kernel's zygote has imported").tag(config=True)
    variables = Dict(help="environment variables that were set while it did").tag(config=True)
    uses = Dict(help="modules that must be there after so many imports").tag(config=True)
    is_patient = Bool(False, help="wait until all of that is imported; else begin without, the first time").tag(
        config=True
    )

    # What the kernel imported itself although it might have been imported ahead; known once it has ended.
    brought: tuple[str, ...] = ()

    # An ordinary process, or one of ours that can do the same.
    process: Any
    _asked: dict[str, Any]

    @property
    def is_warm(self) -> bool:
        """Whether the kernel was forked, and not started as usual."""
        return isinstance(self.process, Forked)

    async def pre_launch(self, **options: Any) -> dict[str, Any]:
        """Prepare a start without choosing ports: the kernel takes free ones itself, so no two starts race."""
        self._asked = options.copy()
        manager = self.parent
        if manager is None or manager.transport != "tcp" or manager.shell_port or _makes_keys(manager, options):
            return await super().pre_launch(**options)
        extra = options.pop("extra_arguments", [])
        _write_portless(manager)
        self.connection_info = manager.get_connection_info()
        command = manager.format_kernel_cmd(extra_arguments=extra)
        return await KernelProvisionerBase.pre_launch(self, cmd=command, **options)

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Fork the kernel that `cmd` would start."""
        try:
            ahead = Preload(tuple(self.imports), self.variables, self.uses)
            fork = functools.partial(_fork, cmd, options, ahead, is_patient=self.is_patient)
            self.process, listening = await asyncio.to_thread(fork)
        except NotWarm as reason:
            self._say_once(str(reason))
            return await self._launch_cold()
        self.pid = self.pgid = self.process.pid
        # Since 8, jupyter_client resolves the paths that a kernel names.
        self.cwd = options.get("cwd") or Path.cwd()
        self._adopt(listening)
        return self.connection_info

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Wait for the end of a kernel that was asked to end: it is noticed at once, not at the next look."""
        await self._ended(POLITE_S)

    async def wait(self) -> int | None:
        """Wait for the end, and let go of the process."""
        process = self.process
        await self._ended(None)
        status = await super().wait()
        if isinstance(process, Forked):
            self.brought = process.brought
            process.close()
        return status

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of what is left of the process."""
        if isinstance(self.process, Forked):
            self.process.close()
            self.process = None
        await super().cleanup(restart=restart)

    async def _launch_cold(self) -> Any:
        options = await LocalProvisioner.pre_launch(self, **self._asked)
        return await super().launch_kernel(options.pop("cmd"), **options)

    def _adopt(self, listening: Mapping[str, Any]) -> None:
        """Tell the manager which ports the kernel took."""
        manager = self.parent
        if manager is None:
            self.connection_info = {**self.connection_info, **listening}
            return
        for name in PORTS:
            setattr(manager, name, listening[name])
        manager._connection_file_written = True
        self.connection_info = manager.get_connection_info()

    async def _ended(self, timeout_s: float | None) -> None:
        """Return once the process has ended, or after `timeout_s`."""
        process = self.process
        if process is None or process.poll() is not None:
            return
        with _files(process) as files:
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            for file in files:
                loop.add_reader(file, ended.set)
            try:
                while files and process.poll() is None:
                    ended.clear()
                    await asyncio.wait_for(ended.wait(), timeout_s)
            except TimeoutError:
                return
            finally:
                for file in files:
                    loop.remove_reader(file)

    def _say_once(self, reason: str) -> None:
        if reason not in _said:
            _said.add(reason)
            self.log.warning("this kernel starts cold: %s", reason)


_said: set[str] = set()


@contextlib.contextmanager
def _files(process: Any) -> Iterator[tuple[int, ...]]:
    """Files that become readable when `process` ends; none where the system has no such thing."""
    if isinstance(process, Forked):
        yield process.files
        return
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        yield ()
        return
    try:
        yield (handle,)
    finally:
        os.close(handle)


def _makes_keys(manager: Any, options: Mapping[str, Any]) -> bool:
    """Whether the manager may encrypt the channels, as it can since jupyter_client 8.10: it makes the keys then."""
    return "transport_encryption" in options or getattr(manager, "transport_encryption", "disabled") != "disabled"


def _write_portless(manager: Any) -> None:
    """Write the connection file with the key alone: the kernel adds the ports that it finds free."""
    if not manager.connection_file:
        manager.connection_file = str(Path(jupyter_runtime_dir(), f"kernel-{manager.kernel_id}.json"))
    known = manager.get_connection_info()
    content = {
        **{name: value for name, value in known.items() if name not in PORTS},
        **dict.fromkeys(PORTS, 0),
        "key": known["key"].decode(),
        "kernel_name": manager.kernel_name,
    }
    path = Path(manager.connection_file)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)


def _fork(
    command: list[str], options: Mapping[str, Any], ahead: Preload, *, is_patient: bool
) -> tuple[Forked, dict[str, Any]]:
    """Fork the kernel that `command` would start, and wait until it listens. Raises `NotWarm`."""
    environ = dict(options.get("env") or os.environ)
    if not ahead.modules:
        ahead = _ahead_of(command, environ)
    wanted, argv = _wanted(command, environ, ahead)
    if not is_patient and wanted.imports and not pool.is_ready(wanted, environ):
        # Nobody likes to wait for a kernel: this one begins with nothing ahead, and the next one will not.
        threading.Thread(target=_prepare, args=(wanted, environ), daemon=True).start()
        ahead = Preload()
        wanted, argv = _wanted(command, environ, ahead)
    unknown = {name for name in options if name not in {"env", "cwd", "stdin", "stdout", "stderr", *_NEEDLESS}}
    if unknown or options.get("independent"):
        raise NotWarm(f"it was asked to start with {', '.join(sorted(unknown)) or 'a life of its own'}")
    environ["JPY_PARENT_PID"] = str(os.getpid())
    with contextlib.ExitStack() as stack:
        files = [
            _file(options.get(name), usual, stack) for name, usual in (("stdin", -1), ("stdout", 1), ("stderr", 2))
        ]
        request = {"argv": argv, "title": command[1:], "uses": dict(ahead.uses)}
        process = pool.fork(wanted, request, environ, Path(options.get("cwd") or Path.cwd()), files)
    try:
        said = process.hear(pool.LISTEN_S)
    except TimeoutError:
        process.close()
        raise NotWarm(f"the forked kernel did not listen within {pool.LISTEN_S:g} s") from None
    if said is None:
        status = process.returncode
        process.close()
        raise NotWarm(f"the forked kernel ended with status {status} while it was starting")
    return process, said["listening"]


def _prepare(wanted: Wanted, environ: Mapping[str, str]) -> None:
    with contextlib.suppress(NotWarm):
        pool.prepare(wanted, environ)


def _ahead_of(command: list[str], environ: Mapping[str, str]) -> Preload:
    """What a kernel that somebody else starts may have imported: what is named, or what its notebook imports."""
    named = environ.get(PRELOAD_VARIABLE, "")
    if named.strip():
        return Preload(tuple(name.strip() for name in named.split(",") if name.strip()))
    session = Path(environ.get("JPY_SESSION_NAME", ""))
    # Where other interpreters find their modules is not known here.
    if session.suffix != ".ipynb" or command[0] != sys.executable:
        return Preload()
    try:
        cells = json.loads(session.read_bytes())["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError):
        return Preload()
    return preload(sources, cwd=session.parent, search=[path for path in sys.path if path])


def _wanted(command: list[str], environ: Mapping[str, str], ahead: Preload) -> tuple[Wanted, list[str]]:
    """The zygote that can fork what `command` starts, and the arguments of the kernel. Raises `NotWarm`."""
    module = command.index("-m") if "-m" in command else len(command)
    if module + 1 >= len(command) or command[module + 1] not in LAUNCHERS:
        raise NotWarm(f"`{' '.join(command)}` does not start ipykernel")
    python = shutil.which(command[0], path=environ.get("PATH"))
    if python is None:
        raise NotWarm(f"there is no `{command[0]}`")
    wanted = Wanted("kernel", python, tuple(command[1:module]), ahead.modules, ahead.variables)
    return wanted, command[module + 1 :]


def _file(asked: Any, usual: int, stack: contextlib.ExitStack) -> int:
    """The file descriptor that stands for a standard stream; raises `NotWarm` for a pipe."""
    if asked is None and usual >= 0:
        return usual
    if asked is None or asked == subprocess.DEVNULL:
        nothing = os.open(os.devnull, os.O_RDWR)
        stack.callback(os.close, nothing)
        return nothing
    if isinstance(asked, int) and asked < 0:
        raise NotWarm("it was asked to talk through pipes")
    return asked if isinstance(asked, int) else int(asked.fileno())
