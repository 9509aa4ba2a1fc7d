"""Time and cancellation, kept by an element itself where its engine keeps neither."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from .place import Place

LOOK_AGAIN_S, GRACE_S = 1.0, 30.0


@dataclass(slots=True)
class Interruption:
    """Why an element was asked to end; empty: it was not. What was asked to end is not tried again by itself.

    An engine that asks for it, unlike a time that is over, may start the element again elsewhere.
    """

    reason: str = ""
    is_by_engine: bool = False


@contextmanager
def watched(place: Place, index: int, *, is_watched: bool) -> Iterator[Interruption]:
    """Watch over what runs in the block: before its time is over it is warned, and then, or when cancelled, ended."""
    interruption = Interruption()
    # Until the command runs there is nobody to warn, and a warning ends nothing.
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    is_over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(place, index, interruption, is_over), daemon=True)
    if is_watched:
        watcher.start()
    try:
        yield interruption
    finally:
        is_over.set()
        if is_watched:
            watcher.join()
        signal.signal(signal.SIGUSR1, before)


def _watch(place: Place, index: int, interruption: Interruption, is_over: threading.Event) -> None:
    job, began = place.job(), time.monotonic()
    time_s = job.resources.time_s
    is_warned = job.signal_s is None or time_s is None
    while True:
        spent = time.monotonic() - began
        if time_s is not None and spent >= time_s:
            return _end(f"its time of {time_s} s was over", interruption, is_over)
        if place.submitted().cancelled_at is not None:
            return _end("it was cancelled", interruption, is_over)
        if not is_warned and time_s is not None and job.signal_s is not None and spent >= time_s - job.signal_s:
            is_warned = True
            _send(signal.SIGUSR1)
        if is_over.wait(LOOK_AGAIN_S):
            return None


def _end(reason: str, interruption: Interruption, is_over: threading.Event) -> None:
    """Ask what runs to end, and end it where it does not."""
    interruption.reason = reason
    _send(signal.SIGTERM)
    if not is_over.wait(GRACE_S):
        for process in psutil.Process().children(recursive=True):
            process.kill()


def _send(number: signal.Signals) -> None:
    # The main thread waits for the command, and only what reaches it ends that waiting.
    signal.pthread_kill(threading.main_thread().ident or 0, number)
