"""A run as lines of JSON on stdout, one an event, for a program that shows it while it goes on."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import threading
from typing import TYPE_CHECKING

from ..records import Event
from ..track.lines import Entry, encode

if TYPE_CHECKING:
    from types import TracebackType


class Events:
    """A listener that writes every event, what cells say included, as one line of JSON.

    While it is entered, stdout is its own: what anything else writes there, a hook say, goes to stderr. When nobody
    reads the lines any more, the run ends as after Ctrl-C: whoever started it is gone, however it went.
    """

    def __enter__(self) -> Events:
        sys.stdout.flush()
        self._lines = os.dup(1)
        os.dup2(2, 1)
        if is_pipe(self._lines):
            threading.Thread(target=_interrupt_without, args=(self._lines,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        sys.stdout.flush()
        # The thread may still wait for the end of it, so its number is not given to another file.
        os.dup2(self._lines, 1)

    def __call__(self, event: Event, /) -> None:
        # Half a character, which UTF-8 does not know, is written as JSON writes it.
        line = encode(Entry(event)).encode("utf-8", "backslashreplace") + b"\n"
        try:
            while line:
                line = line[os.write(self._lines, line) :]
        except BrokenPipeError:
            raise KeyboardInterrupt from None


def is_pipe(descriptor: int) -> bool:
    """Whether what is written to a file goes to another process."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _interrupt_without(reader_of: int) -> None:
    """Interrupt this process once the other end of a pipe is closed; until then, wait without waking."""
    watched = select.poll()
    # Of errors a poll tells always.
    watched.register(reader_of, 0)
    watched.poll()
    os.kill(os.getpid(), signal.SIGTERM)
