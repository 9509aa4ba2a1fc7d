"""Whether data has changed, and has been still since: files are looked at, not read."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .ledger import Scheduled

NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Seen:
    """A state of data, as one text that differs from that of any other state."""

    signature: str

    @property
    def is_there(self) -> bool:
        return self.signature != NOTHING


def seen(path: Path) -> Seen:
    """How a file, or everything in a folder, lies there: names, sizes, times of the last change."""
    digest, count = hashlib.sha256(), 0
    for name, status in _files(path):
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\n".encode("utf-8", "replace"))
        count += 1
    return Seen(digest.hexdigest() if count else NOTHING)


def _files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        if not path.is_dir():
            yield "", path.stat()
            return
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                file = Path(folder, name)
                # A file that goes while it is looked at makes another state, which is seen the next time.
                yield os.path.relpath(file, path), file.stat()
    except OSError:
        return


@dataclass(slots=True)
class Stillness:
    """Since when this process has seen the data of each schedule as they are, by a clock that nobody puts back."""

    clock: Callable[[], float] = time.monotonic
    look_s: float = 0.5
    _since: dict[str, tuple[str, float, float]] = field(default_factory=dict)

    def changed(self, project: Path, scheduled: Scheduled) -> Seen | None:
        """The state of the data, where it is another than was decided, and has been still for long enough."""
        trigger = scheduled.schedule.trigger
        if trigger.path is None:
            return None
        name, now = scheduled.schedule.name, self.clock()
        signature, since, looked = self._since.get(name, ("", now, -1.0))
        if now - looked >= self.look_s:
            found = seen(project / trigger.path).signature
            if found != signature:
                signature, since = found, now
            self._since[name] = (signature, since, now)
        if signature == scheduled.seen or now - since < trigger.stable_s:
            return None
        return Seen(signature)
