"""Processors and GPUs of this machine, lent to elements of jobs: whoever holds one holds a lock that ends with him."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..run.warm.pool import runtime_folder

LOOK_AGAIN_S = 0.2


@contextmanager
def taken(kind: str, count: int, of: int) -> Iterator[tuple[int, ...]]:
    """Wait until `count` of the `of` slots of a kind are free, and hold them; never some of them alone."""
    place = runtime_folder() / "slots"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    held: dict[int, int] = {}
    try:
        while len(held) < count:
            with _alone(place / f"{kind}.lock"):
                held = _tried(place, kind, count, of)
            if len(held) < count:
                time.sleep(LOOK_AGAIN_S)
        yield tuple(sorted(held))
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def gpus() -> int:
    """How many GPUs this machine has, as its driver says."""
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=30)
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines()) if listed.returncode == 0 else 0


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _tried(place: Path, kind: str, count: int, of: int) -> dict[int, int]:
    held: dict[int, int] = {}
    for number in range(of):
        descriptor = os.open(place / f"{kind}-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            continue
        held[number] = descriptor
        if len(held) == count:
            return held
    for descriptor in held.values():
        os.close(descriptor)
    return {}
