"""Load over loopback: as fast as it goes (wrk), and at a fixed rate whoever is late (an open model)."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
"""
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True)
class Measured:
    """Answers a second, latencies in ms, and how many requests were not answered with 200."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


def as_fast_as_it_goes(url: str, body: bytes, *, clients: int, seconds: float) -> Measured:
    """A closed model: each of the clients asks again as soon as it is answered."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "body").write_bytes(body)
        script = Path(name) / "post.lua"
        script.write_text(SCRIPT.format(body=Path(name) / "body"))
        said = subprocess.run(
            ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "--latency", "-s", str(script), url],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    lost = int(failed[1]) if failed else 0
    lost += sum(map(int, errors.groups())) if errors else 0
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, said
    return Measured(float(found[1]), _percentile(said, "50%"), _percentile(said, "99%"), lost)


def _percentile(said: str, name: str) -> float:
    found = re.search(rf"{name}\s+([\d.]+)(us|ms|s|m)\b", said)
    assert found, said
    return float(found[1]) * UNITS[found[2]]


def at_a_rate(host: str, port: int, path: str, body: bytes, *, per_s: float, seconds: float) -> Measured:
    """An open model: requests come at random moments, whether or not earlier ones were answered.

    A latency counts from the moment at which the request was due, so that one that waits for a connection waits.
    """
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return asyncio.run(_open(host, port, head.encode() + body, per_s, seconds))


async def _open(host: str, port: int, request: bytes, per_s: float, seconds: float) -> Measured:
    rng = random.Random(0)
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    latencies: list[float] = []
    failed = 0

    async def one(due: float) -> None:
        nonlocal failed
        try:
            reader, writer = idle.pop() if idle else await asyncio.open_connection(host, port)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.I)
            assert length is not None
            await reader.readexactly(int(length[1]))
            if not head.startswith(b"HTTP/1.1 200"):
                failed += 1
            idle.append((reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            failed += 1
        latencies.append(time.perf_counter() - due)

    began = due = time.perf_counter()
    tasks = []
    while due < began + seconds:
        due += rng.expovariate(per_s)
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    took = time.perf_counter() - began
    for _, writer in idle:
        writer.close()
    ordered = sorted(latencies)
    at = [1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)] for share in (0.5, 0.99)]
    return Measured(len(ordered) / took, at[0], at[1], failed)
