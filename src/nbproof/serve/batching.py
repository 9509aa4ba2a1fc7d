"""Requests that wait for the model at the same time are scored in one call, so that many cost little more than one."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .rows import Table, joined
from .stage import Loaded

# Of one call for each of several jobs: the model, the rows of all, and how many rows each has.
Work = Callable[[Loaded, Table, Sequence[int]], Sequence[Any]]


class Busy(Exception):
    """More rows wait for the model than may."""


@dataclass(frozen=True, slots=True)
class Batching:
    """At most `rows` of several requests go into one call; the first waits up to `wait_s` for others.

    With `wait_s` 0 nobody waits: what has come while the model worked is taken together. `rows` 1 is no batching.
    """

    rows: int = 256
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        if self.rows < 1 or self.wait_s < 0:
            raise ValueError("a batch has at least one row, and no negative wait")


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    loaded: Loaded
    table: Table
    answer: asyncio.Future[Any]


class Batcher:
    """A thread that does `work` for jobs, in order; `called` hears how many rows each call had."""

    def __init__(
        self, work: Work, batching: Batching, *, waiting_rows: int, called: Callable[[int], None] = lambda rows: None
    ) -> None:
        self._work, self._batching, self._most, self._called = work, batching, waiting_rows, called
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; the answers go to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="nbproof-model", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Finish what waits, then end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    async def ask(self, loaded: Loaded, table: Table) -> Any:
        """The result for one table. Raises `Busy`, and whatever the work raised about it."""
        if self._waiting and self._waiting + table.count > self._most:
            raise Busy
        assert self._loop is not None
        answer = self._loop.create_future()
        self._waiting += table.count
        self._jobs.put(_Job(loaded, table, answer))
        return await answer

    def _run(self) -> None:
        held: _Job | None = None
        while True:
            first = held or self._jobs.get()
            if first is None:
                return
            jobs, held, is_last = self._gathered(first)
            self._answer(jobs)
            if is_last:
                return

    def _gathered(self, first: _Job) -> tuple[list[_Job], _Job | None, bool]:
        """The jobs of one call, the one that did not fit, and whether the end was asked for."""
        jobs, rows = [first], first.table.count
        until = time.monotonic() + self._batching.wait_s
        while rows < self._batching.rows:
            try:
                left = until - time.monotonic() if self._batching.wait_s else 0.0
                job = self._jobs.get(timeout=left) if left > 0 else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, None, True
            if job.loaded is not first.loaded or rows + job.table.count > self._batching.rows:
                return jobs, job, False
            jobs.append(job)
            rows += job.table.count
        return jobs, None, False

    def _answer(self, jobs: list[_Job]) -> None:
        # Whoever waits no longer is not worked for.
        wanted = [job for job in jobs if not job.answer.done()]
        results = self._results(wanted) if wanted else []
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._resolve, jobs, dict(zip(map(id, wanted), results, strict=True)))

    def _results(self, jobs: list[_Job]) -> Sequence[Any]:
        table = joined([job.table for job in jobs])
        try:
            self._called(table.count)
            return self._work(jobs[0].loaded, table, [job.table.count for job in jobs])
        except Exception as error:
            if len(jobs) == 1:
                return [error]
            # One request that the model cannot answer must not cost the others theirs.
            return [result for job in jobs for result in self._results([job])]

    def _resolve(self, jobs: list[_Job], results: dict[int, Any]) -> None:
        for job in jobs:
            self._waiting -= job.table.count
            if job.answer.done():
                continue
            result = results.get(id(job))
            if isinstance(result, Exception):
                job.answer.set_exception(result)
            else:
                job.answer.set_result(result)
