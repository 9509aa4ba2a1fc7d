"""One process of a service: it answers at a socket that it was given, until it is told to end, and loses no request."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NbproofError
from . import telling
from .app import Ways, served
from .keys import Keys
from .options import Options
from .package import of_contents
from .process import STOP_S
from .source import find
from .states import identity

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

# How long whoever holds a connection may take to send one more request over it, and to hear that it is the last.
DRAIN_S = 5.0
POLL_S = 0.02
# How long the head of a first request may take to arrive.
HEAD_S, SWEEP_S = 10.0, 1.0
HANDLED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD}


def serve(options: Options, bound: socket.socket, *, lease_fd: int | None = None, ready_fd: int | None = None) -> int:
    """Serve until SIGTERM, or SIGUSR1, which lets connections end by themselves; SIGHUP loads what is there now.

    The process ends with whoever holds the other end of `lease_fd`; who it serves is written to `ready_fd` once it is
    ready. Returns the exit code; raises `NbproofError` where the model may not be served.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    source = find(options.model, uri=options.registry)
    package = of_contents(source.contents())
    app = served(package, source, options.admission, ways_of(options))
    # What may not be served is told here, where nobody has connected yet.
    app.state.stage.load(package)
    server = _server(app)
    if lease_fd is not None:
        threading.Thread(target=_end_with_lease, args=(lease_fd,), daemon=True).start()
    with _signals(app, server):
        server.run_ready(bound, lambda: _tell_ready(app, ready_fd))
    return 0 if server.started else 1


def ways_of(options: Options) -> Ways:
    """How a service goes about its work, by its options."""
    return Ways(
        bounds=options.bounds,
        batching=options.batching,
        keys=None if options.keys is None else Keys(Path(options.keys)),
        provider=options.provider,
        log=None if options.log is None else Path(options.log),
        log_share=options.log_share,
        follow=options.follow,
        explains=options.explains,
        check_s=options.check_s,
        tell=telling.tell,
        told=telling.told if options.tells_requests else None,
    )


def _server(app: FastAPI) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        """A server that says when it answers."""

        def run_ready(self, bound: socket.socket, ready: Callable[[], None]) -> None:
            self._ready = ready
            self.run(sockets=[bound])

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started and not self.should_exit:
                self._sweeping = asyncio.create_task(_swept(self))
                self._ready()

    return Server(
        uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            lifespan="on",
            server_header=False,
            # A client that keeps a connection closes it itself; one that is cut off here may be sending.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(STOP_S) - 2,
        )
    )


def _tell_ready(app: FastAPI, ready_fd: int | None) -> None:
    if ready_fd is None:
        return
    line = json.dumps(identity(app.state.stage.current()).model_dump()).encode() + b"\n"
    os.write(ready_fd, line)
    os.close(ready_fd)


@contextmanager
def _signals(app: FastAPI, server: uvicorn.Server) -> Iterator[None]:
    """SIGHUP loads what is there now, SIGUSR1 ends the process when its connections have ended."""

    def swap(*_: Any) -> None:
        threading.Thread(target=_swap, args=(app,), name="nbproof-swap", daemon=True).start()

    def drain(*_: Any) -> None:
        app.state.is_draining = True
        asyncio.get_event_loop().create_task(_drained(server))

    before = {signal.SIGHUP: signal.signal(signal.SIGHUP, swap), signal.SIGUSR1: signal.signal(signal.SIGUSR1, drain)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _swap(app: FastAPI) -> None:
    try:
        app.state.stage.load()
    except NbproofError as error:
        telling.tell("not swapped", str(error))


async def _swept(server: uvicorn.Server) -> None:
    """Close connections over which no request has come in time: whoever holds thousands of them holds nothing else."""
    since: dict[Any, float] = {}
    while True:
        await asyncio.sleep(SWEEP_S)
        now = asyncio.get_running_loop().time()
        silent = [each for each in server.server_state.connections if getattr(each, "cycle", None) is None]
        since = {each: since.get(each, now) for each in silent}
        for each, begun in since.items():
            if now - begun > HEAD_S:
                each.transport.close()


async def _drained(server: uvicorn.Server) -> None:
    """Take no further connections, wait until those that there are have ended, then end."""
    for each in server.servers:
        each.close()
    until = asyncio.get_running_loop().time() + DRAIN_S
    while server.server_state.connections and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(POLL_S)
    server.should_exit = True


def _end_with_lease(lease_fd: int) -> None:
    """Wait until the writing end is closed, which the kernel does even for a starter that was killed."""
    os.read(lease_fd, 1)
    signal.raise_signal(signal.SIGTERM)
    # A request that never ends must not keep an orphan alive.
    threading.Event().wait(STOP_S)
    os._exit(1)
