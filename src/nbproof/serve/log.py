"""The prediction log: every answer is on the disk before it is sent, in segments that are only added to.

A segment that is being written is a file of frames, each with its length and checksum; one that is complete is Parquet.
A frame is written and synced before its answer goes out, several requests at a time; what a killed service has
answered is there, whatever else it was doing.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import queue
import struct
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StorageFailed
from ..extras import require
from ..files import sync_folder, written_at_end
from .rows import Table
from .signature import Signature

OPEN, DONE, BEGUN = ".frames", ".parquet", ".begun"
# Length and CRC-32 of a frame; then the length of its head, the head (JSON), and the rows as float64 or JSON.
HEAD = struct.Struct("<II")
# A segment is complete after so many rows, or so long after its first.
SEGMENT_ROWS, SEGMENT_S = 100_000, 3600.0
MAGIC = b"nbproof-log-1\n"


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What one request was answered: when (seconds since 1970), by which model, and each row with its score."""

    request: str
    at: float
    model: str
    version: str
    digest: str
    table: Table
    scores: Sequence[float]

    def frame(self) -> bytes:
        """It as the file has it."""
        kept = {
            "request": self.request, "at": self.at, "model": self.model, "version": self.version,
            "digest": self.digest, "scores": list(self.scores),
        }  # fmt: skip
        if self.table.block is None:
            kept["columns"] = dict(self.table.columns or {})
        rows = b"" if self.table.block is None else self.table.block.tobytes()
        return _frame(kept, rows)


