"""Rows streamed past a model: one thread reads ahead, one writes behind, and neither lets more than a few batches wait.

A model that keeps nothing between two batches is asked by a thread for each core, about a batch of its own; any other
one about one batch after the other. Memory is bounded by the size of a batch, whatever the number of rows; and the
order of the input is the order of the output, since each queue has one end.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from ..errors import ModelUnusable, NbproofError
from .columns import Missing, as_arrow, fill, frame
from .device import on_one_core_each
from .plan import Part
from .scorer import Pending, Scorer, answers, refuse_unsteady
from .source import Source, batches
from .writing import Work, part_file

# How many batches may wait between two threads, and how many a device, or a core, has at once: one ahead.
_WAITING, _AHEAD = 2, 1
# What all batches in the hands of all cores may take, however many cores there are and however large a batch is.
_MOST_BYTES = 1 << 30
_LOOK_AGAIN_S = 0.1
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Job:
    """What is streamed, from where, past what, to where. `model` names the model to people.

    `on_all_cores`: the model answers on a device of its own, so that reading may take every core.
    """

    source: Source
    scorer: Scorer
    work: Work
    schema: Any
    keep: tuple[str, ...]
    batch_rows: int
    missing: Missing
    model: str
    on_all_cores: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that were read: what the model takes, what is copied beside its answers, and where they come from."""

    rows: Any
    kept: Any
    size: int
    where: str
    block: NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Crew:
    """The threads that ask the model, or None where this one does; and how many batches are in its hands at once."""

    threads: Executor | None = None
    in_flight: int = 1 + _AHEAD

    def begin(self, scorer: Scorer, rows: Any) -> Pending:
        """Start to score."""
        if self.threads is None:
            return scorer.begin(rows)
        return Pending(self.threads.submit(lambda: scorer.begin(rows).wait()).result)


@contextmanager
def crew_for(scorer: Scorer, batch_rows: int) -> Iterator[Crew]:
    """A thread for each core that torch would take, where the model may be asked so, and there is room for batches."""
    if not scorer.is_stateless:
        yield Crew()
        return
    room = _MOST_BYTES // (batch_rows * len(scorer.features) * scorer.dtype.itemsize)
    with on_one_core_each() as cores, ThreadPoolExecutor(cores, "nbproof-score-core") as threads:
        try:
            yield Crew(threads, max(1 + _AHEAD, min(cores + _AHEAD, room)))
        finally:
            threads.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Begin:
    """The batches that follow belong to this part."""

    part: Part


@dataclass(frozen=True, slots=True)
class End:
    """The part before is complete (`part`), or everything is (None)."""

    part: Part | None


class _StoppedError(Exception):
    """Another thread has failed, and says why."""


class _Queue(Generic[Item]):
    """A queue that lets go of whoever waits once the work is stopped."""

    def __init__(self, stop: threading.Event, size: int = 0) -> None:
        self._stop, self._queue = stop, Queue[Item](size)

    def put(self, item: Item) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(item, timeout=_LOOK_AGAIN_S)
            except Full:
                continue
        raise _StoppedError

    def get(self) -> Item:
        while not self._stop.is_set():
            try:
                return self._queue.get(timeout=_LOOK_AGAIN_S)
            except Empty:
                continue
        raise _StoppedError


def stream(job: Job, parts: Sequence[Part], tell: Callable[[int, int], None]) -> None:
    """Score `parts`; each is complete on the disk when the next one is begun to be written.

    `tell` hears after each batch how many rows and how many parts are done. Raises the first error of any thread.
    """
    with crew_for(job.scorer, job.batch_rows) as crew:
        _stream(job, parts, crew, tell)


def _stream(job: Job, parts: Sequence[Part], crew: Crew, tell: Callable[[int, int], None]) -> None:
    stop = threading.Event()
    failed: list[BaseException] = []
    read: _Queue[Batch | Begin | End] = _Queue(stop, _WAITING)
    scored: _Queue[Any] = _Queue(stop, _WAITING)
    # One block for each batch that waits, is being read, or is being scored.
    free: _Queue[NDArray[Any]] = _Queue(stop)
    for _ in range(_WAITING + crew.in_flight + 1 if job.scorer.form == "matrix" else 0):
        free.put(job.scorer.block(job.batch_rows))

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except _StoppedError:
                return
            except BaseException as error:
                failed.append(error)
                stop.set()

        return run

    threads = [
        threading.Thread(target=guarded(lambda: _read(job, parts, read, free)), name="nbproof-score-reader"),
        threading.Thread(target=guarded(lambda: _write(job, scored)), name="nbproof-score-writer"),
    ]
    for thread in threads:
        thread.start()
    try:
        guarded(lambda: _score(job, crew, read, scored, free, tell))()
        if not failed:
            threads[1].join()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


