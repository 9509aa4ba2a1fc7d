"""The zygote itself: it loads, then waits, forks a child for each request, and buries it."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Any, NoReturn

from . import child, kernel, rehearsal, wire
from .loading import Loaded, import_all, note_files, recorded, system_threads, why_not_to_fork

LOOK_S = 5.0
# How long a child may take that tidies up when its lessee has gone.
TIDY_S = 30.0
# How long a zygote lingers whose users' sessions have all ended.
ORPHANED_S = 60.0
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True)
class Order:
    """What a zygote is started to be.

    `socket` is where it will be asked; `kind` says what it forks ("kernel" or "worker"); `imports` are imported in
    their order; after `idle_s` seconds without a child it ends; `ready` is where it says that it is ready, or why not.
    """

    socket: str
    kind: str
    imports: tuple[str, ...]
    idle_s: float
    ready: int

    @classmethod
    def of(cls, found: dict[str, Any], ready: int) -> Order:
        return cls(found["socket"], found["kind"], tuple(found["imports"]), found["idle_s"], ready)


class Zygote:
    """One zygote: what it has loaded, who listens, and which children live."""

    def __init__(self, order: Order, loaded: Loaded, app: Any) -> None:
        self.order, self.loaded, self.app = order, loaded, app
        self.leases: dict[int, socket.socket] = {}
        # Children that see to their own end when their lessee has gone, and until when they must have.
        self.tidy: set[int] = set()
        self.deadlines: dict[int, float] = {}
        self.sessions: set[int] = set()
        self.forks, self.cpu_s = 0, 0.0
        self.used = time.monotonic()
        self.is_listening = True
        self.selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Answer until there is no more reason to live."""
        self.listener = _listen(self.order.socket)
        self.inode = os.stat(self.order.socket).st_ino
        self.woken, self.wake = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(self.wake, False)
        signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.woken, selectors.EVENT_READ)
        _tell(self.order.ready, {"ready": True})
        try:
            while self.is_listening or self.leases:
                self._turn()
        finally:
            self._stop_listening()

    def _turn(self) -> None:
        for key, _ in self.selector.select(LOOK_S):
            if key.fileobj is self.listener:
                self._answer()
            elif isinstance(key.data, int):
                self._end_unless_leased(key.data)
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.woken, 4096)
        self._bury()
        self._end_untidy()
        if self.is_listening and (self._is_unwanted() or not self._owns_socket()):
            self._stop_listening()

    # Answering

    def _answer(self) -> None:
        connection, _ = self.listener.accept()
        has_lease = False
        try:
            connection.settimeout(LOOK_S)
            if self._is_own_user(connection):
                request, files = wire.receive(connection)
                try:
                    has_lease = self._carry_out(request, files, connection)
                finally:
                    wire.close(files)
        except (OSError, ValueError, KeyError, TypeError):
            # Whoever asked is gone or does not speak our language: that is no reason to die.
            traceback.print_exc()
        finally:
            if not has_lease:
                connection.close()

    def _is_own_user(self, connection: socket.socket) -> bool:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, user, _ = _CREDENTIALS.unpack(credentials)
        with contextlib.suppress(OSError):
            self.sessions.add(os.getsid(pid))
        return bool(user == os.getuid())

    def _carry_out(self, request: Any, files: list[int], connection: socket.socket) -> bool:
        """Answer one request; return whether the connection has become the lease of a child."""
        if not isinstance(request, dict):
            return False
        if request["ask"] == "about":
            wire.send(connection, self._about())
            return False
        refusal = self._refusal(request)
        if refusal is not None:
            wire.send(connection, refusal)
            return False
        if request["ask"] == "derive":
            self._derive(request, files, connection)
            return False
        self._fork(request, files, connection)
        return True

    def _refusal(self, request: dict[str, Any]) -> dict[str, Any] | None:
        changed = self.loaded.changed_file()
        if changed is not None:
            self._stop_listening()
            return {"stale": f"{changed} changed"}
        phantoms = self.loaded.phantoms(request.get("uses", {}))
        if phantoms:
            return {"phantoms": phantoms}
        differing = self.loaded.differing_variables({**request["env"], **request.get("variables", {})})
        elsewhere = self.loaded.reads_cwd and request["cwd"] != os.getcwd()
        return {"differs": differing, "elsewhere": elsewhere} if differing or elsewhere else None

    def _about(self) -> dict[str, Any]:
        spent = os.times()
        return {
            "pid": os.getpid(),
            "kind": self.order.kind,
            "imports": list(self.order.imports),
            "forks": self.forks,
            "children": sorted(self.leases),
            "cpu_s": spent.user + spent.system,
            "children_cpu_s": self.cpu_s,
        }

    def _fork(self, request: dict[str, Any], files: list[int], connection: socket.socket) -> None:
        connection.settimeout(None)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._leave_to_child()
            child.live(request, files, connection, self.loaded, self.app)
        self.forks += 1
        self.used = time.monotonic()
        self.leases[pid] = connection
        if request.get("tidies_up"):
            self.tidy.add(pid)
        self.selector.register(connection, selectors.EVENT_READ, pid)
        handle = _handle(pid)
        with contextlib.suppress(OSError):
            wire.send(connection, {"pid": pid}, handle)
        wire.close(handle)

    def _derive(self, request: dict[str, Any], files: list[int], connection: socket.socket) -> None:
        """Fork a zygote that imports further: it shares the memory of this one, and needs no start of its own."""
        wire.send(connection, {"derives": True})
        sys.stdout.flush()
        sys.stderr.flush()
        if os.fork():
            return
        self._leave_to_child()
        connection.close()
        code = 1
        try:
            ready, log = files
            environ = {**request["env"], **request["variables"]}
            child.move(environ, self.loaded, request["cwd"], [log, log])
            os.close(log)
            loaded = self.loaded.further(environ)
            gc.unfreeze()
            code = be(Order.of(request["order"], ready), loaded, self.app)
        except SystemExit:
            pass
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _leave_to_child(self) -> None:
        """Close in a child what is the zygote's; another child's lease must not be held open here."""
        signal.set_wakeup_fd(-1)
        self.listener.close()
        os.close(self.woken)
        os.close(self.wake)
        self.selector.close()
        for lease in self.leases.values():
            lease.close()

    # Children

    def _end_unless_leased(self, pid: int) -> None:
        """End a child, with all of its session, whose lessee has gone."""
        lease = self.leases[pid]
        try:
            if lease.recv(1):
                return
        except OSError:
            pass
        self.selector.unregister(lease)
        if pid in self.tidy:
            self.deadlines[pid] = time.monotonic() + TIDY_S
        else:
            _end_session(pid)

    def _end_untidy(self) -> None:
        for pid, deadline in self.deadlines.items():
            if deadline < time.monotonic():
                _end_session(pid)

    def _bury(self) -> None:
        while True:
            try:
                pid, status, spent = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.used = time.monotonic()
            self.cpu_s += spent.ru_utime + spent.ru_stime
            self.tidy.discard(pid)
            self.deadlines.pop(pid, None)
            lease = self.leases.pop(pid, None)
            if lease is None:
                continue
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(lease)
            with contextlib.suppress(OSError):
                wire.send(
                    lease,
                    {
                        "exit": os.waitstatus_to_exitcode(status),
                        "cpu_s": spent.ru_utime + spent.ru_stime,
                        "peak_kib": spent.ru_maxrss,
                    },
                )
            lease.close()

    # Ending

    def _is_unwanted(self) -> bool:
        """Whether nobody has asked for too long, or everybody who ever did has logged out."""
        if self.leases:
            return False
        idle_s = time.monotonic() - self.used
        return idle_s > self.order.idle_s or (
            idle_s > ORPHANED_S and bool(self.sessions) and not any(_is_running(leader) for leader in self.sessions)
        )

    def _owns_socket(self) -> bool:
        """Whether our socket is still the one at its place; the folder goes when its user's session ends."""
        try:
            return os.stat(self.order.socket).st_ino == self.inode
        except OSError:
            return False

    def _stop_listening(self) -> None:
        if not self.is_listening:
            return
        self.is_listening = False
        if self._owns_socket():
            with contextlib.suppress(OSError):
                os.unlink(self.order.socket)
        self.selector.unregister(self.listener)
        self.listener.close()