class PredictionLog:
    """Writes answers into `folder`; of all requests a `share` is kept, chosen by their names and kept whole."""

    def __init__(
        self, folder: Path, signature: Signature, *, share: float = 1.0, segment_rows: int = SEGMENT_ROWS,
        segment_s: float = SEGMENT_S,
    ) -> None:  # fmt: skip
        if not 0 < share <= 1:
            raise ValueError("a share is above 0 and at most 1")
        require("pyarrow")
        self._folder, self._signature, self._share = folder, signature, share
        self._segment_rows, self._segment_s = segment_rows, segment_s
        self._waiting: queue.SimpleQueue[tuple[Answered, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._file, self._path, self._rows, self._began = -1, folder, 0, 0.0
        self._completing: threading.Thread | None = None

    def start(self) -> None:
        """Take over what a killed service left, and begin. Raises `StorageFailed`."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            complete(self._folder)
            self._open()
        except OSError as error:
            raise StorageFailed(str(self._folder), str(error)) from error
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="nbproof-log", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Write what waits, and complete the segment."""
        if self._thread is not None:
            self._waiting.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def keeps(self, request: str) -> bool:
        """Whether a request of this name is kept."""
        return self._share >= 1 or zlib.crc32(request.encode()) < self._share * 2**32

    async def keep(self, answered: Answered) -> None:
        """Return once it is on the disk. Raises `StorageFailed`, after which nothing is answered until it can write."""
        if not self.keeps(answered.request):
            return
        assert self._loop is not None
        written = self._loop.create_future()
        self._waiting.put((answered, written))
        await written

    def _run(self) -> None:
        while True:
            first = self._waiting.get()
            batch, is_last = [first] if first is not None else [], first is None
            # All that came while the disk was busy goes to it together.
            while not is_last:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    is_last = True
                else:
                    batch.append(more)
            if batch:
                self._write([each for each in batch if each is not None])
            if is_last:
                self._close()
                if self._completing is not None:
                    self._completing.join()
                return

    def _write(self, batch: Sequence[tuple[Answered, asyncio.Future[None]]]) -> None:
        assert self._loop is not None
        problem: StorageFailed | None = None
        try:
            if self._file < 0:
                self._open()
            whole = b"".join(answered.frame() for answered, _ in batch)
            view = memoryview(whole)
            while view:
                view = view[os.write(self._file, view) :]
            os.fdatasync(self._file)
        except OSError as error:
            problem = StorageFailed(self._path.name, error.strerror or str(error))
            # What was half written has no whole frame, and nothing may follow it.
            self._abandon()
        except (TypeError, ValueError) as error:
            problem = StorageFailed(self._path.name, f"an answer that cannot be written: {error}")
        self._loop.call_soon_threadsafe(_resolve, [written for _, written in batch], problem)
        self._rows += sum(len(answered.scores) for answered, _ in batch)
        if problem is None and (self._rows >= self._segment_rows or time.monotonic() - self._began > self._segment_s):
            self._close()

    def _open(self) -> None:
        self._path = self._folder / f"{time.time_ns():020d}-{os.getpid()}{OPEN}"
        begun = self._path.with_suffix(BEGUN)
        self._file = os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # Whoever completes what was left behind sees by this that its writer lives; it gets its name once it is held.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.write(self._file, MAGIC + _frame({"signature": self._signature.written()}, b""))
        begun.rename(self._path)
        sync_folder(self._folder)
        self._rows, self._began = 0, time.monotonic()

    def _abandon(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _close(self) -> None:
        """Have the segment completed, beside what goes on: it is Parquet first, and then its frames go."""
        if self._file < 0:
            return
        if self._completing is not None:
            self._completing.join()
        self._completing = threading.Thread(target=_completed, args=(self._path, self._file), name="nbproof-segment")
        self._completing.start()
        self._file = -1


def _resolve(written: Sequence[asyncio.Future[None]], problem: StorageFailed | None) -> None:
    for each in written:
        if each.done():
            continue
        if problem is None:
            each.set_result(None)
        else:
            each.set_exception(problem)


def _frame(kept: Mapping[str, Any], rows: bytes) -> bytes:
    head = json.dumps(kept, separators=(",", ":")).encode()
    body = struct.pack("<I", len(head)) + head + rows
    return HEAD.pack(len(body), zlib.crc32(body)) + body


def _completed(path: Path, held: int) -> None:
    """Complete a segment whose lock is `held`. One that cannot be completed now is by the next start."""
    with suppress(OSError):
        _complete(path)
    os.close(held)


def complete(folder: Path) -> None:
    """Complete the segments that no living process writes."""
    for path in sorted(folder.glob(f"*{OPEN}")):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                # Its writer lives.
                continue
            _complete(path)


def _complete(path: Path) -> None:
    import pyarrow.parquet as pq

    target = path.with_suffix(DONE)
    if not target.exists():
        table = table_of(path)
        if table is not None:
            with written_at_end(target) as unfinished:
                pq.write_table(table, unfinished, compression="zstd")
    path.unlink()
    sync_folder(path.parent)


def frames(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The frames of an open segment, heads and rows, up to the first that is not whole: it was never answered."""
    content = path.read_bytes()
    at = len(MAGIC)
    if not content.startswith(MAGIC):
        return
    while at + HEAD.size <= len(content):
        length, checksum = HEAD.unpack_from(content, at)
        body = content[at + HEAD.size : at + HEAD.size + length]
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        (head,) = struct.unpack_from("<I", body)
        yield json.loads(body[4 : 4 + head]), body[4 + head :]
        at += HEAD.size + length


def table_of(path: Path) -> Any:
    """An open segment as an Arrow table, with a row for each row that was scored; None where there is none."""
    import numpy as np
    import pyarrow as pa

    found = frames(path)
    first = next(found, None)
    if first is None:
        return None
    signature = Signature.read(first[0]["signature"])

    names = [each.name for each in signature.inputs]
    kinds = {"integer": pa.int64(), "number": pa.float64(), "string": pa.string(), "boolean": pa.bool_()}
    kept: dict[str, list[Any]] = {name: [] for name in ABOUT}
    inputs: dict[str, list[Any]] = {name: [] for name in names}
    for head, rows in found:
        count = len(head["scores"])
        for name in ("request", "at", "model", "version", "digest"):
            kept[name] += [head[name]] * count
        kept["row"] += range(count)
        kept["score"] += head["scores"]
        if "columns" in head:
            for name in names:
                inputs[name] += head["columns"][name]
            continue
        block = np.frombuffer(rows, dtype=np.float64).reshape(count, len(names))
        for at, each in enumerate(signature.inputs):
            inputs[each.name] += [_value(each.type, value) for value in block[:, at].tolist()]
    if not kept["request"]:
        return None
    moments = pa.array([round(at * 1e6) for at in kept.pop("at")], pa.int64()).cast(pa.timestamp("us", "UTC"))
    columns = {
        "request": pa.array(kept["request"], pa.string()), "row": pa.array(kept["row"], pa.int32()), "at": moments,
        "model": pa.array(kept["model"], pa.string()), "version": pa.array(kept["version"], pa.string()),
        "digest": pa.array(kept["digest"], pa.string()), "score": pa.array(kept["score"], pa.float64()),
    }  # fmt: skip
    for each in signature.inputs:
        values = [None if value != value else value for value in inputs[each.name]]
        columns[f"input.{each.name}"] = pa.array(values, kinds[each.type])
    return pa.table(columns)


ABOUT = ("request", "row", "at", "model", "version", "digest", "score")


def _value(kind: str, value: float) -> Any:
    if value != value:
        return None
    return int(value) if kind == "integer" else bool(value) if kind == "boolean" else value