def _read(job: Job, parts: Sequence[Part], read: _Queue[Any], free: _Queue[NDArray[Any]]) -> None:
    for part in parts:
        read.put(Begin(part))
        for batch, where in _batches(job, part):
            read.put(_prepared(job, batch, where, free))
        read.put(End(part))
    read.put(End(None))


def _batches(job: Job, part: Part) -> Iterator[tuple[Any, str]]:
    """The batches of a part, each with the place of its first row in words."""
    columns = list(dict.fromkeys((*job.scorer.features, *job.keep)))
    before = {file.name: file.groups for file in job.source.files}
    for piece in part.slices:
        row = sum(before[piece.file][: piece.groups[0]])
        for batch in batches(job.source, piece, columns, job.batch_rows, on_all_cores=job.on_all_cores):
            yield batch, f"`{piece.file}`, rows from {row}"
            row += batch.num_rows


def _prepared(job: Job, batch: Any, where: str, free: _Queue[NDArray[Any]]) -> Batch:
    taken, kept = batch.select(list(job.scorer.features)), batch.select(list(job.keep))
    if job.scorer.form == "frame":
        return Batch(frame(taken, job.source.holed, where, job.missing), kept, batch.num_rows, where, None)
    block = free.get()
    rows = block[: batch.num_rows]
    fill(rows, taken, where, job.missing)
    return Batch(rows, kept, batch.num_rows, where, block)


def _score(
    job: Job, crew: Crew, read: _Queue[Any], scored: _Queue[Any], free: _Queue[NDArray[Any]],
    tell: Callable[[int, int], None],
) -> None:  # fmt: skip
    """Ask the model; a device has the next batch already while the answers of the last one are on their way."""
    flying: deque[tuple[Batch, Pending]] = deque()
    rows = done = 0
    is_steady = False

    def land() -> int:
        batch, pending = flying.popleft()
        found = _asked(job, batch, pending.wait)
        scored.put(_answered(job, batch, found))
        if batch.block is not None:
            free.put(batch.block)
        return batch.size

    while True:
        item = read.get()
        if isinstance(item, Batch):
            if not is_steady:
                _asked(job, item, lambda batch=item: refuse_unsteady(job.scorer, _first(batch), job.model))  # type: ignore[misc]
                is_steady = True
            flying.append((item, _asked(job, item, lambda batch=item: crew.begin(job.scorer, batch.rows))))  # type: ignore[misc]
            if len(flying) >= crew.in_flight:
                rows += land()
                tell(rows, done)
            continue
        while flying:
            rows += land()
        if isinstance(item, End):
            done += item.part is not None
            tell(rows, done)
        scored.put(item)
        if item == End(None):
            return


def _write(job: Job, scored: _Queue[Any]) -> None:
    while True:
        item = scored.get()
        if item == End(None):
            return
        with part_file(job.work, item.part, job.schema) as file:
            while not isinstance(batch := scored.get(), End):
                file.add(batch)


def _answered(job: Job, batch: Batch, found: NDArray[Any]) -> Any:
    """What is copied and what was answered, as one record batch."""
    import pyarrow

    told = answers(job.scorer, found, batch.size, batch.where, job.missing)
    columns = [*batch.kept.columns, *(as_arrow(each) for each in told.columns.values())]
    return pyarrow.RecordBatch.from_arrays(columns, schema=job.schema)


def _asked(job: Job, batch: Batch, ask: Callable[[], Any]) -> Any:
    """What the model says; what it raises becomes one line that names the rows."""
    try:
        return ask()
    except NbproofError:
        raise
    except MemoryError as error:
        raise ModelUnusable(
            job.model, f"no memory for {batch.size} rows", "room for a batch", hint="fewer at a time: --batch-rows 1024"
        ) from error
    except Exception as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        hint = "fewer at a time: --batch-rows 1024" if "out of memory" in said else "look at those rows"
        raise ModelUnusable(job.model, f"that it fails at {batch.where} ({said})", "an answer", hint=hint) from error


def _first(batch: Batch) -> Any:
    from .scorer import PROBE_ROWS

    return batch.rows[:PROBE_ROWS]
