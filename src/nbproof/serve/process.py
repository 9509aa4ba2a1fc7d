"""A service in a process of its own: started, waited for, and always ended with whoever started it."""

from __future__ import annotations

import http.client
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import Refused, ServiceFailed
from .package import read

POLL_S = 0.05
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Service:
    """A service that answers at `base_url` from the process `pid`."""

    base_url: str
    pid: int


def is_loopback(host: str) -> bool:
    """Whether `host` is an address of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_public(host: str) -> None:
    """Raise `Refused` unless `host` is an address of this machine alone."""
    if not is_loopback(host):
        raise Refused(
            f"the host `{host}` can be reached from outside; expected a loopback address",
            hint="use 127.0.0.1, or give it keys: --api-keys FILE; --unsafe-public-host lets everybody in",
        )


def listening(host: str, port: int) -> socket.socket:
    """Return a bound, listening socket; port 0 takes a free one, which then is nobody else's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(128)
    except OSError:
        bound.close()
        raise
    return bound


@contextmanager
def running(
    folder: Path, *, host: str = "127.0.0.1", ready_within_s: float = 60.0, options: str | None = None
) -> Iterator[Service]:
    """Run the service of `folder` in its own process and yield it once it is ready; `options` are written `Options`.

    The process group ends with the `with` block, and also when this process dies, by whatever signal: the child holds
    the reading end of a pipe whose writing end lives here only. Raises `ModelRefused` for a folder that is no whole
    package, `Refused` for a host that can be reached from outside and `ServiceFailed` when it does not become ready.
    """
    refuse_public(host)
    read(folder)
    lease_read, lease_write = os.pipe()
    with listening(host, 0) as bound, tempfile.TemporaryFile() as log:
        try:
            process = _start(folder, bound, lease_read, log, options)
        except BaseException:
            os.close(lease_write)
            raise
        finally:
            os.close(lease_read)
        address = bound.getsockname()[:2]
        # From here on only the child listens, so that a dead service refuses connections instead of letting them wait.
        bound.close()
        try:
            _wait(process, address, time.monotonic() + ready_within_s, log)
            shown = f"[{address[0]}]" if ":" in address[0] else address[0]
            yield Service(f"http://{shown}:{address[1]}", process.pid)
        finally:
            _stop(process)
            os.close(lease_write)


def _start(
    folder: Path, bound: socket.socket, lease_read: int, log: IO[bytes], options: str | None
) -> subprocess.Popen[bytes]:
    # -P keeps the working directory off the import path: a stray numpy.py there must not be loaded.
    command = [sys.executable, "-P", "-m", f"{__package__}", str(folder.resolve())]
    command += ["--socket-fd", str(bound.fileno()), "--lease-fd", str(lease_read)]
    command += ["--options", options] if options else []
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(bound.fileno(), lease_read),
        start_new_session=True,
        # Small batches are slower on many OpenMP threads than on one.
        env={"OMP_NUM_THREADS": "1", **os.environ},
    )


def _wait(process: subprocess.Popen[bytes], address: tuple[str, int], deadline: float, log: IO[bytes]) -> None:
    while time.monotonic() < deadline:
        code = process.poll()
        if code is not None:
            raise ServiceFailed(f"it ended with code {code}", _last_line(log))
        if _is_ready(address):
            return
        time.sleep(POLL_S)
    raise ServiceFailed("it was not ready in time", _last_line(log))


def _is_ready(address: tuple[str, int]) -> bool:
    connection = http.client.HTTPConnection(*address, timeout=1.0)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    # Whatever else is said, the reason has this word before it.
    reasons = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (reasons or lines or ["it said nothing"])[-1]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole group, first kindly; whatever is left after that is killed."""
    _signal_group(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
