"""Predictions from a stream become windows in a folder: each message once, whatever dies in between.

Messages are read at least once. What makes it once is where they are written: a segment is named for the partition and
the offsets that it holds, so the folder itself says what has been read. This module knows no broker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import StreamBroken
from ..extras import require
from ..files import written_at_end

# Not a window: its name begins with an underscore.
UNREADABLE = "_unreadable"
SEGMENT = re.compile(r"part-(\d+)-(\d{12})-(\d{12})\.(parquet|none)")


@dataclass(frozen=True, slots=True)
class Message:
    """One message: where it stands in the stream, when it was sent (seconds since 1970), and its bytes."""

    partition: int
    offset: int
    at: float
    value: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive messages of one partition that belong to one window; those without a row are unreadable."""

    window: str
    messages: tuple[Message, ...]

    @property
    def name(self) -> str:
        """It without its suffix: the partition, and the first and last offset."""
        first, last = self.messages[0], self.messages[-1]
        return f"part-{first.partition}-{first.offset:012d}-{last.offset:012d}"


def segments(messages: Iterable[Message], newest: str) -> list[Segment]:
    """Messages as segments by UTC day, each partition in the order of its offsets.

    `newest` is the latest window that is there: a window is looked at once a later one has begun, so a message that
    comes too late belongs to the newest one instead of opening an old one again.
    """
    found: list[Segment] = []
    for partition in sorted({message.partition for message in messages}):
        window, open_messages = newest, list[Message]()
        for message in sorted((each for each in messages if each.partition == partition), key=lambda each: each.offset):
            day = max(window, datetime.fromtimestamp(message.at, UTC).strftime("%Y-%m-%d"))
            if open_messages and day != window:
                found.append(Segment(window, tuple(open_messages)))
                open_messages = []
            window = day
            open_messages.append(message)
        found.append(Segment(window, tuple(open_messages)))
    return found


def positions(folder: Path) -> dict[int, int]:
    """The next offset of each partition, as the segments in the folder say; of a partition without any, nothing."""
    found: dict[int, int] = {}
    for path in folder.glob("*/part-*"):
        named = SEGMENT.fullmatch(path.name)
        if named is not None:
            partition, last = int(named[1]), int(named[3])
            found[partition] = max(found.get(partition, 0), last + 1)
    return found


def newest_window(folder: Path) -> str:
    """The latest window of the folder; "" where there is none."""
    return max((path.name for path in folder.glob("*") if path.is_dir() and path.name[0] not in "._"), default="")


def write(folder: Path, segment: Segment) -> tuple[int, int]:
    """Write a segment whole; how many rows it has, and how many messages were none, comes back."""
    rows = [(message, _row(message)) for message in segment.messages]
    unreadable = [message for message, row in rows if row is None]
    # Each in a file that is named for it, before the segment counts as read: told once, however often it is read.
    for message in unreadable:
        with written_at_end(folder / UNREADABLE / f"message-{message.partition}-{message.offset:012d}") as file:
            file.write_bytes(message.value)
    present = [row for _, row in rows if row is not None]
    if present:
        _write_rows(folder / segment.window / f"{segment.name}.parquet", present)
    else:
        with written_at_end(folder / UNREADABLE / f"{segment.name}.none") as file:
            file.write_bytes(b"")
    return len(present), len(unreadable)


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    require("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(name for row in rows for name in row))
    try:
        table = pa.table({name: [row.get(name) for row in rows] for name in names})
    except pa.ArrowException as error:
        raise StreamBroken(f"`{path.name}`", f"a column with values of several kinds ({error})", "one kind") from None
    with written_at_end(path) as file:
        pq.write_table(table, file)


def _row(message: Message) -> dict[str, Any] | None:
    """The row that a message holds: a JSON object of plain values. None for anything else."""
    try:
        row = json.loads(message.value)
    except ValueError:
        return None
    if (
        not isinstance(row, dict)
        or not row
        or not all(isinstance(each, str | int | float | None) for each in row.values())
    ):
        return None
    return row
