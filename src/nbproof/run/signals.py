"""Signals that end what goes on in good order, as Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def interrupted_by_signals(*numbers: signal.Signals) -> Iterator[None]:
    """Let these signals (SIGTERM and SIGHUP where none is named) end a build: kernels stopped, nothing left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous: list[tuple[signal.Signals, Callable[..., Any] | int | None]] = [
        (number, signal.signal(number, interrupt)) for number in numbers or (signal.SIGTERM, signal.SIGHUP)
    ]
    try:
        yield
    finally:
        for number, handler in previous:
            signal.signal(number, handler)
