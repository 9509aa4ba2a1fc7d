"""`python -m nbproof.serve FOLDER`: serve one packaged model until told to stop. It asks nobody for an approval."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import NbproofError
from .options import Options
from .process import listening, refuse_public
from .worker import serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes or the lease ends; return the exit code."""
    asked = _parser().parse_args(arguments)
    options = Options.read(asked.options) if asked.options else Options(
        model=str(asked.folder), keys=asked.api_keys, pinned=asked.pinned, pinned_words=asked.pinned_words
    )  # fmt: skip
    try:
        with _bound(asked) as bound:
            if asked.lease_fd is None:
                host, port = bound.getsockname()[:2]
                print(f"serving {asked.folder} at http://{host}:{port}", flush=True)  # noqa: T201  # this is a door
            return serve(options, bound, lease_fd=asked.lease_fd, ready_fd=asked.ready_fd)
    except NbproofError as error:
        print(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)  # noqa: T201  # this is a door
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nbproof.serve", description=__doc__)
    parser.add_argument("folder", type=Path, help="a packaged model: manifest.json and the files it names")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--api-keys", help="a file of keys; with it the host may be one that others can reach")
    parser.add_argument("--pinned", metavar="SHA256", help="serve these very bytes and no others")
    parser.add_argument("--pinned-words", default="", help="who approved them, for whoever asks")
    parser.add_argument("--unsafe-public-host", action="store_true", help="let everybody who reaches the host in")
    # What one process of nbproof hands to another.
    for name, kind in (("--socket-fd", int), ("--lease-fd", int), ("--ready-fd", int), ("--options", str)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    return parser


def _bound(asked: argparse.Namespace) -> socket.socket:
    if asked.socket_fd is not None:
        return socket.socket(fileno=asked.socket_fd)
    if not asked.unsafe_public_host and asked.api_keys is None:
        refuse_public(asked.host)
    return listening(asked.host, asked.port)


if __name__ == "__main__":
    sys.exit(main())