def _listen(place: str) -> socket.socket:
    """Listen at `place`, which appears only when we do."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    beside = f"{place}.{os.getpid()}"
    before = os.umask(0o177)
    try:
        listener.bind(beside)
    finally:
        os.umask(before)
    listener.listen(128)
    os.rename(beside, place)
    return listener


def _handle(pid: int) -> list[int]:
    """A file that is readable once the process has ended, where the system has such."""
    try:
        return [os.pidfd_open(pid)]
    except (AttributeError, OSError):
        return []


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _end_session(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def _tell(where: int, answer: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(where, json.dumps(answer).encode() + b"\n")
    os.close(where)


def _refuse(order: Order, reason: str, module: str = "") -> NoReturn:
    _tell(order.ready, {"refused": reason, "module": module})
    sys.exit(1)


def main(text: str) -> None:
    """Load, prepare and serve; what keeps us from it is told to whoever started us."""
    found = json.loads(text)
    order, loaded = Order.of(found, found["ready"]), Loaded()
    app = _kernel(order, loaded) if order.kind == "kernel" else None
    be(order, loaded, app)


def be(order: Order, loaded: Loaded, app: Any) -> int:
    """Import what is ordered, and be a zygote for as long as it is needed."""
    # In a cell there is a shell, and streams that call their encoding so.
    around = kernel.as_in_a_cell(app) if app is not None else contextlib.nullcontext()
    with recorded(loaded), around:
        failed = import_all(order.imports, loaded)
    if failed is None and app is not None:
        rehearsal.prepare(app)
    if failed is not None:
        _refuse(order, f"`{failed[0]}` cannot be imported ahead: {failed[1]}", failed[0])
    note_files(loaded)
    gc.collect()
    gc.freeze()
    reason = why_not_to_fork(system_threads)
    if reason is not None:
        _refuse(order, reason)
    Zygote(order, loaded, app).serve()
    return 0


def _kernel(order: Order, loaded: Loaded) -> Any:
    """The kernel's software first, unwatched: it keeps what it finds of `open` and of the environment."""
    try:
        kernel.load()
        with recorded(loaded):
            return kernel.build(loaded)
    except (ImportError, kernel.Unknown) as error:
        _refuse(order, str(error))
