"""Ports for servers under test: of 127.0.0.1, and such as the system itself gives to nobody."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, HIGHEST, WORKERS = 10_240, 32_000, 16


def free_port() -> int:
    """A port at which nobody listens, nor will before its server does.

    A port that the system has just given and taken back may go to the next kernel that asks for one; so these lie
    below the range from which it gives, and each process of the tests has its own share of them.
    """
    highest = min(HIGHEST, int(RANGE.read_text().split()[0])) if RANGE.exists() else HIGHEST
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    ports = [port for port in range(LOWEST, highest) if port % WORKERS == worker]
    for port in random.SystemRandom().sample(ports, len(ports)):
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port is taken")
