"""`python -m nbproof.serve FOLDER`: serve one packaged model until told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from ..errors import NbproofError
from .app import application
from .process import STOP_S, listening, refuse_public


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes or the lease ends; return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        with _bound(asked) as bound:
            return _serve(asked.folder, bound, asked.lease_fd)
    except NbproofError as error:
        print(f"{error}\nhint: {error.hint}" if error.hint else error, file=sys.stderr)  # noqa: T201  # this is a door
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nbproof.serve", description=__doc__)
    parser.add_argument("folder", type=Path, help="a packaged model: manifest.json and the files it names")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--unsafe-public-host", action="store_true", help="allow a host that others can reach")
    parser.add_argument("--socket-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lease-fd", type=int, help=argparse.SUPPRESS)
    return parser


def _bound(asked: argparse.Namespace) -> socket.socket:
    if asked.socket_fd is not None:
        return socket.socket(fileno=asked.socket_fd)
    if not asked.unsafe_public_host:
        refuse_public(asked.host)
    return listening(asked.host, asked.port)


def _serve(folder: Path, bound: socket.socket, lease_fd: int | None) -> int:
    import uvicorn

    app = application(folder)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=int(STOP_S) - 2,
        )
    )
    if lease_fd is not None:
        threading.Thread(target=_end_with_lease, args=(lease_fd,), daemon=True).start()
    else:
        host, port = bound.getsockname()[:2]
        print(f"serving {app.title} {app.version} at http://{host}:{port}", flush=True)  # noqa: T201  # this is a door
    server.run(sockets=[bound])
    return 0 if server.started else 1


def _end_with_lease(lease_fd: int) -> None:
    """Wait until the writing end is closed, which the kernel does even for a starter that was killed."""
    os.read(lease_fd, 1)
    signal.raise_signal(signal.SIGTERM)
    # A request that never ends must not keep an orphan alive.
    threading.Event().wait(STOP_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
